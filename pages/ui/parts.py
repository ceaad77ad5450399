"""Pieces that several pages show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.ui.bring import bring_files, bring_folder
from pages.ui.state import choose, current_run, get_intake, get_lab, go
from pages.ui.text import ago, duration, escape, right_on
from transfer_core.data.manifest import Row
from transfer_core.data.samples import has_solar_cells, solar_cell_previews
from transfer_core.evaluation.words import by_hand
from transfer_core.runs.store import Run

# Okabe and Ito 2008: told apart by every kind of colour vision. The same class, the same colour.
PALETTE = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#888888")
STATES = {
    "queued": (":material/schedule:", "gray", "Waiting"),
    "running": (":material/play_circle:", "blue", "Training"),
    "stopping": (":material/stop_circle:", "blue", "Stopping"),
    "done": (":material/check_circle:", "green", "Done"),
    "stopped": (":material/stop_circle:", "gray", "Stopped"),
    "failed": (":material/error:", "red", "Failed"),
    "lost": (":material/link_off:", "orange", "Interrupted"),
}


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """Return the colour of each class; beyond eight they repeat, so labels always stand beside them."""
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(classes)}


def title(question: str, about: str = "") -> None:
    """Show the page's one question, and a sentence on it."""
    st.title(question, anchor=False)
    if about:
        st.markdown(f":gray[{about}]")


def missing(sentence: str, label: str, page: str, icon: str = ":material/arrow_forward:") -> None:
    """Say what is missing here, offer the button that gets it, and end the page."""
    if page == "train/new_run.py" and not get_lab().library.datasets():
        sentence, label, page = f"{sentence} Images come first.", "Bring images", "study/data.py"
    with st.container(border=True):
        st.markdown(sentence)
        if st.button(label, type="primary", icon=icon):
            go(page)
    st.stop()


def finished_run() -> Run:
    """Return the chosen run; where it has no model, say so and end the page."""
    run = current_run(finished=True)
    if run is None:
        missing("There is no finished model yet.", "Set up a run", "train/new_run.py")
    elif not run.result:
        sentence = f"**{escape(run.name)}** has no model ({STATES[run.state][2].lower()}). Choose another run on the left."
        missing(sentence, "Open it", "train/live.py")
    assert run is not None
    return run


def state_badge(run: Run) -> None:
    """Show a run's state."""
    icon, colour, word = STATES[run.state]
    st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type]


def card(key: str, is_chosen: bool, *, closed: bool = False) -> DeltaGenerator:
    """Return a bordered container for one of several choices; the chosen one carries the accent colour, a closed one is grey."""
    if closed:
        grey = "color-mix(in srgb, var(--lab-line) 30%, transparent)"
        st.html(f"<style>.st-key-card-{key}{{border-style:dashed;background:{grey}}}</style>")
    if is_chosen:
        colour = "var(--lab-accent)"
        box = f"border-color:{colour};box-shadow:inset 0 0 0 1px {colour}"
        st.html(f"<style>.st-key-card-{key}{{{box}}}</style>")
    return st.container(border=True, height="stretch", key=f"card-{key}")


def figure_card(place: DeltaGenerator, label: str, value: str, under: str, about: str | None = None) -> None:
    """Show one figure in a box, with what belongs to it in small below."""
    with place.container(border=True, height="stretch"):
        st.metric(label, value, help=about)
        st.caption(under)


def run_line(run: Run) -> str:
    """Return a run in one line of markdown: accuracy or state, and how long ago."""
    if run.result:
        test = get_lab().tested(run)
        right = f"{right_on(test)} of unseen images right" if test["n"] else "no labels to measure by"
        return ", ".join(filter(None, (right, by_hand(test), ago(run.created))))
    return f"{STATES[run.state][2].lower()}, {ago(run.created)}"


