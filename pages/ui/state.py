"""What a page works on: the lab, the chosen data set, split and run.

The choice lives in the URL, so that a refresh, another browser or a colleague sees the same; the
session remembers it across pages.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict
from typing import Any, Literal, NoReturn

import streamlit as st

from pages.ui.settings import forget_settings
from pages.ui.text import escape
from transfer_core.data.dismissed import get_dismissed, get_held
from transfer_core.data.health import is_checked
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Rule, Split, make_split
from transfer_core.errors import UserError
from transfer_core.evaluation.cases import Cases, make_cases
from transfer_core.evaluation.decision import Decision, Wishes, fit_decision, load_wishes
from transfer_core.evaluation.report import Report
from transfer_core.files import get_home
from transfer_core.runs.glance import Glance
from transfer_core.runs.helper import Helper
from transfer_core.runs.intake import Intake
from transfer_core.runs.lab import Lab
from transfer_core.runs.prediction_jobs import PredictionJobs
from transfer_core.runs.store import Run
from transfer_core.runs.take_home import Packer

KEYS = ("data", "split", "run")
WHILE_ONE_WAITS = 5_000  # images in which look-alikes are looked for while a page is open
PATIENCE = 2.0  # seconds in which another program may lock the list of runs before a page says so
FAST = 3.0  # seconds; clicks that follow faster mean the same


@st.cache_resource(show_spinner=False)
def get_lab() -> Lab:
    """Return the one lab of this server."""
    return Lab(get_home(), patience=PATIENCE)


@st.cache_resource(show_spinner=False)
def get_glance() -> Lab:
    """Return the lab for what ticks: it hardly waits for a locked store, and tells what it saw last. Nothing is done with it."""
    return Lab(get_home(), store=Glance(get_home()))


@st.cache_resource(show_spinner=False)
def get_intake() -> Intake:
    """Return the one intake of this server; uploads that a killed server left go on."""
    intake = Intake(get_lab().library)
    intake.recover()
    return intake


@st.cache_resource(show_spinner=False)
def get_helper() -> Helper:
    """Return the one helper of this server; its process starts on first need."""
    return Helper(get_lab().home)


@st.cache_resource(show_spinner=False)
def get_predictions() -> PredictionJobs:
    """Return what was asked of models; what a killed process left goes on."""
    jobs = PredictionJobs(get_lab().home)
    jobs.sweep()
    return jobs


@st.cache_resource(show_spinner=False)
def get_packer() -> Packer:
    """Return the one maker of bundles of this server."""
    return Packer(get_lab().home)


@st.cache_resource(max_entries=8, show_spinner=False)  # not cache_data, which copies each time it is asked
def _manifest(home: str, dataset: str) -> Manifest:
    return get_lab().library.get(dataset)


def get_manifest(dataset: str) -> Manifest:
    """Return a manifest, kept in memory for all sessions: it never changes."""
    return _manifest(str(get_lab().home), dataset)


@st.cache_resource(max_entries=16, show_spinner="Drawing the split")
def _split(home: str, dataset: str, choices: tuple[tuple[str, Any], ...], released: bool) -> Split:
    library, manifest = get_lab().library, get_manifest(dataset)
    if len(manifest.rows) > WHILE_ONE_WAITS and not is_checked(library, manifest):
        message = "Look-alikes were not looked for yet, and they must not be on two sides: check the images on the Data page first."
        raise UserError(message, "not-checked")
    return make_split(manifest, alike=get_held(library, manifest), **dict(choices))


def draw_split(manifest: Manifest, rule: Rule, **choices: Any) -> Split:
    """Return the split that these choices make, look-alikes on one side; drawn once. UserError as `make_split`."""
    lab = get_lab()
    released = "near-duplicates" in get_dismissed(lab.library, manifest)
    return _split(str(lab.home), manifest.id, tuple(sorted({"rule": rule, **choices}.items())), released)


@st.cache_resource(max_entries=16, show_spinner=False)
def _stored_split(home: str, dataset: str, split: str) -> Split:
    return get_lab().library.get_split(dataset, split)


def get_split(run: Run) -> Split:
    """Return the split of a run, kept in memory: it never changes."""
    return _stored_split(str(get_lab().home), run.manifest, run.spec.split)


@st.cache_resource(max_entries=4, show_spinner="Opening the report")
def _report(home: str, run: str, attempt: int, answered: int) -> tuple[Report, Cases]:
    found = get_lab().store.get(run)
    report = get_lab().report(found, get_manifest(found.manifest))
    return report, make_cases(report)


@st.cache_resource(max_entries=4, show_spinner="Opening the validation images")
def _validation(home: str, run: str, attempt: int, _report: Report) -> Cases:
    return make_cases(_report, "val")


def get_validation(run: Run) -> Cases:
    """Return a run's labelled validation images, kept in memory."""
    return _validation(str(get_lab().home), run.id, run.attempt, get_report(run)[0])


@st.cache_resource(max_entries=16, show_spinner="Calibrating")
def _decision(
    home: str, run: str, attempt: int, wishes: str, _validation: Cases, grouped: bool, shifted: bool
) -> Decision:
    return fit_decision(_validation, Wishes(**json.loads(wishes)), shifted=shifted, grouped=grouped)


def get_decision(run: Run) -> Decision:
    """Return the decision that is in use for a run; UserError where it is damaged."""
    return _fit(run, load_wishes(get_lab().store.folder(run.id)))


def get_calibration(run: Run) -> Decision:
    """Return what calibrates every probability that is shown, whatever was decided, or damaged; not for what is said."""
    return _fit(run, Wishes())


