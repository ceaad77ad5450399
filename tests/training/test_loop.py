"""What the loop does at the edges: divergence, patience, class weights, and who chooses the epoch."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support import Lab, make_tiny, same_tensors
from transfer_core.evaluation.predict import predict
from transfer_core.strategies import Batch, Phase, Task
from transfer_core.strategies.fine_tuning import FineTuning
from transfer_core.training import loop
from transfer_core.training.course import EXPORTING, FROZEN
from transfer_core.training.events import Ended, EpochEnded, Event, PhaseStarted, Progressed, Saving, Stepped
from transfer_core.training.judge import Judge
from transfer_core.training.labels import class_weights


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_best_before(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = FineTuning.supervised

    def loss(self: FineTuning, model: object, batch: Batch, progress: float, **known: object) -> object:
        outcome = honest(self, model, batch, progress, **known)  # type: ignore[arg-type]
        if progress < 2 / 5:
            return outcome
        return replace(outcome, terms={"cross-entropy": outcome.terms["cross-entropy"] * math.nan})

    whole = lab.train(lab.spec(epochs=5))
    monkeypatch.setattr(FineTuning, "supervised", loss)
    spec = lab.spec(epochs=5)
    outcome = lab.train(spec)
    assert outcome.ended == Ended("diverged", 2, outcome.ended.best)
    assert outcome.log == whole.log[:2]
    assert outcome.ended.best in (1, 2)
    assert all(bool(torch.isfinite(each).all()) for each in outcome.best.values())
    assert lab.train(spec, folder=outcome.folder).ended == outcome.ended, "resumed, it comes to the same end"


def test_an_absurd_learning_rate_diverges_instead_of_going_on(lab: Lab) -> None:
    spec = replace(lab.spec(cut=0, epochs=40), lr=1e6)
    outcome = lab.train(spec)
    assert outcome.ended.reason == "diverged"
    assert all(math.isfinite(each.val["loss"]) for each in outcome.log if each.best)
    for each in outcome.events:
        assert not isinstance(each, Stepped) or math.isfinite(each.loss)


@pytest.mark.parametrize("patience", [1, 2])
def test_patience_ends_a_run_that_many_epochs_after_its_best(lab: Lab, patience: int) -> None:
    whole = lab.train(lab.spec(epochs=12, lr=0.1))
    assert whole.ended.reason == "finished"
    outcome = lab.train(lab.spec(epochs=12, lr=0.1, patience=patience))
    bests = [each.epoch for each in whole.log if each.best]
    gaps = [now for now, after in zip(bests, [*bests[1:], 99], strict=True) if after - now > patience]
    assert outcome.ended.best == gaps[0], "the first best that none follows in time"
    assert outcome.ended.epoch == min(gaps[0] + patience, 12)
    assert outcome.ended.reason == ("early" if outcome.ended.epoch < 12 else "finished")
    assert [replace(each, best=False) for each in outcome.log] == [
        replace(each, best=False) for each in whole.log[: outcome.ended.epoch]
    ]


def test_validation_chooses_the_epoch_and_nothing_else(lab: Lab) -> None:
    """Other labels for validation images change the choice; what is trained stays bit-identical."""
    told = lab.train(lab.spec(epochs=6))
    other = lab.permuted("val")
    changed = other.train(other.spec(epochs=6))
    assert [each.train for each in changed.log] == [each.train for each in told.log]
    assert same_tensors(changed.last, told.last)
    assert [each.val for each in changed.log] != [each.val for each in told.log]
    for outcome in (told, changed):
        losses = [each.val["loss"] for each in outcome.log]
        assert outcome.ended.best == 1 + losses.index(min(losses))


def test_the_best_weights_are_those_of_the_best_epoch(lab: Lab) -> None:
    outcome = lab.train(lab.spec(epochs=8, lr=0.1, patience=2))
    model = outcome.setup.model
    model.load_trained(outcome.best)
    again = Judge(outcome.setup, outcome.folder)
    with outcome.setup.activations(outcome.setup.spec.cut) as activations:
        found = again.look(activations, outcome.setup.spec.cut, 99)
    best = outcome.log[outcome.ended.best - 1]
    assert found.val == best.val
    assert found.score == best.val["loss"]
    assert outcome.ended.best < outcome.ended.epoch, "or the last weights would do as well"


def test_class_weights_make_the_classes_count_alike(lab: Lab) -> None:
    """Each class's images together weigh the same, and the mean weight over the images is 1."""
    images = lab.split.part("train")
    uneven = lab.relabelled(dict.fromkeys(images[:12], lab.manifest.classes[0]))
    labels = [uneven.manifest.by_image[image].label for image in images]
    counts = [labels.count(name) for name in uneven.manifest.classes]
    weights = class_weights(dict(enumerate(counts)), 3, "balanced")
    assert len(set(counts)) > 1
    together = [weight * count for weight, count in zip(weights, counts, strict=True)]
    assert together == pytest.approx([len(images) / 3] * 3)
    assert class_weights(dict(enumerate(counts)), 3, "none") == (1.0, 1.0, 1.0)
    assert uneven.setup(uneven.spec(class_weights="balanced")).task.class_weights == pytest.approx(weights)
    plain, balanced = (uneven.train(uneven.spec(class_weights=rule)) for rule in ("none", "balanced"))
    assert plain.log[0].train != balanced.log[0].train


