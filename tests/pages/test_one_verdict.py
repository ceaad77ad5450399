"""Report and Compare say the same of a run and its twin, and nothing else is ever offered."""

from __future__ import annotations

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring, button, show, words
from transfer_core.evaluation.pair_words import beside_twin, points


@pytest.fixture
def sites(empty: Study) -> Study:
    """120 drawings of two classes in 60 groups, split from one domain to the other."""
    bring(empty.home, draw_shapes(120, seed=3, size=32, classes=("disc-solid", "cross-outline"), groups=60))
    source, target = empty.manifest.domains
    empty.choices = {"rule": "transfer", "train_domain": source, "test_domain": target}
    return empty


def test_a_run_that_was_stopped_is_compared_as_it_stands(sites: Study) -> None:
    run = sites.ended("stopped", strategy="mcc", name="mine", wrong=12)
    twin = sites.ended("stopped", strategy="source_only", name="twin", wrong=0)
    at = show("results/report.py", run=run.id)
    said = words(at)
    assert "This run was stopped after 2 of 4 epochs and is compared as it stands" in said
    assert "The run without adaptation was stopped after 2 of 4 epochs" in said
    assert "**Worse.**" in at.error[0].value
    button(at, "Train the run without adaptation to its end").click().run()
    assert not at.exception
    assert sites.store.get(twin.id).state == "queued", "it goes on, and is not trained anew"
    assert len(sites.store.runs()) == 2


@pytest.mark.parametrize("others", [0, 4])
def test_report_and_compare_say_the_same_of_a_run_and_its_twin(sites: Study, others: int) -> None:
    """However many are compared, and so corrected for: what the report advises against is never offered as the lead."""
    run = sites.ended(strategy="mcc", name="mine", wrong=12, val=0.9)
    twin = sites.ended(strategy="source_only", name="plain", wrong=0, val=0.8)
    more = [
        sites.ended(strategy=name, wrong=8, val=0.7) for name in ("dann", "cdan", "mmd", "coral")[:others]
    ]
    verdict = sites.lab.verdict(run)
    assert verdict
    assert verdict.verdict == "worse"
    at = show("results/report.py", run=run.id)
    assert beside_twin(verdict, "adaptation") in at.error[0].value
    at = show("results/compare.py", race=",".join(each.id for each in (run, twin, *more)))
    said = words(at)
    assert "### No run leads" in said
    assert "is worse than the same run without adaptation" in said
    ends = points(verdict).partition(" (")[2]
    assert ends in said, "the same interval on both pages"
    assert bool(others) == ("asked alone, as the report does" in said)
    (offered,) = [each.label for each in at.button if each.label.startswith("Take home")]
    assert "mine" not in offered
