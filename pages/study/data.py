"""Data: what have I got?"""

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from pages.ui.bring import ask_table, bring_files, show_unread, waiting_upload
from pages.ui.charts import show_chart
from pages.ui.grey import show_grey_range
from pages.ui.groups import ask_groups
from pages.ui.health import show_health
from pages.ui.images import show_images
from pages.ui.looks import show_looks
from pages.ui.parts import arrivals, bring_cards, class_colours, settle_arrival, title
from pages.ui.problems import show_problems, sort_problems
from pages.ui.state import choose, current_data, get_intake, get_lab, go
from pages.ui.text import escape
from transfer_core.data.problems import count_problems
from transfer_core.runs.housekeeping import delete_dataset, dependents, weigh_dataset
from transfer_core.runs.run import Run

WEIGHED = "weighed"  # what would go, and of what that was said
lab = get_lab()


def show_damaged() -> None:
    """Say which data sets are damaged, and offer to delete each."""
    for each in lab.library.datasets():
        if each.damage:
            st.error(f"**{escape(each.name)}**: {escape(each.damage)}", icon=":material/broken_image:")
            runs = dependents(lab.store, each.id)
            words = f"Delete it with its {len(runs)} run{'s' * (len(runs) != 1)}" if runs else "Delete it"
            sure = st.checkbox("I want to delete all of it", key=f"sure-{each.id}")
            if st.button(words, key=f"delete-{each.id}", icon=":material/delete:", disabled=not sure):
                receipt = delete_dataset(lab.store, lab.library, each.id)
                choose(data=None, split=None, run=None)
                st.session_state["receipt"] = f"Deleted {escape(receipt.what)}: {receipt}."
                st.rerun()


settle_arrival()
if st.session_state.get("arrival"):
    title("What have I got?")
    arrivals()
    st.caption("You may leave this page or close the browser: reading goes on.")
    st.stop()
upload = waiting_upload()
if upload is not None:
    title("What do the labels say?")
    ask_table(upload)
    st.stop()
show_damaged()
manifest = current_data("What have I got?")
if manifest is None:
    if under_way := [each for each in get_intake().arrivals() if not each.is_over]:
        st.session_state["arrival"] = under_way[-1].id  # begun before a reload, or in another window
        st.rerun()
    title("What have I got?", "Nothing yet. Train an image classifier on your own pictures; no code.")
    show_unread()
    bring_cards()
    st.stop()

about = lab.library.about(manifest.id)
title(escape(about.name), escape(about.note))
show_unread()
brought = datetime.fromisoformat(about.created).astimezone()
st.caption(f"Since {brought:%d %b %Y, %H:%M} · {about.id[:8]}")
has_before = manifest.parent in {each.id for each in lab.library.datasets()}
if has_before and st.button("Back to the version before", icon=":material/undo:", type="tertiary"):
    choose(data=manifest.parent, split=None, run=None)
    st.rerun()
with st.container(key="wrap-facts"):
    facts = {"Images": len(manifest.rows), "Classes": len(manifest.classes)}
    unlabelled = len(manifest.rows) - len(manifest.labelled)
    facts |= {"Without a label": unlabelled} if unlabelled else {}
    facts |= {"Domains": len(manifest.domains)} if manifest.domains else {}
    facts |= {"Groups": len(manifest.groups)} if manifest.groups else {}
    problems, notes = sort_problems(about.problems)
    facts |= {"Problems": count_problems(problems).total()}
    for place, (name, count) in zip(st.columns(len(facts)), facts.items(), strict=True):
        place.metric(name, f"{count:,}", border=True)

if len(manifest.classes) < 2:
    st.warning(
        "Training needs images of at least two classes: bring one folder per class.",
        icon=":material/warning:",
    )
elif st.button("Continue to the split", type="primary", icon=":material/arrow_forward:"):
    go("study/split.py")

from transfer_core.figures import class_bars  # noqa: E402 - plotly is slow to import

colours = class_colours(manifest.classes)
if manifest.classes:
    show_chart(
        class_bars(manifest.class_counts_by_domain(), colours),
        alt="Images per class and domain",
    )

show_looks(manifest)
show_grey_range(manifest)
show_health(manifest)

show_images(manifest)
ask_groups(manifest)

show_problems(problems, notes)

with st.expander("Bring other images", icon=":material/add_photo_alternate:"):
    way = st.segmented_control("As", ["Another data set", "More of this one"], default="Another data set", required=True,
                               label_visibility="collapsed")  # fmt: skip
    if way == "More of this one":
        st.caption("They are read as this set is; the result is a new version, and this one stays as it is.")
        bring_files(parent=manifest.id, is_main=True)
    else:
        bring_cards()


def weighed(runs: Sequence[Run]) -> str:
    """Return in words what would go with the data set and its runs: weighed as the box is opened, not as often as the page is drawn.

    All manifests and files are looked at for it, so it is done anew only where a data set or a run came, went or changed,
    and once more when somebody says yes.
    """
    others = tuple(each.id for each in lab.library.datasets())
    sure = bool(st.session_state.get(f"sure-{manifest.id}"))
    asked = manifest.id, others, tuple((each.id, each.state) for each in runs), sure
    if st.session_state.get(WEIGHED, ("", ""))[0] != asked:
        st.session_state[WEIGHED] = asked, str(weigh_dataset(lab.store, lab.library, manifest.id))
    return str(st.session_state[WEIGHED][1])


box = st.expander("Rename or delete", icon=":material/more_horiz:", on_change="rerun", key="keep-house")
if box.open:
    with box:
        name = st.text_input("Name", about.name, key=f"name-{manifest.id}")
        if st.button("Rename", disabled=name.strip() in ("", about.name)):
            lab.library.rename(manifest.id, name)
            st.rerun()
        st.divider()
        runs = dependents(lab.store, manifest.id)
        st.markdown(f"Deleting removes for good: {weighed(runs)}.")
        for run in runs:
            st.markdown(f"- {escape(run.name)}")
        # The data set is in the keys: what was said of one is not said of another.
        sure = st.checkbox("I want to delete all of this", key=f"sure-{manifest.id}")
        if st.button(
            "Delete the data set", key=f"delete-{manifest.id}", icon=":material/delete:", disabled=not sure
        ):
            receipt = delete_dataset(lab.store, lab.library, manifest.id)
            choose(data=None, split=None, run=None)
            st.session_state["receipt"] = f"Deleted {escape(receipt.what)}: {receipt}."
            st.rerun()
else:
    st.session_state.pop(WEIGHED, None)  # opened again, it is weighed again
