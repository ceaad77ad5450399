"""One image explained: the picture with heat for a class, what is said of it, and training images like it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.ui.heat import HONEST, explained, overlay, show_scale
from pages.ui.parts import picture
from pages.ui.state import get_lab, link_params
from pages.ui.text import escape, percent
from transfer_core.data.manifest import Row
from transfer_core.errors import UserError
from transfer_core.evaluation.decision import Decision
from transfer_core.evaluation.heat import Heat
from transfer_core.evaluation.report import Report, load_features
from transfer_core.figures import PART_NAMES
from transfer_core.runs.likeness import agreement, similar_to
from transfer_core.runs.store import Run

PAGE = "results/explain.py"
PER_PAGE = 12
SMALL = 240  # pixels of a picture in a grid


@dataclass(frozen=True)
class Said:
    """One image of a report, and what is said of it; `sure`: its calibrated probability."""

    row: Row
    part: str
    label: str
    sure: float

    @property
    def right(self) -> bool | None:
        """Whether what is said is true; None where that is not known."""
        return None if self.row.label is None else self.row.label == self.label

    @property
    def words(self) -> str:
        """What is said and what it is, in markdown."""
        said = f"said {escape(self.label)} ({percent(self.sure, 0)})"
        if self.right is None:
            return said
        return (
            f"right: {escape(self.label)} ({percent(self.sure, 0)})"
            if self.right
            else f"is {escape(self.row.label)}, {said}"
        )


def all_said(report: Report, decision: Decision, images: Collection[str] | None = None) -> dict[str, Said]:
    """Return what is said of each image of a report, or of some."""
    classes = report.manifest.classes
    numbers, sure = report.probabilities.argmax(1), decision.calibrated(report.probabilities).max(1)
    rows = report.manifest.by_image
    return {
        image: Said(rows[image], part, classes[int(number)], float(share))
        for image, part, number, share in zip(report.images, report.parts, numbers, sure, strict=True)
        if images is None or image in images
    }


def open_image(image: str) -> None:
    """Open an image on the Explain page."""
    st.session_state["why-opened"] = image
    st.switch_page(PAGE, query_params=link_params() | {"image": image})


def show_image(run: Run, report: Report, said: Said) -> None:
    """Show one image: heat over it on the left, what is known of it and what it is like on the right."""
    _scroll_up(said.row.image)
    with st.container(key="wrap-page"):
        left, right = st.columns([6, 5], gap="large")
    with right:
        _facts(said)
        classes = sorted(report.classes, key=lambda name: name != said.label)
        wanted = st.selectbox(
            "Explain", classes, key=f"why-{said.row.image}", help="What speaks for this class, and not for the others.",
            format_func=lambda name: f"{name} (said)" if name == said.label else f"Why not {name}?",
        )  # fmt: skip
        opacity = (
            st.slider("Strength of the colours", 0, 100, 60, 10, format="%d %%", key="why-opacity") / 100
        )
    with left:
        heat = explained(run, {said.row.image: wanted})[said.row.image]
        st.image(overlay(run, said.row.image, heat, opacity, 560), width=560,
                 alt=f"{said.row.path}: where the score of {wanted} is sensitive")  # fmt: skip
        if heat.any():
            show_scale(opacity)
        else:
            st.info(f"Nothing in this image speaks for {escape(wanted)} more than for the other classes.",
                    icon=":material/info:")  # fmt: skip
        st.caption(HONEST)
    with right:
        _similar(run, report, said)


def _scroll_up(image: str) -> None:
    """Bring a newly opened image into view: what opened it lay further down."""
    if st.session_state.pop("why-opened", None) == image:
        script = "document.querySelector('[data-testid=stMain]')?.scrollTo({top: 0})"
        st.html(f"<script>/* {image} */ {script}</script>", unsafe_allow_javascript=True)


def _facts(said: Said) -> None:
    icon = {True: ":material/check_circle:", False: ":material/cancel:", None: ":material/help:"}[said.right]
    truth = f"Labelled {escape(said.row.label)}" if said.row.label else "It has no label"
    verdict = {True: "right", False: "wrong", None: "cannot be checked"}[said.right]
    st.markdown(f"#### {icon} Said {escape(said.label)}, {verdict}")
    st.markdown(f"{percent(said.sure)} sure. {truth}.")
    facts = [
        said.row.path.rpartition("/")[2],
        PART_NAMES.get(said.part, said.part),
        said.row.domain,
        said.row.group,
    ]
    st.caption(escape(" · ".join(filter(None, facts))))
    if said.part == "train":
        st.caption("Training has seen this image and its label: how well it does here says little.")


def _similar(run: Run, report: Report, said: Said) -> None:
    st.markdown("##### Training images like it")
    try:
        features = load_features(get_lab().store.folder(run.id))
        similar = similar_to(report, features, said.row.image)
    except UserError as error:
        st.caption(escape(error))
        return
    agreeing, known = agreement(similar, said.label)
    if known:
        st.markdown(f"{agreeing} of {known} are labelled {escape(said.label)}, as is said of this one.")
    with st.container(key="wrap-gallery-similar"):
        places = st.columns(len(similar) or 1)
    for place, each in zip(places, similar, strict=False):
        path = picture(report.manifest.by_image[each.image])
        if path.exists():
            place.image(
                path.read_bytes(), width="stretch", alt=f"{each.file}, {each.label or 'label not used'}"
            )
        words = [escape(each.label) if each.label else "label not used", f"{each.similarity:.2f}"]
        place.caption("  \n".join([*words, *([escape(each.domain)] if each.domain else [])]))
    st.caption(
        "Most alike first, by the cosine of their features (1: the same). The same picture under another name is left out."
    )


def show_gallery(run: Run, chosen: list[Said], *, key: str, heat: bool, most: int | None = None) -> None:
    """Show images in a grid, with heat over them if wanted; each can be opened on the Explain page."""
    pages = max(1, -(-len(chosen) // PER_PAGE))
    number = st.pagination(pages, key=f"why-page-{key}") if pages > 1 and most is None else 1
    shown = chosen[:most] if most else chosen[(number - 1) * PER_PAGE : number * PER_PAGE]
    maps = _maps(run, shown) if heat else {}
    with st.container(key=f"wrap-gallery-{key}"):
        places = [place for _ in range(0, len(shown), 6) for place in st.columns(6)]
    for place, each in zip(places, shown, strict=False):
        image = each.row.image
        path = picture(each.row)
        alt = f"{each.row.path.rpartition('/')[2]}, said {each.label}"
        if image in maps:
            place.image(overlay(run, image, maps[image], 0.6, SMALL), width="stretch", alt=alt)
        elif path.exists():
            place.image(path.read_bytes(), width="stretch", alt=alt)
        place.caption(f"{each.words}  \n{escape(each.row.path.rpartition('/')[2])}")
        if place.button("Explain", key=f"why-{key}-{image}", type="tertiary", icon=":material/visibility:"):
            open_image(image)
    if heat and shown:
        show_scale(0.6)


def _maps(run: Run, shown: list[Said]) -> dict[str, Heat]:
    """Return the maps of what is said of images; where there are none the pictures stand alone, and why is told."""
    try:
        return explained(run, {each.row.image: each.label for each in shown})
    except UserError as error:
        st.error(escape(error), icon=":material/error:")
        return {}


def typical(run: Run, report: Report, images: list[str], k: int) -> list[str]:
    """Return the images most like the mean of all by their features; where none were kept, those it is surest of."""
    from transfer_core.evaluation.similar import most_typical

    place = {image: number for number, image in enumerate(report.images)}
    own = [place[image] for image in images]
    try:
        features = load_features(get_lab().store.folder(run.id))
    except UserError:
        order = np.argsort(-report.probabilities[own].max(1), kind="stable")[:k]
        return [images[number] for number in order]
    return [report.images[number] for number in most_typical(features, own, k)]
