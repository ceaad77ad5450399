"""Predict: what does it say about these?"""

import csv
import io
from collections import Counter

import streamlit as st

from pages.ui.adaptation import show_made_for
from pages.ui.parts import class_colours, finished_run, title
from pages.ui.state import get_helper, get_lab, get_manifest
from pages.ui.text import escape, measured, percent, plural
from transfer_core.data.images import SUFFIXES, make_thumbnail, to_rgb
from transfer_core.data.keep import keep
from transfer_core.errors import UserError
from transfer_core.evaluation.report import safe_cells

title("What does it say about these?")
run = finished_run()
manifest = get_manifest(run.manifest)
colours = class_colours(manifest.classes)
st.markdown(f"The model of **{escape(run.name)}**, {measured(get_lab().tested(run))}.")
show_made_for(run)
types = [each.lstrip(".") for each in SUFFIXES]
files = st.file_uploader("Drop images here", type=types, accept_multiple_files=True)
if not files:
    st.caption("The images are only looked at, not kept.")
    st.stop()

helper = get_helper()
words = "Looking" if helper.is_warm else "Starting the helper, which takes some ten seconds the first time"
contents: dict[str, bytes] = {}
names: Counter[str] = Counter()
for each in files:
    names[each.name] += 1  # two folders may hold files of one name
    twin = f"({names[each.name]}) " if names[each.name] > 1 else ""
    contents[twin + each.name] = each.getvalue()
try:
    with st.spinner(words, show_time=True):
        answer = helper.predict(run.id, contents)
except UserError as error:
    st.error(escape(error), icon=":material/error:")
    st.stop()
for problem in answer["problems"]:
    st.warning(f"{escape(problem['file'])}: {escape(problem['message'])}.", icon=":material/broken_image:")

predictions = answer["predictions"]


def bars(probabilities: dict[str, float]) -> str:
    """Return the classes as horizontal bars, the likeliest first."""
    from html import escape as escape_html

    rows = sorted(probabilities.items(), key=lambda each: -each[1])[:6]
    return "".join(
        f"<div style='margin:6px 0'><div style='display:flex;justify-content:space-between'>"
        f"<span>{escape_html(name)}</span><span style='font-variant-numeric:tabular-nums'>{percent(p)}</span></div>"
        f"<div style='height:8px;border-radius:4px;background:var(--lab-line)'><div style='height:8px;"
        f"border-radius:4px;width:{100 * p:.1f}%;background:{colours[name]}'></div></div></div>"
        for name, p in rows
    )


for prediction in predictions[:12]:
    with st.container(border=True):
        picture, words_column = st.columns([1, 3], gap="medium", vertical_alignment="center")
        label = prediction["class"]
        # As the model saw it: a scan or a 16-bit image is nothing a browser can show.
        seen = make_thumbnail(to_rgb(keep(contents[prediction["file"]])[0].image, manifest.reading), 360)
        picture.image(seen, width=180, alt=f"{prediction['file']}, said {label}")
        words_column.markdown(f"#### {escape(label)}  \n:gray[{escape(prediction['file'])}]")
        words_column.html(bars(prediction["probabilities"]))
if len(predictions) > 12:
    st.caption(f"The first 12 of {plural(len(predictions), 'image')}; the table has all.")
if predictions:
    table = [
        {
            "File": each["file"],
            "Class": each["class"],
            **{name: round(p, 4) for name, p in each["probabilities"].items()},
        }
        for each in predictions
    ]
    if len(predictions) > 1:
        share = st.column_config.NumberColumn(format="percent")
        columns = dict.fromkeys(predictions[0]["probabilities"], share)
        st.dataframe(table, hide_index=True, column_config=columns, alt="Every prediction")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(safe_cells(list(table[0])))
    writer.writerows(
        [[*safe_cells([str(row["File"]), str(row["Class"])]), *list(row.values())[2:]] for row in table]
    )
    st.download_button(
        "All as CSV", text.getvalue(), f"predictions-{run.id}.csv", "text/csv",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