def gallery(
    rows: Sequence[Row], captions: Sequence[str] | None = None, *, key: str = "all", columns: int = 6
) -> None:
    """Show thumbnails in a grid, each with a caption (markdown, already escaped)."""
    with st.container(key=f"wrap-gallery-{key}"):
        places = [place for _ in range(0, len(rows), columns) for place in st.columns(columns)]
    for index, (row, column) in enumerate(zip(rows, places, strict=False)):
        path = picture(row)
        if path.exists():
            alt = f"{Path(row.path).name}, {row.label or 'unlabelled'}"
            column.image(path.read_bytes(), width="stretch", alt=alt)
        if captions:
            column.caption(captions[index])


def picture(row: Row) -> Path:
    """Return what to show of an image: itself where it is small and plain enough, because it is sharper, else its thumbnail."""
    library = get_lab().library
    stored = library.image_path(row.image)
    small = row.width * row.height <= 250_000 and row.path.lower().endswith((".png", ".jpg", ".jpeg"))
    return stored if small and not _is_deep(stored) else library.thumb_path(row.image)


def _is_deep(path: Path) -> bool:
    """Tell whether a browser would show an image otherwise than training sees it: a PNG of 16 bits."""
    with path.open("rb") as file:
        head = file.read(25)
    return head.startswith(b"\x89PNG") and head[24] > 8


def bring_cards() -> None:
    """Show the two ways to get images: the sample, and one's own. Once there is a data set, one's own is the main one."""
    is_first = not get_lab().library.datasets()
    with st.container(key="wrap-bring"):
        left, right = st.columns(2, gap="medium")
    with left.container(border=True, height="stretch"):
        st.markdown("#### :material/solar_power: Try it on solar cells")
        st.markdown(
            "2,624 real electroluminescence images of solar cells, sound or defective, of two kinds. "
            "Ready in about ten seconds."
        )
        if has_solar_cells():
            pictures = solar_cell_previews()
            for place, picture in zip(st.columns(4), pictures, strict=False):
                place.image(picture, width="stretch", alt="a solar cell, seen by electroluminescence")
            kind: Literal["primary", "secondary"] = "primary" if is_first else "secondary"
            if st.button("Try it on solar cells", type=kind, icon=":material/play_arrow:"):
                st.session_state["arrival"] = get_intake().add_sample().id
                go("study/data.py")
        else:
            st.info("Not installed here: run `uv sync --group samples` or `pip install elpv-dataset`.")
    with right.container(border=True, height="stretch"):
        st.markdown("#### :material/add_photo_alternate: Bring images")
        st.markdown(
            "A folder or zip with one folder per class. `site/class/image` gives domains, "
            "`train`, `val`, `test` give a split, `unlabelled` gives images without a label. Or any folder with a "
            "table (CSV) that names file and class."
        )
        bring_files(is_main=not is_first)
        bring_folder()


@st.fragment(run_every=0.5)
def arrivals() -> None:
    """Show what is on its way into the library, until it is there."""
    over = False
    for arrival in get_intake().arrivals():
        if not arrival.is_over:
            share = arrival.done / arrival.total if arrival.total else 0.0
            words = f"{arrival.done:,} of {arrival.total:,}" if arrival.total else "opening"
            left = arrival.left
            rest = f", about {duration(left)} left" if left else ""
            st.progress(share, f"{arrival.doing} {escape(arrival.name)}: {words} images{rest}")
        elif st.session_state.get("arrival") == arrival.id:
            over = True
    if over:
        st.rerun()


def settle_arrival() -> None:
    """Open the data set this session waited for, or say why it did not arrive."""
    arrival = get_intake().get(st.session_state.get("arrival", ""))
    if arrival is None or not arrival.is_over:
        return
    del st.session_state["arrival"]
    if arrival.dataset:
        choose(data=arrival.dataset, split=None, run=None)
        if arrival.already:
            name = get_lab().library.about(arrival.dataset).name
            st.session_state["receipt"] = (
                f"Already here as {escape(name)}: the same images with the same labels. Nothing was added."
            )
        st.rerun()  # the sidebar was drawn before
    elif not arrival.kept:  # else the upload stands below, with what was wrong
        st.error(escape(arrival.error), icon=":material/error:")
