"""LP-FT goes on from where the probe ended: its first step sees the features that the probe was fitted to."""

from __future__ import annotations

from tests.support import Lab
from transfer_core.training.events import EpochEnded


def test_tuning_starts_as_good_as_the_probe_ended(lab: Lab) -> None:
    """With next to no learning rate nothing changes; with batch statistics in the place of the kept ones it would."""
    outcome = lab.train(lab.spec("probe_then_tune", cut=1, epochs=2, lr=1e-8, knobs={"probe": 3}))
    losses = [each.val["loss"] for each in outcome.log if isinstance(each, EpochEnded)]
    assert len(losses) == 5
    assert all(abs(each - min(losses[:3])) < 1e-3 for each in losses[3:])
    moved = lab.train(
        lab.spec("probe_then_tune", cut=1, epochs=2, lr=1e-8, knobs={"probe": 3, "freeze_batch_norm": False})
    )
    losses = [each.val["loss"] for each in moved.log if isinstance(each, EpochEnded)]
    assert losses[3] > min(losses[:3]) + 1e-3