def test_training_and_validation_losses_are_the_mean_of_weighted_terms(lab: Lab) -> None:
    """The validation loss against a rewrite from probabilities."""
    uneven = lab.relabelled(dict.fromkeys(lab.split.part("train")[:12], lab.manifest.classes[0]))
    outcome = uneven.train(uneven.spec(epochs=1, class_weights="balanced"))
    setup = outcome.setup
    images = setup.split.part("val")
    y = setup.targets(images).tolist()
    setup.model.load_trained(outcome.best)
    setup.model.eval()
    with setup.activations(setup.spec.cut) as activations, torch.no_grad():
        chances = setup.model(activations.at_cut(images), setup.spec.cut).double().softmax(1)
    weights = [setup.task.class_weights[each] for each in y]
    losses = [-math.log(chances[row, each]) for row, each in enumerate(y)]
    expected = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
    assert outcome.log[0].val["loss"] == pytest.approx(expected, rel=1e-5)
    hits = [int(chances[row].argmax()) == each for row, each in enumerate(y)]
    assert outcome.log[0].val["accuracy"] == pytest.approx(sum(hits) / len(hits))
    recalls = [
        sum(h for h, own in zip(hits, y, strict=True) if own == c) / y.count(c) for c in sorted(set(y))
    ]
    assert outcome.log[0].val["balanced_accuracy"] == pytest.approx(sum(recalls) / len(recalls))


def test_another_seed_is_another_run_and_the_same_seed_the_same(lab: Lab) -> None:
    first, again, other = (lab.train(lab.spec(seed=seed)) for seed in (1, 1, 2))
    assert same_tensors(first.last, again.last)
    assert not same_tensors(first.last, other.last)


def test_a_stop_while_activations_are_computed_keeps_what_was_computed(lab: Lab) -> None:
    outcome = lab.train(lab.spec(), should_stop=lambda: True)
    assert outcome.ended == Ended("stopped", 0, 0)
    kinds = [type(each) for each in outcome.events]
    assert kinds == [PhaseStarted, Progressed, Ended]
    done = outcome.events[1]
    assert isinstance(done, Progressed)
    again = lab.train(lab.spec())
    (first, *_) = [each for each in again.events if isinstance(each, Progressed)]
    assert first.total <= done.total - done.done
    assert again.ended.reason == "finished"


