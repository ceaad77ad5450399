"""What stands out in a data set, each finding with its images and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.ui.parts import gallery
from pages.ui.state import choose, get_intake, get_lab, get_manifest
from pages.ui.text import escape, plural
from transfer_core.data.edit import exclude, group_together, keep_first, merge_classes
from transfer_core.data.health import Finding, get_findings, is_checked
from transfer_core.data.manifest import Manifest

SHOWN = 12
TITLES = {
    "two-labels": "Same image, two labels",
    "same-pixels": "Same image twice",
    "near-duplicates": "Nearly the same",
    "tiny": "Very small",
    "flat": "Empty",
    "dark": "Almost black",
    "bright": "Almost white",
    "blurred": "Blurred",
    "small-class": "Too small a class",
    "rare-class": "Rare class",
    "domains-differ": "Domains differ at a glance",
}
GRAVE = ("two-labels", "small-class")


@st.cache_resource(max_entries=8, show_spinner="Checking")
def _findings(home: str, dataset: str) -> list[Finding]:
    return get_findings(get_lab().library, get_manifest(dataset))


def findings_of(manifest: Manifest) -> list[Finding]:
    """Return what stands out, without what somebody chose to leave; nothing before the images were looked at."""
    library = get_lab().library
    if not is_checked(library, manifest):
        return []
    left = library.dismissed(manifest.id)
    return [each for each in _findings(str(get_lab().home), manifest.id) if each.kind not in left]


def show_health(manifest: Manifest) -> None:
    """Show the findings, and ask for the check where there was none."""
    library = get_lab().library
    st.markdown("#### What stands out")
    if not is_checked(library, manifest):
        st.caption(
            "The images were not looked at yet: doubles, blur, darkness, labels that contradict each other."
        )
        if st.button("Check the images", icon=":material/health_and_safety:"):
            st.session_state["arrival"] = get_intake().check(manifest).id
            st.rerun()
        return
    found = findings_of(manifest)
    if not found:
        st.caption(
            ":material/check: Nothing: no doubles, no contradicting labels, none too small, dark or blurred."
        )
    for number, finding in enumerate(found):
        _show(manifest, finding, number)
    left = library.dismissed(manifest.id)
    if left and st.button(f"Show {plural(len(left), 'finding')} left as it is", type="tertiary"):
        for kind in left:
            library.dismiss(manifest.id, kind, back=True)
        st.rerun()


def _show(manifest: Manifest, finding: Finding, number: int) -> None:
    icon = ":material/error:" if finding.kind in GRAVE else ":material/info:"
    title = TITLES[finding.kind]
    with st.expander(f"**{title}**: {escape(finding.message)}", icon=icon):
        if finding.images:
            rows = [manifest.by_image[image] for image in finding.images[:SHOWN]]
            captions = [
                escape(f"{row.label or 'unlabelled'} · {row.path.rpartition('/')[2]}") for row in rows
            ]
            gallery(rows, captions, key=f"finding-{number}")
            if len(finding.images) > SHOWN:
                st.caption(f"The first {SHOWN} of {plural(len(finding.images), 'image')}.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for remedy in finding.remedies:
                _REMEDIES[remedy](manifest, finding, f"{remedy}-{number}")


def _exclude(manifest: Manifest, finding: Finding, key: str) -> None:
    n = len(finding.images)
    if st.button(
        f"Leave {'it' if n == 1 else f'these {n:,}'} out", key=f"out-{key}", icon=":material/block:"
    ):
        save(exclude(manifest, finding.images), f"{plural(n, 'image')} left out")
    spare = n - len(finding.clusters)
    if finding.clusters and finding.kind != "two-labels" and spare:
        label = f"Keep one of each, leave {spare:,} out"
        if st.button(label, key=f"first-{key}", icon=":material/filter_1:"):
            save(keep_first(manifest, finding.clusters), f"{plural(spare, 'double')} left out")


def _group(manifest: Manifest, finding: Finding, key: str) -> None:
    if st.button("Hold together in every split", key=key, icon=":material/link:"):
        save(group_together(manifest, finding.clusters), f"{len(finding.images):,} look-alikes held together")


def _merge(manifest: Manifest, finding: Finding, key: str) -> None:
    own = manifest.by_image[finding.images[0]].label
    others = [name for name in manifest.classes if name != own]
    if own is None or not others:
        return
    into = st.selectbox("Count it as", others, key=f"into-{key}", width=220)
    if st.button("Merge", key=key, icon=":material/merge:"):
        save(merge_classes(manifest, [own], into), f"{own} counted as {into}")


def _relabel(manifest: Manifest, finding: Finding, key: str) -> None:
    st.button(
        "Set the labels right below", key=key, icon=":material/edit:", on_click=_look_at, args=(finding.kind,)
    )


def _look_at(kind: str) -> None:
    """Let the images below be those of a finding, in the table in which labels are changed."""
    st.session_state["filter-finding"], st.session_state["change-labels"] = kind, True


def _keep(manifest: Manifest, finding: Finding, key: str) -> None:
    alike = finding.kind == "near-duplicates"
    told = "A split may then put them on two sides" if alike else None
    if st.button(
        "They are different, let them be" if alike else "Leave as it is", key=key, type="tertiary", help=told
    ):
        get_lab().library.dismiss(manifest.id, finding.kind)
        st.rerun()


_REMEDIES: dict[str, Callable[[Manifest, Finding, str], None]] = {
    "exclude": _exclude,
    "group": _group,
    "merge": _merge,
    "relabel": _relabel,
    "keep": _keep,
}


def save(changed: Manifest, note: str) -> None:
    """Store a changed data set as a new version and open it."""
    stored = get_lab().library.add_version(changed, note)
    choose(data=stored.id, split=None, run=None)
    st.session_state["receipt"] = (
        f"Saved as {escape(stored.name)}: {escape(note)}. The version before stays as it was."
    )
    st.rerun()
