"""A whole class explained: where the model looks on average, and the images most typical of what it calls so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import streamlit as st
from PIL import Image

from pages.ui.heat import explained, picture_of, show_scale
from pages.ui.in_use import by_likeliest
from pages.ui.text import escape, plural
from pages.ui.why import Said, show_gallery, typical
from transfer_core.data.images import to_pixels
from transfer_core.evaluation.heat import Heat, draw_heat, to_png
from transfer_core.evaluation.report import Report
from transfer_core.runs.store import Run

MOST = 64
TYPICAL = 6
SIDE = 224


def show_class(run: Run, report: Report, test: list[Said]) -> None:
    """Show the mean map over the mean picture of what is said to be a class, and the most typical of it."""
    name = st.selectbox("Class", report.classes, key="why-class")
    own = sorted(
        (each for each in test if each.label == name), key=lambda each: each.row.image
    )  # a hash: no order
    if not own:
        st.info(f"No unseen image is said to be {escape(name)}.", icon=":material/info:")
        return
    some = own[:MOST]
    maps = explained(run, {each.row.image: name for each in some})
    with st.container(key="wrap-page"):
        left, right = st.columns([2, 3], gap="large")
    mean = np.mean([maps[each.row.image] for each in some], axis=0).astype(np.float32)
    with left:
        picture = _mean_picture(run.manifest, run.spec.geometry, [each.row.image for each in some])
        shown = draw_heat(Image.fromarray(picture), _unit(mean), "whole", 0.6, 420)
        st.image(to_png(shown), width=420, alt=f"Mean of the images said to be {name}, with their mean heat")
        show_scale(0.6)
    with right:
        drawn = f"{len(some)} of the {len(own)}" if len(own) > len(some) else f"all {len(own)}"
        right_ones = sum(each.right is True for each in own)
        known = sum(each.right is not None for each in own)
        st.markdown(f"#### Said to be {escape(name)}{by_likeliest(run)}: {plural(len(own), 'unseen image')}")
        if known:
            st.markdown(f"{right_ones} of {known} with a label are {escape(name)}.")
        st.markdown(
            f"The mean heat of {drawn}, over their mean picture. It tells something where images show their subject in "
            "the same place, as scans and parts on a line do: heat at the rim, at a corner mark or at a label means "
            "that the model may go by something that has nothing to do with the subject."
        )
    st.markdown("##### Most typical")
    st.caption("Nearest to the mean of all of them, by the features that the model decides by.")
    best = typical(run, report, [each.row.image for each in own], TYPICAL)
    by_image = {each.row.image: each for each in own}
    show_gallery(run, [by_image[image] for image in best], key="typical", heat=True, most=TYPICAL)


@st.cache_data(max_entries=20, show_spinner=False)
def _mean_picture(manifest: str, geometry: str, images: list[str]) -> npt.NDArray[np.uint8]:
    """Return the mean [s, s, 3] of images as squares."""
    squares = [to_pixels(picture_of(manifest, image, SIDE), SIDE, geometry) for image in images]
    mean = np.mean(squares, axis=0, dtype=np.float64)
    return np.asarray(mean.round().transpose(1, 2, 0), np.uint8)


def _unit(mean: Heat) -> Heat:
    return mean / mean.max() if mean.max() > 0 else mean