def test_events_come_in_the_order_of_the_epochs_and_saving_after_what_is_saved(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SHARE", math.inf)
    outcome = lab.train(lab.spec(epochs=3))
    kept = [each for each in outcome.events if isinstance(each, (EpochEnded, Saving, Ended))]
    assert [(type(each), each.epoch) for each in kept] == [
        *((kind, epoch) for epoch in (1, 2, 3) for kind in (EpochEnded, Saving)),
        (Ended, 3),
    ]
    seconds = [each.seconds for each in kept if isinstance(each, EpochEnded)]
    assert seconds == sorted(seconds)


def test_phases_hand_over_what_they_trained(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two phases, the first of the head alone: each trains only its own part; kills between change nothing."""
    one = FineTuning.phases

    def phases(self: FineTuning, task: Task) -> list[Phase]:
        (phase,) = one(self, task)
        probe = replace(phase, name="probe", epochs=2, modules={"heads": 1.0}, freeze_batch_norm=True)
        return [probe, replace(phase, epochs=task.epochs - 2)]

    monkeypatch.setattr(FineTuning, "phases", phases)
    monkeypatch.setattr(loop, "SAVE_SHARE", math.inf)
    spec = lab.spec(epochs=4, cut=2)
    seen: list[bool] = []  # at each epoch's end: were the stages still as they came?
    setup = lab.setup(spec)

    def look(event: Event) -> None:
        if isinstance(event, EpochEnded):
            seen.append(same_tensors(setup.model.stages.state_dict(), make_tiny().state_dict()))

    whole = lab.train(spec, setup=setup, emit=look)
    assert seen == [True, True, False, False]
    starts = [each for each in whole.events if isinstance(each, PhaseStarted)]
    assert [(each.name, each.number, each.epoch) for each in starts] == [
        ("probe", 1, 0),
        ("fine-tuning", 2, 2),
    ]
    assert starts[0].parameters == 17 * 3

    class Kill(Exception):
        pass

    for deadly in (2, 3):

        def emit(event: Event, deadly: int = deadly) -> None:
            if isinstance(event, Saving) and event.epoch == deadly + 1:
                raise Kill

        folder = lab.home / f"killed-{deadly}"
        with pytest.raises(Kill):
            lab.train(spec, folder=folder, emit=emit)
        resumed = lab.train(spec, folder=folder)
        assert resumed.ended == whole.ended
        assert same_tensors(resumed.last, whole.last)


def test_a_search_says_that_it_goes_on_from_phase_to_phase(lab: Lab) -> None:
    outcome = lab.train(lab.spec(strategy="probe_then_tune", cut=2, epochs=5))
    starts = [each for each in outcome.events if isinstance(each, PhaseStarted)]
    *probe, tuning = [each.continues for each in starts]
    assert probe == [False] + [True] * (len(probe) - 1)
    assert len(probe) > 1
    assert not tuning


def test_images_may_enter_at_another_size(lab: Lab) -> None:
    outcome = lab.train(lab.spec(cut=2, size=64, augment="flips"))
    setup = outcome.setup
    with setup.activations(2) as activations:
        assert tuple(activations.at_cut(setup.images("val")).shape[1:]) == setup.task.shape == (8, 32, 32)
    uncached = lab.train(lab.spec(cut=2, size=64, augment="flips", cache=False))
    assert same_tensors(outcome.last, uncached.last)
    own = lab.train(lab.spec(cut=2, augment="flips"))
    assert not same_tensors(outcome.last, own.last)


def test_over_views_the_mean_is_predicted(lab: Lab) -> None:
    outcome = lab.train(lab.spec(cut=2, augment="flips", test_views=True, epochs=1))
    setup, images = outcome.setup, outcome.setup.split.part("test")
    setup.model.eval()
    with setup.activations(2) as activations, torch.no_grad():
        activations.fill(images, 4)
        each = [
            setup.model(activations.at_cut(images, [view] * len(images)), 2).softmax(1).numpy()
            for view in range(4)
        ]
        told: list[tuple[int, int]] = []
        seen = predict(
            setup.model, activations, images, 2, lambda *at: told.append(at), setup.spec.seen_views
        )
        features = [
            setup.model.features(activations.at_cut(images, [view] * len(images)), 2) for view in range(4)
        ]
    said = seen.probabilities
    assert np.allclose(
        seen.features, torch.stack(features).mean(0).numpy(), atol=2e-3
    )  # kept in half precision
    assert np.allclose(said, np.mean(each, axis=0), atol=1e-6)
    assert not np.allclose(said, each[0], atol=1e-3)
    assert told[-1] == (len(images), len(images))


def test_an_export_is_told_before_and_after_and_once_for_all_runs(lab: Lab) -> None:
    """LP-FT needs one piece for each of its two phases."""
    spec = lab.spec("probe_then_tune", cut=2, epochs=1)

    def told() -> list[str | tuple[int, int]]:
        outcome = lab.train(spec, setup=replace(lab.setup(spec), engine="onnx"))
        words = [each for each in outcome.events if isinstance(each, Progressed)]
        return [(each.done, each.total) if each.doing == EXPORTING else each.doing for each in words]

    first = told()
    assert first[:3] == [(0, 1), (1, 1), FROZEN]
    assert first.count((0, 1)) == first.count((1, 1)) == 2
    assert set(told()) <= {FROZEN}
