"""How the domains (or classes) look on average, side by side."""

from __future__ import annotations

import streamlit as st

from pages.ui.charts import show_chart
from pages.ui.parts import PALETTE
from pages.ui.state import get_lab
from pages.ui.text import escape
from transfer_core.data.looks import Look, average_looks
from transfer_core.data.manifest import Manifest

MOST = 8


@st.cache_data(max_entries=8, show_spinner="Averaging")
def _looks(home: str, dataset: str) -> list[Look]:
    library = get_lab().library
    return average_looks(library.get(dataset), lambda image: library.thumb_path(image).read_bytes())


def show_looks(manifest: Manifest) -> None:
    """Offer the mean picture and the grey values of each domain; of each class where there are no domains."""
    parts = list(manifest.domains) or list(manifest.classes)
    if not 2 <= len(parts) <= MOST:
        return
    what = "domains" if manifest.domains else "classes"
    box = st.expander(
        f"How the {what} look on average", icon=":material/gradient:", on_change="rerun", key="looks"
    )
    if not box.open:
        return
    from transfer_core.figures import grey_curves  # plotly is slow to import

    found = _looks(str(get_lab().home), manifest.id)
    with box:
        for place, look in zip(st.columns(max(4, len(found))), found, strict=False):
            place.image(look.mean, width="stretch", alt=f"Mean of {look.images} images of {look.name}")
            place.caption(f"{escape(look.name)}, mean of {look.images}")
        colours = dict(zip((look.name for look in found), PALETTE, strict=False))
        show_chart(
            grey_curves({look.name: look.shares for look in found}, colours),
            alt=f"Grey values of the {what}",
        )
        st.caption("Where the curves lie apart, a classifier can tell the domains by brightness alone."
                   if manifest.domains else "Where the curves lie apart, brightness alone tells the classes.")  # fmt: skip
