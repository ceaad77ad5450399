"""Say which images belong together: of one patient, part or module. A split then keeps them on one side."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from pages.ui.health import save
from pages.ui.state import get_lab, get_manifest
from pages.ui.text import escape, plural
from transfer_core.data.column_names import names_person
from transfer_core.data.edit import set_groups
from transfer_core.data.grouping import COLUMN, PATTERNS, match_groups, offer_ways
from transfer_core.data.manifest import Manifest
from transfer_core.errors import UserError

OWN = "A pattern of your own"


@st.cache_resource(max_entries=4, show_spinner="Looking at the names")
def _ways(home: str, dataset: str) -> dict[str, list[str | None]]:
    return offer_ways(get_manifest(dataset))


@st.cache_resource(max_entries=4, show_spinner="Looking at the names")
def _own_way(home: str, dataset: str, pattern: str) -> list[str | None]:
    return match_groups([row.path for row in get_manifest(dataset).rows], pattern)


def ask_groups(manifest: Manifest) -> None:
    """Offer groups from file names or from a column of the table of labels, with a preview before anything changes."""
    has = f"{plural(len(manifest.groups), 'group')}" if manifest.groups else "none yet"
    box = st.expander(
        f"Which images belong together? ({has})", icon=":material/groups:", on_change="rerun", key="groups"
    )
    if not box.open:
        return
    with box:
        st.caption(
            "Several images of one patient, part or module must not be on both sides of a split, or the test flatters. "
            "Say how to tell them."
        )
        ways = _ways(str(get_lab().home), manifest.id)
        way = st.selectbox("Told by", [*ways, OWN])
        pattern = PATTERNS.get(way, "")
        try:
            if way == OWN:
                pattern = st.text_input("Regular expression; its first bracket is the group", r"(\d+)")
                groups = _own_way(str(get_lab().home), manifest.id, pattern)
            else:
                groups = ways[way]
        except UserError as error:
            st.warning(escape(error), icon=":material/warning:")
            return
        hidden = way.startswith(COLUMN) and names_person(way.removeprefix(COLUMN))
        if hidden:
            groups = [get_lab().library.pseudonym(group) if group else None for group in groups]
        paths = [row.path for row in manifest.rows]
        counts = Counter(group for group in groups if group)
        alone = len(paths) - counts.total()
        words = (
            f"{plural(len(counts), 'group')} of {min(counts.values()):,} to {max(counts.values()):,} images"
        )
        st.markdown(f"**{words}**" + (f"; {plural(alone, 'image')} in none." if alone else "."))
        st.dataframe(
            [
                {"File": path, "Group": group or ""}
                for path, group in list(zip(paths, groups, strict=True))[:6]
            ],
            hide_index=True,
        )
        if not hidden:
            st.caption(
                "These groups are kept as you see them here, names of persons too: they are not hidden behind a hash."
            )
        if len(counts) < 3:
            st.caption("A split needs at least three groups.")
        if st.button("Use these groups", icon=":material/check:", disabled=len(counts) < 3):
            wanted = {row.image: group for row, group in zip(manifest.rows, groups, strict=True)}
            told = way if way.startswith(COLUMN) else way.lower()
            save(set_groups(manifest, wanted), f"{len(counts):,} groups, told by {told}", pattern)
