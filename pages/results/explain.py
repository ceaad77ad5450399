"""Explain: what did it look at?"""

import streamlit as st

from pages.ui.class_heat import show_class
from pages.ui.feature_map import show_maps
from pages.ui.in_use import by_likeliest
from pages.ui.parts import finished_run, title
from pages.ui.state import get_calibration, get_report
from pages.ui.text import plural
from pages.ui.why import all_said, show_gallery, show_image

VIEWS = {
    "image": ":material/image: One image",
    "class": ":material/category: A whole class",
    "map": ":material/scatter_plot: Map of images",
}
title("What did it look at?")
run = finished_run()
report, _ = get_report(run)
said = all_said(report, get_calibration(run))
test = [each for each in said.values() if each.part == "test"] or list(said.values())
mistakes = sorted((each for each in test if each.right is False), key=lambda each: -each.sure)
worst_first = mistakes + sorted(
    (each for each in test if each.right is not False), key=lambda each: each.sure
)

link = str(st.query_params.get("image", ""))
if link and link not in said:
    st.warning("This link names an image that this run has not seen.", icon=":material/search_off:")
opened = said.get(link) or worst_first[0]
if st.session_state.get("why-opened"):  # by a button below another view, or on another page
    st.session_state["why-view"] = "image"
st.session_state.setdefault("why-view", "image")
view = st.segmented_control(
    "View", list(VIEWS), format_func=VIEWS.__getitem__, key="why-view", required=True,
    label_visibility="collapsed",
)  # fmt: skip

if view == "class":
    show_class(run, report, test)
    st.stop()
if view == "map":
    picked = show_maps(run, report, said)
    if picked:
        st.query_params["image"] = link = picked
    if link not in said:
        st.caption("Point at a dot to see its image; click it to see what the model looked at.")
        st.stop()
    opened = said[link]

show_image(run, report, opened)

if view == "image":
    st.markdown("#### Other images")
    shown = {
        f"Mistakes, the surest first ({len(mistakes)})": mistakes,
        f"All unseen images, mistakes first ({len(test):,})": worst_first,
    }
    for name in report.classes:
        own = [each for each in worst_first if each.label == name]
        shown[f"Said to be {name}{by_likeliest(run)} ({len(own):,})"] = own
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = st.selectbox(
            "Show", list(shown), index=0 if mistakes else 1, key=f"why-which-{run.id}", width=420
        )
        heat = st.toggle("Show what it looked at", key="why-heat")
    if shown[which]:
        show_gallery(run, shown[which], key=f"others-{run.id}", heat=heat)
    else:
        st.caption(f"None of {plural(len(test), 'unseen image')}.")
