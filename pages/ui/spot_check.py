"""Labelling a few unseen images by hand, one at a time, so that a run on a target without labels can be measured."""

from __future__ import annotations

import streamlit as st

from pages.ui.parts import picture
from pages.ui.state import get_lab
from pages.ui.text import escape, plural
from transfer_core.data.manifest import Manifest
from transfer_core.runs.run import Run

MOST = 6  # classes that get a button each; more are chosen from a list
GIVEN = "spot-check"  # (data set, image) answered in this session, the last one last


@st.fragment
def show_spot_check(run: Run, manifest: Manifest) -> None:
    """Ask for the class of one image after the other; nothing where there is nothing to ask."""
    check = get_lab().spot_check(run)
    given, total = len(check.images) - len(check.open), len(check.images)
    if not check.open:
        if st.session_state.pop(GIVEN, None):
            st.rerun()  # the whole page, which now has figures
        return
    with st.container(border=True):
        st.markdown("#### Find out by hand")
        st.markdown(
            f"Say of {plural(total, 'unseen image')}, drawn at random, which class each is. What the runs say is not shown, so "
            "it cannot sway you; figures come once all are labelled. Each answer is kept at once: go on whenever you like."
        )
        if given or GIVEN in st.session_state:
            st.progress(given / total, f"{given} of {total} labelled")
            _ask(run, manifest, check.open[0])
        else:
            label = f"Label {plural(total, 'image')} to find out"
            st.button(label, type="primary", icon=":material/label:", on_click=_begin)


def _ask(run: Run, manifest: Manifest, image: str) -> None:
    left, right = st.columns([2, 3], gap="large", vertical_alignment="center")
    shown = picture(manifest.by_image[image])
    if shown.exists():
        left.image(shown.read_bytes(), width=360, alt="The image to label")
    with right:
        st.markdown("**Which class is it?**")
        if len(manifest.classes) <= MOST:
            for name in manifest.classes:
                st.button(
                    escape(name), key=f"is-{name}", width="stretch", on_click=_keep, args=(run, image, name)
                )
        else:
            name = st.selectbox("Class", manifest.classes, index=None, key=f"class-of-{image}")
            st.button("Keep", disabled=name is None, on_click=_keep, args=(run, image, name))
        with st.container(horizontal=True):
            st.button(
                "Cannot tell", icon=":material/question_mark:", help="The image then does not count.",
                on_click=_keep, args=(run, image, None),
            )  # fmt: skip
            given = st.session_state.get(GIVEN)
            st.button("Undo", icon=":material/undo:", disabled=not given, on_click=_undo)


def _begin() -> None:
    st.session_state[GIVEN] = []


def _keep(run: Run, image: str, answer: str | None) -> None:
    get_lab().library.answer(run.manifest, image, answer)
    st.session_state[GIVEN] = [*st.session_state.get(GIVEN, []), (run.manifest, image)]


def _undo() -> None:
    get_lab().library.forget_answer(*st.session_state[GIVEN].pop())
