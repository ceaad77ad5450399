"""Recipes in a race: which to pick, and their validation curves, the mean over seeds with its range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import mean

import streamlit as st

from pages.ui.live_curves import Series, Values, live_curves, with_gaps
from pages.ui.parts import PALETTE
from pages.ui.run_progress import show_progress
from pages.ui.saying import saying
from pages.ui.state import get_glance, get_lab
from pages.ui.text import escape, plural
from pages.ui.ticking import say_locked, tend
from transfer_core.runs.comparison import tested_key
from transfer_core.runs.recipes import Recipe
from transfer_core.runs.run import Run
from transfer_core.training.events import EpochEnded

NAMED = 2  # curves that carry their names; more carry numbers
Curve = Callable[[Callable[[Iterable[float]], float]], Values]  # of one figure of the seeds


@st.cache_data(max_entries=512, show_spinner="Looking at the splits")
def _key(home: str, manifest: str, split: str, _run: Run) -> str:
    return tested_key(get_lab(), _run)


def test_images(run: Run) -> str:
    """Return a text that is the same for runs tested on the same images; looked up once for each split."""
    return _key(str(get_lab().home), run.manifest, run.spec.split, run)


test_images.__test__ = False  # type: ignore[attr-defined]


def describe(recipe: Recipe, *, same: bool) -> str:
    """Return a recipe's name, how many seeds it has, and whether it was tested on the `same` images as the others."""
    seeds = f" · {len(recipe.runs)} seeds" if len(recipe.runs) > 1 else ""
    return f"{recipe.name}{seeds}" if same else f"{recipe.name}{seeds} · other test images ({recipe.id[:4]})"


def show_race(recipes: Sequence[Recipe], *, across: bool) -> None:
    """Show the curves; while one of them trains they grow, and afterwards the page is drawn anew."""
    ticking = any(not run.is_over for recipe in recipes for run in recipe.runs)
    race = partial(_race, recipes, ticking=ticking, across=across)
    (st.fragment(race, run_every=1.5) if ticking else race)()


@saying
def _race(recipes: Sequence[Recipe], *, ticking: bool, across: bool) -> None:
    tend()
    now = {run.id: run for run in get_glance().store.runs()}
    waiting = [now.get(run.id) for recipe in recipes for run in recipe.runs if not run.is_over]
    if ticking and any(run is None or run.is_over for run in waiting):
        st.rerun()  # its results belong on the page, or it was deleted
    say_locked()
    _progress([run for run in waiting if run and not run.is_over])
    over = st.segmented_control("Over", ["epochs", "seconds"], default="epochs", required=True)
    curves: dict[str, Series] = {}
    spreads: dict[str, Series] = {}
    most = 1.0
    for number, recipe in enumerate(recipes, start=1):
        x, curve = _curve(recipe, str(over))
        name = f"{number} {recipe.name}" if len(recipes) <= NAMED else str(number)
        curves[name] = (x, curve(mean))
        if len(recipe.runs) > 1:
            spreads[name] = (curve(min), curve(max))
        most = max([most, *(each for each in x if each is not None)])
    live_curves(
        "Accuracy on validation images" + (" of the source" if across else ""), curves,
        key=f"race-{over}-{'-'.join(each.id for each in recipes)}"[:400], colours=PALETTE, end=round(most), most=1.0,
        format=".0%", x_title=str(over), y_title="accuracy", dashed=False, height=400, spreads=spreads,
        zoomed=True,
    )  # fmt: skip
    for names in _same(curves):
        names = [escape(name) for name in names]
        st.caption(f"{', '.join(names[:-1])} and {names[-1]} draw the same curve.")
    if spreads:
        st.caption(
            "Lines: mean over a recipe's runs, as far as all of them got. Shaded: from the lowest to the highest."
        )


def _same(curves: Mapping[str, Series]) -> list[list[str]]:
    """Return the names of curves that are drawn over each other."""
    found: dict[str, list[str]] = {}
    for name, (x, y) in curves.items():
        if y:
            found.setdefault(str((list(x), list(y))), []).append(name)
    return [names for names in found.values() if len(names) > 1]


def _progress(waiting: Sequence[Run]) -> None:
    """Show how far those are that train, and how many wait."""
    queued = [run for run in waiting if run.state == "queued"]
    for run in waiting:
        if run.state != "queued":
            show_progress(get_glance().store, run, name=run.name)
    if queued:
        st.caption(f":material/schedule: {plural(len(queued), 'run')} waiting; each starts by itself.")


def _curve(recipe: Recipe, over: str) -> tuple[Values, Curve]:
    """Return epochs or seconds, and what gives a figure of all seeds' validation accuracy there, as far as all of them got.

    Where there are several networks, each begins anew after a gap.
    """
    told = []
    for run in recipe.runs:
        events = [each for _, _, each in get_glance().store.events(run.id, kinds=["EpochEnded"])]
        ends = [each for each in events if isinstance(each, EpochEnded)]
        if ends:
            told.append(ends)
    steps = list(zip(*told, strict=False))
    x = [float(step[0].epoch) if over == "epochs" else mean(each.seconds for each in step) for step in steps]
    parts = [step[0].network(recipe.spec.networks) for step in steps]

    def curve(figure: Callable[[Iterable[float]], float]) -> Values:
        return with_gaps([figure(each.val["accuracy"] for each in step) for step in steps], parts)

    return with_gaps(x, parts), curve
