"""The images of a data set: filters, a gallery page by page, and a table in which labels can be changed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from pages.ui.health import TITLES, findings_of, save
from pages.ui.parts import gallery
from pages.ui.picking import fingerprint
from pages.ui.state import current_split, get_lab
from pages.ui.text import escape, plural
from transfer_core.data.edit import exclude, relabel
from transfer_core.data.manifest import Manifest, Row
from transfer_core.figures import PART_NAMES

PER_PAGE = 18
PER_TABLE = 50
NONE = "unlabelled"


@dataclass(frozen=True)
class Wish:
    """Which images somebody wants to see; "all" where it does not matter."""

    label: str
    domain: str
    group: str
    part: str
    finding: str


def show_images(manifest: Manifest) -> None:
    """Show what the filters leave, as pictures or as a table to change."""
    st.markdown("#### Images")
    wish = _ask(manifest)
    rows = _choose(manifest, wish)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plural(len(rows), "image"), width="stretch")
        change = st.toggle(
            "Change labels",
            key="change-labels",
            help="Every change makes a new version; this one stays as it is.",
        )
    size = PER_TABLE if change else PER_PAGE
    pages = max(1, -(-len(rows) // size))
    key = f"{manifest.id}-{change}-{'-'.join(vars(wish).values())}"
    number = st.pagination(pages, key=f"gallery-{key}") if pages > 1 else 1
    shown = rows[(number - 1) * size : number * size]
    if change:
        label_table(manifest, shown, f"{key}-{number}")
        return
    gallery(
        shown,
        [
            escape(" · ".join(filter(None, [row.label or _no_label(row), row.domain, row.group])))
            + f"  \n{escape(row.path.rpartition('/')[2])}"
            for row in shown
        ],
    )


def _ask(manifest: Manifest) -> Wish:
    split = current_split(manifest)
    parts = list(dict.fromkeys(split.assignment.values())) if split else []
    kinds = [each.kind for each in findings_of(manifest) if each.images]
    if st.session_state.get("filter-finding", "all") not in ("all", *kinds):
        del st.session_state["filter-finding"]
    places = st.columns(5)
    return Wish(
        places[0].selectbox("Class", ["all", *manifest.classes, NONE]),
        places[1].selectbox("Domain", ["all", *manifest.domains], disabled=not manifest.domains),
        places[2].selectbox("Group", ["all", *manifest.groups], disabled=not manifest.groups),
        places[3].selectbox("Part", ["all", *parts], format_func=lambda part: PART_NAMES.get(part, part),
                            disabled=not parts, help="Of the split that is chosen."),
        places[4].selectbox("Stands out", ["all", *dict.fromkeys(kinds)],
                            format_func=lambda kind: TITLES.get(kind, kind), disabled=not kinds, key="filter-finding"),
    )  # fmt: skip


def _choose(manifest: Manifest, wish: Wish) -> list[Row]:
    rows: Sequence[Row] = manifest.rows
    if wish.finding != "all":  # in the order of the finding: what belongs together stands together
        wanted = [
            image for each in findings_of(manifest) if each.kind == wish.finding for image in each.images
        ]
        rows = [manifest.by_image[image] for image in dict.fromkeys(wanted)]
    split = current_split(manifest) if wish.part != "all" else None
    return [
        row
        for row in rows
        if wish.label in ("all", row.label or NONE)
        and wish.domain in ("all", row.domain)
        and wish.group in ("all", row.group)
        and (split is None or split.assignment.get(row.image) == wish.part)
    ]


def label_table(
    manifest: Manifest, rows: Sequence[Row], key: str, suggested: Sequence[str] | None = None
) -> None:
    """Show images as a table in which labels can be changed, beside the class `suggested` for each where there is one."""
    library = get_lab().library
    table = [
        {
            "Image": _data_uri(library.thumb_path(row.image).read_bytes()),
            "File": row.path,
            **({"Looks like": suggested[number]} if suggested else {}),
            **({"Came as": " or ".join(row.claims)} if any(each.claims for each in rows) else {}),
            "Class": row.label or NONE,
            "Leave out": False,
        }
        for number, row in enumerate(rows)
    ]
    key = f"{key}-{fingerprint([row.image for row in rows])}"  # what is changed in a row belongs to its image
    new = st.text_input(
        "A class that is not in the list yet",
        placeholder="name of the new class",
        width=320,
        key=f"new-{key}",
    ).strip()
    options = list(dict.fromkeys([*manifest.classes, NONE, *([new] if new else [])]))
    edited = st.data_editor(
        table, hide_index=True, key=f"edit-{key}", row_height=72, disabled=["Image", "File", "Looks like", "Came as"],
        column_config={
            "Image": st.column_config.ImageColumn(width="small"),
            "Class": st.column_config.SelectboxColumn(options=options, required=True),
            "Leave out": st.column_config.CheckboxColumn(),
        },
    )  # fmt: skip
    out = [row.image for row, now in zip(rows, edited, strict=True) if now["Leave out"]]
    labels = {
        row.image: None if now["Class"] == NONE else now["Class"]
        for row, now in zip(rows, edited, strict=True)
        if now["Class"] != (row.label or NONE) and not now["Leave out"]
    }
    what = [f"{plural(len(labels), 'label')} changed"] if labels else []
    what += [f"{plural(len(out), 'image')} left out"] if out else []
    if st.button("Save as a new version", icon=":material/save:", disabled=not what):
        changed = relabel(manifest, labels) if labels else manifest
        changed = exclude(changed, out) if out else changed
        from dataclasses import replace

        save(replace(changed, parent=manifest.id), " and ".join(what))
    if what:
        st.caption(f"{', '.join(what)}: not saved yet.")


def _no_label(row: Row) -> str:
    return " or ".join(row.claims) + "?" if row.claims else NONE


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
