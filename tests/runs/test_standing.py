"""How far a run is, as the live page and the command line tell it: one share and one time for the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer_core.runs.progress import standing
from transfer_core.runs.store import RunStore
from transfer_core.runs.telling import Teller
from transfer_core.training.course import EXPORTING, FROZEN, TESTING, Course
from transfer_core.training.events import Ended, EpochEnded, Event, Progressed, Stepped
from transfer_core.training.spec import RunSpec

SPEC = RunSpec("0123456789abcdef", "fedcba9876543210", cut=9)
FIGURES = {"loss": 0.5, "accuracy": 0.5}
EXPECTED = {"load": 10.0, "measure": 0.0, "frozen": 40.0, "train": 40.0, "test": 10.0}


def follow(events: list[tuple[float, Event]], done: int = 0) -> list[tuple[float | None, float | None]]:
    """Share and time left after each event, told at so many seconds."""
    at = iter([0.0, *(at for at, event in events)])
    course = Course(EXPECTED, 4, done, clock=lambda: next(at))
    marked = [course.mark(event) for _, event in events]
    return [(each.share, each.left) for each in marked if isinstance(each, (Progressed, Stepped))]


def test_the_pace_that_is_measured_tells_what_is_left_of_all() -> None:
    """Everything takes twice as long as expected."""
    told = follow([
        (0.0, Progressed(FROZEN, 0, 100)),
        (40.0, Progressed(FROZEN, 50, 100)),
        (60.0, Progressed(FROZEN, 75, 100)),  # the rest are images that are only tested
        (70.0, Stepped(1, 5, 10, 1.0, 1.0)),
        (80.0, Stepped(1, 10, 10, 1.0, 1.0)),
        (140.0, Stepped(4, 10, 10, 1.0, 1.0)),
        (140.0, Ended("finished", 4, 4)),
        (160.0, Progressed(FROZEN, 100, 100)),
        (170.0, Progressed(TESTING, 5, 10)),
        (180.0, Progressed(TESTING, 10, 10)),
    ])  # fmt: skip
    shares, left = zip(*told, strict=True)
    assert shares == pytest.approx([0.1, 0.3, 0.4, 0.45, 0.5, 0.8, 0.9, 0.95, 1.0])
    assert left[0] is None
    assert left[1:] == pytest.approx([140.0, 120.0, 110.0, 100.0, 40.0, 20.0, 10.0, 0.0])


def test_what_was_computed_before_or_ends_early_takes_no_time() -> None:
    told = follow([(3.0, Stepped(3, 5, 10, 1.0, 1.0)), (8.0, Stepped(3, 10, 10, 1.0, 1.0)),
                   (8.0, Ended("early", 3, 2)), (9.0, Progressed(TESTING, 1, 2))])  # fmt: skip
    shares, left = zip(*told, strict=True)
    assert shares == pytest.approx([0.5 + 0.4 * 5 / 8, 0.8, 0.95])  # resumed in the third epoch
    # Three, then eight seconds of the 20 and 20 expected for an epoch and a half; the test as fast.
    assert left == pytest.approx([(15 + 10) * 0.6, (10 + 10) * 0.8, 5 * 0.8])


def test_a_resumed_run_is_as_far_as_its_epochs_whatever_is_computed_again() -> None:
    cached = [(1.0, Progressed(FROZEN, 0, 100)), (5.0, Progressed(FROZEN, 100, 100))]
    told = follow([*cached, (9.0, Stepped(3, 5, 10, 1.0, 1.0))], done=2)
    assert [share for share, _ in told] == pytest.approx([0.1 + 0.2, 0.5 + 0.2, 0.5 + 0.4 * 5 / 8])
    ended = follow([(9.0, Ended("finished", 4, 4)), (20.0, Progressed(TESTING, 1, 2))], done=4)
    assert ended[0] == pytest.approx((0.95, 5 * 11 / 5)), "what was trained before tells nothing of the pace"


def test_an_export_says_nothing_of_the_pace_of_what_it_is_for() -> None:
    told = follow([(0.0, Progressed(EXPORTING, 0, 1)), (30.0, Progressed(EXPORTING, 1, 1)),
                   (70.0, Progressed(FROZEN, 50, 100))])  # fmt: skip
    assert told[-1] == pytest.approx((0.3, 2 * (20 + 40 + 10)))


def test_what_begins_is_told_at_once(home: Path) -> None:
    store = RunStore(home)
    run = store.claim(store.add_run(SPEC).id)
    assert run is not None
    teller = Teller(store, run)
    for doing in ("one thing", "another"):
        teller.tell(Progressed(doing, 0, 1))
        assert standing(store, run)["doing"] == doing
    teller.tell(Progressed("another", 1, 1))
    assert standing(store, run)["done"] == 0, "a few times a second is enough for the rest"


def test_the_latest_word_of_a_run_tells_how_far_it_is(home: Path) -> None:
    store = RunStore(home)
    run = store.claim(store.add_run(SPEC).id)
    assert run is not None

    def after(*events: Event) -> tuple[str, float, float | None]:
        store.add_events(run.id, run.attempt, events)
        now = standing(store, run)
        return now["doing"], now["share"], now["left"]

    assert after() == ("", 0.0, None)
    assert after(Progressed("Loading the software", 0, 1)) == ("Loading the software", 0.0, None)
    assert after(Stepped(1, 3, 4, 1.0, 1.0, {}, 0.25, 30.0)) == (f"Epoch 1 of {SPEC.epochs}", 0.25, 30.0)
    end = EpochEnded(1, SPEC.epochs, FIGURES, FIGURES, 1e-3, 5.0, best=True)
    again = Progressed("Loading the software", 0, 1, 1)  # resumed: as far as before, until that is known
    assert after(again) == ("Loading the software", 0.25, None)
    assert after(Stepped(1, 3, 4, 1.0, 1.0, {}, 0.25, 30.0))[1:] == (0.25, 30.0)
    assert after(end) == (f"Epoch 1 of {SPEC.epochs} done", 0.25, 30.0)
    assert after(Ended("early", 1, 1)) == (TESTING, 0.25, 30.0)
    assert after(Progressed(TESTING, 5, 5, 1, 1.0, 0.0)) == (TESTING, 1.0, 0.0)
