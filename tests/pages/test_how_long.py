"""New run says how long it takes: as earlier runs tell, else as a trial of the machine tells, which holds nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import how_long
from pages.ui.text import span
from tests.pages.screens import Study, button, show, words
from transfer_core.errors import UserError
from transfer_core.runs.helper import Helper
from transfer_core.training.estimate import write_timings
from transfer_core.training.forecast import Pace, keep_pace
from transfer_core.training.spec import RunSpec

LATER = "known after the first run"


@pytest.fixture
def tried(study: Study, monkeypatch: pytest.MonkeyPatch) -> list[RunSpec]:
    """The specs that the machine was tried out for; what is found is kept."""
    asked: list[RunSpec] = []

    def try_out(_: Helper, spec: RunSpec, stored: int) -> None:
        asked.append(spec)
        keep_pace(study.home, spec, Pace(0.05, 40.0, 0.01))

    monkeypatch.setattr(Helper, "try_out", try_out)
    return asked


def form(study: Study) -> AppTest:
    return show("train/new_run.py", data=study.manifest.id, split=study.split(rule="image").id)


def test_before_the_first_run_a_range_is_measured_once(study: Study, tried: list[RunSpec]) -> None:
    at = form(study)
    assert _said(study, tried[0]) in words(at)
    assert LATER not in words(at)
    at.run()
    form(study)
    assert len(tried) == 1, "what is known is not measured again"
    at.button(key="choose-fine_tuning").click().run()
    assert [each.strategy for each in tried] == ["feature_extraction", "fine_tuning"]
    assert _said(study, tried[1]) in words(at)


def _said(study: Study, spec: RunSpec) -> str:
    found = study.lab.forecast(spec, study.manifest, study.library.get_split(spec.manifest, spec.split))
    assert found
    return f"About **{span(*found)}** on {spec.device} (measured"


def test_earlier_runs_know_better(study: Study, tried: list[RunSpec]) -> None:
    form(study)
    write_timings(study.home, {f"{tried[0].device}/lite0": {"frozen": 0.01}})
    assert "measured" not in words(at := form(study))
    assert "About **12 s** on" in words(at)


def test_a_machine_at_work_is_not_measured(study: Study, tried: list[RunSpec]) -> None:
    run = study.running()
    at = form(study)
    assert LATER in words(at)
    study.store.finish(run.id, run.attempt, "stopped")
    at.run()
    assert len(tried) == 1
    assert LATER not in words(at)


def test_what_cannot_be_measured_is_not_asked_for_again(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunSpec] = []

    def fail(_: Helper, spec: RunSpec, stored: int) -> None:
        asked.append(spec)
        raise UserError("The helper process ended.", "helper")

    monkeypatch.setattr(Helper, "try_out", fail)
    at = form(study)
    at.run()
    assert LATER in words(at)
    assert len(asked) == 1
    button(at, "Start training").click().run()
    assert len(study.store.runs()) == 1


def test_whoever_has_gone_on_needs_no_measurement(
    study: Study, tried: list[RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[Callable[[], object]] = []

    class Left(BaseException):
        """As Streamlit leaves a script."""

    def leave(work: Callable[[], object]) -> None:
        waiting.append(work)
        raise Left

    monkeypatch.setattr(how_long, "patiently", leave)
    split = study.split(rule="image")
    spec = study.queued().spec
    with pytest.raises(Left):
        how_long._try_out(spec, study.manifest, split)
    waiting[0]()
    assert not tried


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (7, 33, "5 to 35 s"),
        (51, 171, "50 s to 3 min"),
        (125, 290, "2 to 5 min"),
        (90, 90, "90 to 90 s"),
        (3000, 9000, "50 min to 2.5 h"),
        (7345, 30350, "2 to 8.5 h"),
        (0.2, 2, "5 to 5 s"),
    ],
)
def test_a_range_in_words_is_rounded_outwards(low: float, high: float, said: str) -> None:
    assert span(low, high) == said
