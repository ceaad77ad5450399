"""What is black and what is white in images of more than 8 bits, to be seen and to be changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from pages.ui.state import get_intake, get_lab, get_manifest
from pages.ui.text import escape
from transfer_core.data.depth import Values
from transfer_core.data.images import open_image, to_rgb
from transfer_core.data.manifest import Manifest, Reading

SHOWN = 4
LOOKED_AT = 40  # images in which deep ones are looked for
EDGE = 512  # pixels of a preview, about
OWN, ALL = "As each file asks", "One range for all"


@st.cache_resource(max_entries=4, show_spinner="Opening some images")
def _examples(home: str, dataset: str) -> list[Values]:
    """Return some images of more than 8 bits, from all over the data set, made small."""
    library, rows = get_lab().library, get_manifest(dataset).rows
    found: list[Values] = []
    for row in rows[:: max(1, len(rows) // LOOKED_AT)]:
        path = library.image_path(row.image)
        opened = open_image(path.read_bytes()) if path.exists() else None
        if isinstance(opened, Values):
            step = max(1, max(opened.values.shape[:2]) // EDGE)
            found.append(replace(opened, values=opened.values[::step, ::step]))
        if len(found) == SHOWN:
            break
    return found


def show_grey_range(manifest: Manifest) -> None:
    """Offer another black and white for all images, with a preview, where any image has more than 8 bits."""
    reading = manifest.reading
    if reading.depth == "full-range":
        return
    box = st.expander(
        "What is black and what is white", icon=":material/contrast:", on_change="rerun", key="grey"
    )
    if not box.open:
        return
    with box:
        examples = _examples(str(get_lab().home), manifest.id)
        if not examples:
            st.caption("No image of more than 8 bits was found.")
            return
        st.caption(
            "These images hold more grey values than a screen shows. The same choice is used in training and prediction."
        )
        wanted = _ask(reading, examples)
        for place, example in zip(st.columns(SHOWN), examples, strict=False):
            place.image(
                np.asarray(to_rgb(example, wanted)), width="stretch", alt="An image as it would be read"
            )
        if st.button(
            "Read all images this way",
            icon=":material/check:",
            disabled=wanted == reading,
            help="Makes a new version; this one stays as it is.",
        ):
            st.session_state["arrival"] = get_intake().add_reading(manifest, wanted).id
            st.rerun()


def _ask(reading: Reading, examples: list[Values]) -> Reading:
    ways = [OWN, ALL] if any(each.window for each in examples) else [ALL]
    now = ALL if reading.depth == "range" or OWN not in ways else OWN
    way = st.segmented_control("Black and white", ways, default=now, required=True) if len(ways) > 1 else ALL
    if way == OWN:
        windows = sorted({each.window for each in examples if each.window})
        shown = ", ".join(f"{low:g} to {high:g}" for low, high in windows[:3])
        st.caption(f"Windows of the images below: {escape(shown)}.")
        return replace(reading, depth="window")
    finite = [each.values[np.isfinite(each.values)] for each in examples]
    ends = [float(min(each.min() for each in finite)), float(max(each.max() for each in finite))]
    known = [end for end in (reading.low, reading.high) if end is not None]
    lowest, highest = min(ends + known), max(ends + known)
    if lowest >= highest:
        st.caption("All values in the images below are the same.")
        return reading
    whole = all(each.values.dtype.kind in "ui" for each in examples)
    if whole:
        lowest, highest = _widest(lowest, highest)
    low, high = st.slider(
        "From black to white",
        lowest,
        highest,
        (reading.low if reading.low is not None else lowest, reading.high if reading.high is not None else highest),
        step=1.0 if whole else (highest - lowest) / 1000,
        format="%.0f" if whole else "%.4g",
    )  # fmt: skip
    if low >= high:
        st.warning("White has to be brighter than black.", icon=":material/warning:")
        return reading
    return replace(reading, depth="range" if OWN in ways else reading.depth, low=low, high=high)


def _widest(lowest: float, highest: float) -> tuple[float, float]:
    """Return the ends of the numbers that have as many bits as these: 0 to 4095 for what has 12, whatever is in the images."""
    bits = int(max(highest, -lowest - 1, 255)).bit_length()
    return (-(2.0**bits) if lowest < 0 else 0.0), 2.0**bits - 1