def _fit(run: Run, wishes: Wishes) -> Decision:
    shifted = get_split(run).rule in ("domain", "transfer")
    own, grouped = get_validation(run), get_report(run)[0].grouped
    told = json.dumps(asdict(wishes))
    return _decision(str(get_lab().home), run.id, run.attempt, told, own, grouped, shifted)


def get_report(run: Run) -> tuple[Report, Cases]:
    """Return a run's report and its labelled test images, kept in memory; UserError where there is none yet."""
    answered = len(get_lab().library.answers(run.manifest))
    return _report(str(get_lab().home), run.id, run.attempt, answered)


def chosen(key: str) -> str | None:
    """Return the chosen data, split or run: from the URL, else as this session chose last."""
    value = st.query_params.get(key) or st.session_state.get(f"chosen-{key}")
    if value:
        st.session_state[f"chosen-{key}"] = value
        st.query_params[key] = value
    return value


def choose(**values: str | None) -> None:
    """Choose data, split or run for this session and in the URL; None forgets."""
    for key, value in values.items():
        if value is None:
            st.session_state.pop(f"chosen-{key}", None)
            st.query_params.pop(key, None)
        else:
            st.session_state[f"chosen-{key}"] = value
            st.query_params[key] = value


def link_params() -> dict[str, str]:
    """Return the choice as query parameters for a link to another page."""
    return {key: value for key in KEYS if (value := st.session_state.get(f"chosen-{key}"))}


def go(page: str) -> None:
    """Open another page with the same choice."""
    st.switch_page(page, query_params=link_params())


def start_token(what: str) -> str:
    """Return the token of a start. Fast clicks share one, and so make one run.

    A click may be handled while the page of the one before is still being left: only time tells
    them from a click that means another run.
    """
    before, token, at = st.session_state.get("start", ("", "", 0.0))
    if before != what or time.monotonic() - at > FAST:
        token = uuid.uuid4().hex
    st.session_state["start"] = (what, token, time.monotonic())
    return token


def run_again(run: Run) -> None:
    """Open the form with everything as in a run, to change some of it and start another."""
    st.session_state["again"] = run.id
    for key in ("backbone", "strategy", "cut", "augment"):
        st.session_state.pop(key, None)
    forget_settings()
    choose(data=run.manifest, split=run.spec.split)
    go("train/new_run.py")


def current_data(question: str = "") -> Manifest | None:
    """Return the chosen data set, the newest where none is chosen, None where there is none. Ends the page as `_end` does."""
    library = get_lab().library
    wanted = chosen("data")
    if wanted:
        try:
            found = library.find(wanted).id
        except UserError as error:
            _end(error, question, "data")
        choose(data=found)  # the whole id, where the link named or shortened it
        return get_manifest(found)
    known = [each for each in library.datasets() if not each.damage]
    if not known:
        return None
    choose(data=known[0].id)
    return get_manifest(known[0].id)


def _end(error: UserError, question: str, key: Literal["data", "run"]) -> NoReturn:
    """Say what is not there that a link or another window named, offer the way on, and end the page.

    Nothing else stands below: it would be taken for what was named. `question`: the page's title where it has none yet.
    """
    wanted = chosen(key)
    label, page = {
        "data": ("See what data sets there are", "study/home.py"),
        "run": ("See what runs there are", "results/runs.py"),
    }[key]
    gone = {"no-data": "data set", "no-run": "run"}.get(error.kind)
    if gone:
        what = f"There is no {gone} {escape(repr((wanted or '')[:40]))} here: it was deleted, or the link is wrong."
    else:
        what = escape(error)
    if question:
        st.title(question, anchor=False)
    with st.container(border=True):
        st.markdown(f":material/search_off: {what}")
        if st.button(label, type="primary", icon=":material/arrow_forward:"):
            choose(**{key: None, "split": None} if key == "data" else {key: None})
            go(page)
    st.stop()


def current_split(manifest: Manifest) -> Split | None:
    """Return the chosen split where it belongs to the data set; else the one that was decided on or trained on last."""
    wanted = chosen("split") or _last_split(manifest)
    if not wanted:
        return None
    choose(split=wanted)
    try:
        return get_lab().library.get_split(manifest.id, wanted)
    except UserError:
        choose(split=None)
        return None


def chosen_runs(dataset: str | None = None) -> list[Run]:
    """Return the runs that people started, newest first; one of a study only where somebody opened it."""
    opened = chosen("run")
    return [run for run in get_lab().store.runs(manifest=dataset) if not run.of_study or run.id == opened]


def _last_split(manifest: Manifest) -> str | None:
    runs = [run for run in get_lab().store.runs(manifest=manifest.id) if not run.of_study]
    decided = get_lab().library.decided(manifest.id)
    if decided and (not runs or decided[1] > runs[0].created):
        return decided[0]
    return runs[0].spec.split if runs else None


def known_data() -> str | None:
    """Return the chosen data set where there is one of that id, that beginning of an id, or that name."""
    wanted = chosen("data")
    try:
        return get_lab().library.find(wanted).id if wanted else None
    except UserError:
        return None


def current_run(question: str = "", *, finished: bool = False) -> Run | None:
    """Return the chosen run; where none is chosen, the data set's newest (that has a report, if asked). Ends the page as `_end` does."""
    wanted = chosen("run")
    if wanted:
        try:
            found = get_lab().store.find(wanted)
        except UserError as error:
            _end(error, question, "run")
        choose(run=found.id)
        return found
    if chosen("data") and not known_data():
        current_data(question)  # which says so
    known = [run for run in chosen_runs(known_data()) if run.result or not finished]
    if known:
        choose(run=known[0].id)
    return known[0] if known else None
