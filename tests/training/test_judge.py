"""By what number an epoch is chosen."""

from __future__ import annotations

import pytest

from transfer_core.training.choice import score
from transfer_core.training.spec import RULES

VAL = {"loss": 0.5, "accuracy": 0.8, "balanced_accuracy": 0.7}
TARGET = {"information_maximisation": 0.3, "soft_neighbourhood_density": 4.0, "class_share_agreement": 0.95}


def worse(rule: str, **changes: float) -> bool:
    """Whether these figures make an epoch worse by a rule."""
    val = {name: changes.get(name, value) for name, value in VAL.items()}
    target = {name: changes.get(name, value) for name, value in TARGET.items()}
    return score(rule, val, target) > score(rule, VAL, TARGET)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_follows_its_own_figure_and_lower_scores_are_better(rule: str) -> None:
    by_val = {"balanced_accuracy": 0.6}
    own = {"validation_loss": {"loss": 0.6}, "combined": by_val, "together": by_val}.get(
        rule, {rule: TARGET.get(rule, 0) - 0.1}
    )
    assert worse(rule, **own)


def test_together_is_the_mean_of_three_validators() -> None:
    dense = TARGET["soft_neighbourhood_density"]
    assert score("together", VAL, TARGET) == pytest.approx(-(0.7 + 0.3 + dense / 7.6009) / 3, abs=1e-5)
    assert worse("together", information_maximisation=0.2)
    assert worse("together", soft_neighbourhood_density=3.0)


def test_shares_that_agree_well_enough_do_not_outweigh_a_better_classifier() -> None:
    assert not worse("combined", class_share_agreement=0.91), "both agree"
    assert worse("combined", class_share_agreement=0.6), "a collapse costs"
    assert not worse("combined", class_share_agreement=0.905, balanced_accuracy=0.71)
