"""What stands out in a data set, each finding with its images and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.ui.parts import gallery
from pages.ui.picking import fingerprint
from pages.ui.state import choose, get_intake, get_lab, get_manifest
from pages.ui.text import escape, plural
from transfer_core.data.dismissed import get_dismissed
from transfer_core.data.edit import exclude, group_together, keep_first, merge_classes
from transfer_core.data.health import Finding, get_findings, is_checked
from transfer_core.data.manifest import Manifest, Row

SHOWN = 12
CLUSTERS, IN_A_BOX = 6, 3  # sets of images that belong together, and images of each
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
    found = _findings(str(get_lab().home), manifest.id)
    left = get_dismissed(library, manifest)
    return [each for each in found if each.kind not in left]


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
    for finding in found:
        _show(manifest, finding)
    left = get_dismissed(library, manifest)
    if left and st.button(f"Show {plural(len(left), 'finding')} left as it is", type="tertiary"):
        for kind in left:
            library.dismiss(manifest.id, kind, back=True)
        st.rerun()


def _show(manifest: Manifest, finding: Finding) -> None:
    # By its images: where another window left a finding as it is, a click must not act on the one that took its place.
    key = f"{finding.kind}-{manifest.id[:8]}-{fingerprint(finding.images)}"
    icon = ":material/error:" if finding.kind in GRAVE else ":material/info:"
    title = TITLES[finding.kind]
    with st.expander(f"**{title}**: {escape(finding.message)}", icon=icon):
        if finding.clusters and len(finding.images) > len(finding.clusters):
            _side_by_side(manifest, finding, key)
        elif finding.images:
            rows = [manifest.by_image[image] for image in finding.images[:SHOWN]]
            gallery(rows, [_caption(row) for row in rows], key=f"finding-{key}")
            if len(finding.images) > SHOWN:
                st.caption(f"The first {SHOWN} of {plural(len(finding.images), 'image')}.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for remedy in finding.remedies:
                _REMEDIES[remedy](manifest, finding, f"{remedy}-{key}")


def _side_by_side(manifest: Manifest, finding: Finding, key: str) -> None:
    """Show what belongs together together: a box for each cluster, its images beside each other."""
    shown = finding.clusters[:CLUSTERS]
    with st.container(key=f"wrap-clusters-{key}"):
        places = [place for _ in range(0, len(shown), 2) for place in st.columns(2)]
    for index, (place, cluster) in enumerate(zip(places, shown, strict=False)):
        rows = [manifest.by_image[image] for image in cluster[:IN_A_BOX]]
        with place.container(border=True):
            gallery(rows, [_caption(row) for row in rows], key=f"finding-{key}-{index}", columns=IN_A_BOX)
            if len(cluster) > IN_A_BOX:
                st.caption(f"{IN_A_BOX} of {plural(len(cluster), 'image')} that belong together.")
    if len(finding.clusters) > CLUSTERS:
        st.caption(f"The first {CLUSTERS} of {len(finding.clusters):,} sets.")


def _caption(row: Row) -> str:
    said = row.label or (" or ".join(row.claims) + "?" if row.claims else "unlabelled")
    return escape(f"{said} · {row.path.rpartition('/')[2]}")


def _exclude(manifest: Manifest, finding: Finding, key: str) -> None:
    n = len(finding.images)
    spare = n - len(finding.clusters)
    if finding.clusters and finding.kind != "two-labels" and spare:
        label = f"Keep one of each, leave {spare:,} out"
        if st.button(label, key=f"first-{key}", icon=":material/filter_1:"):
            save(keep_first(manifest, finding.clusters), f"{plural(spare, 'double')} left out")
    label = f"Leave {'it' if n == 1 else f'these {n:,}'} out"
    if st.button(label, key=f"out-{key}", icon=":material/block:"):
        save(exclude(manifest, finding.images), f"{plural(n, 'image')} left out")


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


def save(changed: Manifest, note: str, group_pattern: str | None = None) -> None:
    """Store a changed data set as a new version and open it. `group_pattern`: where the change made groups, the pattern that did."""
    library = get_lab().library
    before = {each.id for each in library.datasets()}
    stored = library.add_version(changed, note, group_pattern)
    choose(data=stored.id, split=None, run=None)
    told = f"Saved as {escape(stored.name)}: {escape(note)}. The version before stays as it was."
    if stored.id in before:
        told = f"This is the same as {escape(stored.name)}, which was here already. It is open now."
    st.session_state["receipt"] = told
    st.rerun()
