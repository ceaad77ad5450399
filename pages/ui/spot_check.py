"""Labelling a few unseen images by hand, one at a time, so that a run on a target without labels can be measured."""

from __future__ import annotations

import streamlit as st

from pages.ui.parts import picture
from pages.ui.saying import clicked
from pages.ui.state import get_lab
from pages.ui.text import escape, plural
from transfer_core.data.manifest import Manifest
from transfer_core.data.spot_check import SpotCheck
from transfer_core.errors import UserError
from transfer_core.runs.run import Run

MOST = 6  # classes that get a button each; more are chosen from a list
BEGUN = "spot-check"  # the last data set whose labelling was begun in this session


def show_spot_check(run: Run, manifest: Manifest) -> None:
    """Ask for the class of one image after the other, or offer to take the last answer back; nothing for other runs."""
    check = get_lab().spot_check(run)
    if check.open:
        _ask_on(run, manifest)
    elif check.images:
        if not any(check.answers.get(image) for image in check.images):
            st.markdown("Of none of the images could the class be told.")
        st.button("Take back the last answer", icon=":material/undo:", on_click=clicked(_undo), args=(run,))


@st.fragment
def _ask_on(run: Run, manifest: Manifest) -> None:
    check = get_lab().spot_check(run)
    given, total = len(check.images) - len(check.open), len(check.images)
    if not check.open:
        st.rerun()  # the whole page, which now has figures
    with st.container(border=True):
        st.markdown("#### Find out by hand")
        st.markdown(
            f"Say of {plural(total, 'unseen image')}, drawn at random, which class each is. What the runs say is not shown, so "
            "it cannot sway you; figures come once all are labelled. Each answer is kept at once: go on whenever you like."
        )
        if problem := st.session_state.pop("spot-check-problem", None):
            st.error(escape(problem), icon=":material/error:")
        if given or st.session_state.get(BEGUN) == run.manifest:
            st.progress(given / total, f"{given} of {total} labelled")
            _ask(run, manifest, check)
        else:
            label = f"Label {plural(total, 'image')} to find out"
            st.button(label, type="primary", icon=":material/label:", on_click=_begin, args=(run,))


def _ask(run: Run, manifest: Manifest, check: SpotCheck) -> None:
    image = check.open[0]
    left, right = st.columns([2, 3], gap="large", vertical_alignment="center")
    shown = picture(manifest.by_image[image])
    if shown.exists():
        left.image(shown.read_bytes(), width=360, alt="The image to label")
    with right:
        st.markdown("**Which class is it?**")
        # The image is in the keys: a second click, meant for this image, must not answer for the next one.
        if len(manifest.classes) <= MOST:
            for name in manifest.classes:
                st.button(
                    escape(name),
                    key=f"is-{image}-{name}",
                    width="stretch",
                    on_click=_keep,
                    args=(run, image, name),
                )
        else:
            name = st.selectbox("Class", manifest.classes, index=None, key=f"class-of-{image}")
            st.button(
                "Keep", key=f"keep-{image}", disabled=name is None, on_click=_keep, args=(run, image, name)
            )
        with st.container(horizontal=True):
            st.button(
                "Cannot tell", key=f"unsure-{image}", icon=":material/question_mark:", on_click=_keep,
                args=(run, image, None), help="The image then does not count.",
            )  # fmt: skip
            none = len(check.open) == len(check.images)
            st.button("Undo", icon=":material/undo:", disabled=none, on_click=clicked(_undo), args=(run,))


def _begin(run: Run) -> None:
    st.session_state[BEGUN] = run.manifest


def _keep(run: Run, image: str, answer: str | None) -> None:
    try:
        get_lab().library.answer(run.manifest, image, answer)
    except UserError as error:
        st.session_state["spot-check-problem"] = str(error)


def _undo(run: Run) -> None:
    lab = get_lab()
    given = [image for image in lab.library.answers(run.manifest) if image in lab.spot_check(run).images]
    if given:
        lab.library.forget_answer(run.manifest, given[-1])
