"""Take home: how do I use it elsewhere?"""

import io
from dataclasses import asdict

import streamlit as st

from pages.ui.adaptation import show_made_for
from pages.ui.bundle import CONTENTS, show_packed, show_progress
from pages.ui.in_use import get_wishes, how_right
from pages.ui.parts import finished_run, title
from pages.ui.state import get_calibration, get_lab, get_packer, get_report
from pages.ui.text import escape, plural
from transfer_core.bundle.subject import Options
from transfer_core.data.samples import NOTE
from transfer_core.evaluation.report import write_csv
from transfer_core.runs.take_home import find_packed

MOST_IMAGES = 8
lab, packer = get_lab(), get_packer()
title("How do I use it elsewhere?")
run = finished_run()
st.markdown(how_right(run))
show_made_for(run)
packed = find_packed(lab, run)
if packer.is_working(run.id):
    show_progress(run.id)
    st.stop()
if error := packer.error(run.id):
    st.error(escape(error), icon=":material/error:")
if packed:
    show_packed(run, packed)
    wishes = get_wishes(run)
    if wishes and packed.receipt["wishes"] != asdict(wishes):
        st.warning(
            "Thresholds or referral were decided anew since this bundle was made: put it together again.",
            icon=":material/update:",
        )
with st.container(border=True):
    st.markdown("#### Put it together again" if packed else "#### The bundle")
    if not packed:
        st.markdown("One zip with what is needed to use, check and explain the model elsewhere:")
        st.markdown("\n".join(f"- {each}" for each in CONTENTS))
    st.caption(
        "Not in it: whether an image is unlike the training images. Only the app (and `transfer-lab predict`) tells that and "
        "sends such an image to a person; the script's `to_a_person` goes by the probability alone."
    )
    tested = len(lab.library.get_split(run.manifest, run.spec.split).part("test"))
    count = min(MOST_IMAGES, tested)
    is_sample = lab.library.about(run.manifest).note == NOTE
    images = st.toggle(
        f"Put {plural(count, 'test image')} in, for the self-test",
        value=is_sample,
        key=f"images-{run.id}",
        help="They show that images are read right elsewhere too. They are images of your data set: leave them out where "
        "they must not leave. Without them the self-test uses drawn patterns.",
    )
    names = st.toggle(
        "Keep file and group names in the table of predictions",
        key=f"names-{run.id}",
        help="Names of files can hold names of people. Without them images are named by a hash, and groups by numbers.",
    )
    int8 = st.toggle(
        "Add a smaller model (8-bit integers)",
        help="About a quarter of the size, often faster. What it costs is measured here, on the test images, which takes "
        "a minute or two.",
    )
    if st.button(
        "Put the bundle together",
        type="secondary" if packed else "primary",
        icon=":material/inventory_2:",
    ):
        packer.start(run.id, Options(images=images, names=names, int8=int8))
        st.rerun()
with st.container(border=True):
    st.markdown("#### Predictions alone (CSV)")
    st.markdown(
        "Every image of the data set with its file, part, label and the probability of each class: calibrated, as everywhere in the app, and further right as trained."
    )
    text = io.StringIO()
    write_csv(get_report(run)[0], get_calibration(run), text)
    st.download_button(
        "Download the table",
        text.getvalue(),
        f"predictions-{run.id}.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )
with st.container(border=True):
    st.markdown("#### On the command line")
    st.code(
        f"uv run transfer-lab export {run.id} --to FOLDER\nuv run transfer-lab verify FOLDER\n"
        f"uv run transfer-lab predict {run.id} IMAGE...",
        language="bash",
    )
