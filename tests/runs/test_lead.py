"""Who leads, on comparisons made by hand: validation images choose, test images confirm or veto, else the simplest is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from transfer_core.evaluation.contest import Contest, Pair
from transfer_core.evaluation.metrics import make_metrics
from transfer_core.runs.comparison import BY_ACCURACY, Comparison, Entry
from transfer_core.runs.lead import Lead, find_lead
from transfer_core.runs.lead_words import alone, tell_in_one, tell_lead
from transfer_core.runs.recipes import Recipe
from transfer_core.runs.run import Run
from transfer_core.training.spec import RunSpec

CLASSES = ("ok", "scratch")
Right = Sequence[np.ndarray]


def a_run(name: str) -> Run:
    spec = RunSpec(manifest="m", split="s", strategy="fine_tuning", target="there")
    return Run(name, spec, "m", "cpu", name, "", "done", 1, None, 0.0, 0.0, 0.0, 0, False, None, None, {})


def compared(
    truth: np.ndarray, right: Right, val: Right, *, domain: bool = False,
    twins: dict[int, tuple[Run, Pair]] | None = None,
) -> Comparison:  # fmt: skip
    """Entries A, B, ... with these right answers on test and validation images; the later, the more parameters train."""
    entries = []
    for number, each in enumerate(right):
        run = a_run("ABCDEFGH"[number])
        said = np.where(each, truth, 1 - truth)
        twin, beside = (twins or {}).get(number, (None, None))
        rate = float(val[number].mean())
        entries.append(
            Entry(
                Recipe(run.name, (run,)),
                (make_metrics(truth, said, CLASSES).to_json(),),
                9.0,
                100 + number,
                1.0,
                rate,
                (0.0, 1.0),
                len(val[number]),
                run,
                twin,
                beside,
            )
        )
    validation = Contest(np.arange(len(val[0])) % 2, val, 2)
    measure = "balanced_accuracy" if domain else "accuracy"
    order = sorted(range(len(entries)), key=lambda each: (-entries[each].val, -each))
    return Comparison(
        tuple(entries), CLASSES, measure, Contest(truth, right, 2, measure=measure), None if domain else validation,
        tuple(order), BY_ACCURACY, validation.rarest,
    )  # fmt: skip


def but(n: int, wrong: int) -> np.ndarray:
    """Right on all but the first so many."""
    return np.arange(n) >= wrong


def say(found: Comparison, lead: Lead) -> str:
    return tell_in_one(found, lead, lambda entry: found.entries[entry].name)


TRUTH = np.arange(200) % 2


def test_who_is_shown_ahead_on_both_leads() -> None:
    found = compared(TRUTH, [but(200, 60), but(200, 10)], [but(300, 90), but(300, 10)])
    lead = find_lead(found)
    assert (lead.leads, lead.entry, lead.run) == (True, 1, found.entries[1].best_run)
    assert say(found, lead) == (
        "B leads. B is first by accuracy on the validation images, with 96.7 % of 300 validation images right; the test images "
        "show it to be better than the other."
    )


def test_what_cannot_be_told_apart_has_no_leader_and_the_simplest_is_named() -> None:
    found = compared(
        TRUTH, [but(200, 12), but(200, 10), but(200, 9)], [but(300, 12), but(300, 11), but(300, 10)]
    )
    lead = find_lead(found)
    assert (lead.leads, lead.entry, lead.ahead) == (False, 0, 2)
    told = say(found, lead)
    assert told.startswith("No run leads. C, B and A cannot be told apart on the test images.")
    assert (
        "Take A, the simplest of them: the fewest trained parameters (100), then the shortest training."
        in told
    )
    assert "optimistic" not in told


def test_the_simplest_is_not_one_that_validation_images_show_behind() -> None:
    found = compared(TRUTH[:20], [but(20, 4), but(20, 3)], [but(300, 120), but(300, 10)])
    lead = find_lead(found)
    assert (lead.leads, lead.entry, lead.untold) == (False, 1, (0,))
    assert "Take B: on the validation images it is ahead." in say(found, lead)


@pytest.mark.parametrize("domain", [False, True])
def test_three_validation_images_make_no_leader(domain: bool) -> None:
    """Both have all three right; the test images alone must not crown one."""
    found = compared(TRUTH, [but(200, 60), but(200, 10)], [but(3, 0), but(3, 0)], domain=domain)
    lead = find_lead(found)
    assert (lead.leads, lead.shown, lead.entry) == (False, False, 1)
    told = say(found, lead)
    assert "fewer than 6 validation images" in told if domain else "so few validation images" in told
    enough = compared(TRUTH, [but(200, 60), but(200, 10)], [but(300, 90), but(300, 10)], domain=domain)
    assert find_lead(enough).leads


def test_a_veto_of_the_test_images_takes_the_lead_and_says_so() -> None:
    found = compared(TRUTH, [but(200, 10), but(200, 60)], [but(300, 90), but(300, 10)])
    lead = find_lead(found)
    assert (lead.leads, lead.ahead, lead.entry) == (False, 1, 0)
    told = say(found, lead)
    assert "B is first by accuracy" in told
    assert "but it is worse than A on the test images, −25.0 points of accuracy" in told
    assert "slightly optimistic" in told


def test_a_class_never_found_takes_the_lead() -> None:
    """Fifteen of 315 images: a model that never says scratch has the better accuracy."""
    truth = np.r_[np.zeros(300, int), np.ones(15, int)]
    blind, sees = truth == 0, np.arange(315) >= 12
    found = compared(truth, [sees, blind], [but(300, 90), but(300, 5)])
    lead = find_lead(found)
    assert (lead.leads, lead.ahead, lead.entry) == (False, 1, 0)
    assert "it finds none of the 15 test images of scratch, and another does" in say(found, lead)
    none = compared(truth, [blind & but(315, 100), blind], [but(300, 90), but(300, 5)])
    lead = find_lead(none)
    assert (lead.leads, lead.unfound) == (False, ("scratch", 15))
    assert "None finds any of the 15 test images of scratch" in say(none, lead)


def test_a_report_that_says_worse_vetoes_whatever_else_is_compared() -> None:
    """Corrected for 15 pairs the twin and the run cannot be told apart; asked alone, as the report does, they can."""
    own, twin = but(200, 26), ~((np.arange(200) >= 180) & (np.arange(200) < 190))
    (asked,) = Contest(TRUTH, [own, twin], 2).pairs
    assert asked.verdict == "worse"
    rest = [np.roll(own, 7 * each) for each in range(1, 5)]
    val = [but(300, 60), *([but(300, 90)] * 5)]
    for others, word in (([], "worse"), (rest, "cannot tell")):
        right = [own, *others, twin]
        last = len(right) - 1
        found = compared(TRUTH, right, val[: len(right)], twins={0: (a_run("ABCDEF"[last]), asked)})
        assert found.contest
        pair = found.contest.pair(0, last)
        lead = find_lead(found)
        assert (pair.verdict, lead.ahead, lead.leads) == (word, 0, False)
        assert lead.entry not in (0, None)
        assert "A is first by" in say(found, lead)
        assert "but it is worse than the same run without adaptation" in say(found, lead)
        told = [alone(found, each) for each in (pair, pair.turned())]
        assert [bool(each) for each in told] == [word == "cannot tell"] * 2
        if others:
            assert told[0].startswith(
                "Corrected here for 15 pairs; asked alone, as the report does: worse, −"
            )
            assert "better, +" in told[1]


def test_one_that_only_looks_worse_than_its_twin_leaves_no_lead_without_a_reason() -> None:
    own, twin = but(200, 17), np.arange(200) < 190
    (asked,) = Contest(TRUTH, [own, twin], 2).pairs
    assert (asked.verdict, asked.is_harmful) == ("cannot tell", True)
    found = compared(TRUTH, [twin, own], [but(300, 10), but(300, 60)], twins={1: (a_run("A"), asked)})
    lead = find_lead(found)
    assert (lead.leads, lead.entry, lead.shown) == (False, 0, True)
    why, left_out, advice = tell_lead(found, lead, lambda entry: found.entries[entry].name)
    assert why.startswith("A is first by")
    assert why.endswith("but the test images do not show it to be better than the other.")
    assert left_out.startswith("B is left out: it looks worse, though unproven, than the same run without")
    assert advice.startswith("Take A")


def test_where_all_are_worse_than_their_twins_these_are_offered() -> None:
    (asked,) = Contest(TRUTH, [but(200, 60), but(200, 10)], 2).pairs
    twin = a_run("source only")
    found = compared(
        TRUTH,
        [but(200, 60), but(200, 61)],
        [but(300, 9), but(300, 9)],
        twins={0: (twin, asked), 1: (twin, asked)},
    )
    lead = find_lead(found)
    assert (lead.leads, lead.entry, lead.run) == (False, None, twin)
    assert "Take the run without it: source only." in say(found, lead)


def test_laws_of_the_lead() -> None:
    """Of 100 drawn comparisons: what is taken is never worse in a pair, nor flagged beside its twin; what leads was first."""
    rng, leads = np.random.default_rng(3), 0
    for _ in range(100):
        models, n = int(rng.integers(2, 5)), int(rng.choice([20, 100]))
        rates = rng.choice([0.6, 0.9, 0.97], models)
        truth = rng.integers(0, 2, n)
        right, val = ([rng.random(m) < rate for rate in rates] for m in (n, 10 * n))
        (asked,) = Contest(truth, right[:2], 2).pairs
        twins = {0: (a_run("B"), asked)} if rng.random() < 0.5 else {}
        found = compared(truth, right, val, domain=bool(rng.random() < 0.3), twins=twins)
        lead = find_lead(found)
        leads += lead.leads
        assert lead.run
        if lead.entry is None:
            continue
        against = found.against(lead.entry)
        taken = found.entries[lead.entry]
        assert all(pair.verdict != "worse" for pair in against)
        assert not (taken.beside_twin and taken.beside_twin.is_harmful)
        assert found.entries[lead.entry].trained == min(found.entries[each].trained for each in lead.tied)
        if lead.leads:
            assert lead.entry == found.order[0]
            assert all(pair.verdict == "better" for pair in against)
        if all(pair.verdict == "cannot tell" for pair in found.pairs) and not lead.vetoes:
            blank = replace(found, contest=Contest(truth, [truth >= 0] * models, 2, measure=found.measure))
            assert find_lead(blank).entry == lead.entry, "test images that tell nothing choose nothing"
    assert leads > 5
