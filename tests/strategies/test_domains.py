"""Two domains: each has batch-norm statistics of its own, above the cut and below it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support import Lab, make_tiny, same_tensors
from transfer_core.data.batches import make_batches
from transfer_core.data.manifest import TARGET_TRAIN
from transfer_core.data.split import make_split
from transfer_core.evaluation.metrics import balanced_accuracy
from transfer_core.evaluation.predict import predict
from transfer_core.runs.oracle import about_target
from transfer_core.strategies import Batch
from transfer_core.training.domains import measure_domains, predict_domains
from transfer_core.training.events import EpochEnded, Event

MEASURED = {"measure_frozen": True}


def test_each_domain_keeps_statistics_of_its_own(lab: Lab) -> None:
    """With `batch_norm` target, those of the source are what source images alone would have left."""
    lab = lab.across_domains()
    knobs = {"strength": 0, "average": 0}
    spec = lab.spec("dann", cut=2, epochs=1, knobs=knobs)
    alone = lab.train(lab.spec("source_only", cut=2, epochs=1, knobs={"average": 0}))
    both = lab.train(spec)
    model = both.setup.model
    model.load_trained(both.last)
    alone.setup.model.load_trained(alone.last)

    def statistics() -> dict[str, torch.Tensor]:
        found = model.stages.state_dict()
        return {name: value.clone() for name, value in found.items() if "running" in name}

    own = statistics()
    with both.setup.looking_at_source():
        source = statistics()
    assert same_tensors(statistics(), own), "afterwards the target's are back"
    wanted = {name: value for name, value in alone.setup.model.stages.state_dict().items() if name in own}
    assert all(torch.allclose(source[name], wanted[name], atol=1e-6) for name in wanted)
    assert not same_tensors(own, source)
    figures = [[each.val for each in outcome.log] for outcome in (both, alone)]
    assert figures[0][0] == pytest.approx(figures[1][0]), (
        "the source is validated with the source's statistics"
    )


def test_without_a_target_all_images_are_of_one_kind(lab: Lab) -> None:
    """Then validation and prediction must go by the same statistics: there is no domain to have its own."""
    rows = tuple(
        replace(row, group=None) for row in lab.manifest.rows
    )  # or what has no label is of a tested group
    manifest = lab.library.add(replace(lab.manifest, rows=rows))
    lab = Lab(lab.home, manifest, lab.library.add_split(make_split(manifest)))
    outcome = lab.train(lab.spec("self_training", cut=2, augment="flips"))
    model, val = outcome.setup.model, outcome.setup.images("val")
    model.load_trained(outcome.best)
    assert "source_statistics" not in model.extras
    with outcome.setup.activations(2) as activations:
        said = predict(model, activations, val, 2).probabilities.argmax(1)
    right = float(np.mean(said == outcome.setup.targets(val).numpy()))
    assert right == pytest.approx(outcome.log[outcome.ended.best - 1].val["accuracy"])


@pytest.mark.parametrize("strategy", ["dann", "adabn"])
def test_frozen_stages_are_measured_on_the_training_images_of_each_domain_alone(
    lab: Lab, strategy: str
) -> None:
    lab = lab.across_domains()
    setup = lab.setup(lab.spec(strategy, cut=2, knobs=MEASURED))
    measure_domains(setup, lambda _done, _total: True)
    stem = setup.model.stages[0]
    conv, norm = make_tiny()[0][0], stem[1]
    for part, context in (("train", setup.looking_at_source()), (TARGET_TRAIN, nullcontext())):
        images = lab.split.part(part)
        (x,) = setup.network_inputs(images, len(images))
        maps = conv(x).detach().double().numpy()
        with context:
            assert np.allclose(norm.running_mean.numpy(), maps.mean((0, 2, 3)), atol=1e-5), part
            assert np.allclose(norm.running_var.numpy(), maps.var((0, 2, 3), ddof=1), rtol=1e-4), part


@pytest.mark.parametrize("batch_size", [6, 1000])
def test_adabn_measures_the_target_above_the_cut_in_equal_batches(lab: Lab, batch_size: int) -> None:
    lab = lab.across_domains()
    spec = lab.spec("adabn", cut=2, augment="light", batch_size=batch_size, knobs={"measure_frozen": False})
    outcome = lab.train(spec)
    setup, conv, norm = outcome.setup, outcome.setup.model.stages[2][0], outcome.setup.model.stages[2][1]
    setup.model.load_trained(outcome.last)
    images = setup.images("unlabelled")
    with setup.activations(2) as activations:
        maps = conv(activations.at_cut(images)).detach().double()
    plan = make_batches(images, batch_size, spec.views, seed=spec.seed, epoch=outcome.ended.epoch)
    whole = [batch for batch, _ in plan if len(batch) >= 6]
    assert (len(whole) < len(plan)) == (batch_size == 6), "or nothing would be left out"
    means = [maps[[images.index(each) for each in batch]].mean((0, 2, 3)) for batch in whole]
    assert torch.allclose(norm.running_mean.double(), torch.stack(means).mean(0), atol=1e-5)


def test_stopped_while_measuring_leaves_no_checkpoint_and_begins_anew(lab: Lab) -> None:
    lab = lab.across_domains()
    spec = lab.spec("dann", cut=2, epochs=1, knobs=MEASURED)
    stopped = lab.train(spec, should_stop=lambda: True)
    assert (stopped.ended.reason, stopped.ended.best) == ("stopped", 0)
    assert same_tensors(lab.train(spec, folder=stopped.folder).best, lab.train(spec).best)


@pytest.mark.parametrize("strategy", ["dann", "adabn", "mcd"])
def test_every_image_is_predicted_with_the_statistics_of_its_domain(lab: Lab, strategy: str) -> None:
    """What is predicted in the end for the validation images is what the chosen epoch was said to do."""
    lab = lab.across_domains()
    outcome = lab.train(lab.spec(strategy, cut=2, knobs=MEASURED))
    setup = outcome.setup
    setup.model.load_trained(outcome.best)
    images = sorted(setup.manifest.by_image)
    with setup.activations(2) as activations:
        activations.fill(images, 1)
        seen = predict_domains(setup, activations, images, lambda *_: None)
        chances = dict(zip(images, seen.probabilities, strict=True))
        test = lab.split.part("test")
        assert np.array_equal(
            np.stack([chances[image] for image in test]),
            predict(setup.model, activations, test, 2).probabilities,
        )
    val = setup.images("val")
    said = np.stack([chances[image] for image in val]).argmax(1)
    right = balanced_accuracy(setup.labels("val").numpy(), said, len(setup.manifest.classes))
    assert right == pytest.approx(outcome.log[outcome.ended.best - 1].val["balanced_accuracy"])


def test_with_no_average_the_teacher_is_the_model_itself(lab: Lab) -> None:
    lab = lab.across_domains()
    runs = [
        lab.train(
            lab.spec(
                "self_training",
                augment="flips",
                knobs={"teacher": name, "average": average, "delay": 0, "threshold": 0.3},
            )
        ).last
        for name, average in (("average", 0.0), ("model", 0.0), ("average", 0.9), ("model", 0.9))
    ]
    assert same_tensors(runs[0], runs[1])
    assert not same_tensors(runs[2], runs[3])


def test_teaching_changes_nothing_but_what_is_said(lab: Lab) -> None:
    lab = lab.across_domains()
    outcome = lab.train(lab.spec("self_training", cut=2, augment="flips", epochs=1))
    setup, model = outcome.setup, outcome.setup.model
    model.stages.train()
    before = {
        name: value.clone() for name, value in model.stages.state_dict().items() if "tracked" not in name
    }
    with setup.activations(2) as activations:
        x = activations.at_cut(setup.images("unlabelled"))
    setup.strategy.teach(model, Batch(x, torch.zeros(0), x_target=x), setup.task)  # type: ignore[attr-defined]
    after = {name: value for name, value in model.stages.state_dict().items() if "tracked" not in name}
    assert same_tensors(before, after)


@pytest.mark.parametrize(("strategy", "kept"), [("adabn", 2), ("mcc", 1)])
def test_a_run_that_was_stopped_still_has_its_oracle(lab: Lab, strategy: str, kept: int) -> None:
    """AdaBN's last phase chooses anew; where it was never begun, the epochs before are what there was to choose from."""
    lab = lab.across_domains()
    spec = lab.spec(strategy, cut=2, epochs=3)
    seen: list[int] = []

    def look(event: Event) -> None:
        if isinstance(event, EpochEnded):
            seen.append(event.epoch)

    outcome = lab.train(spec, emit=look, should_stop=lambda: len(seen) == kept)
    assert outcome.ended.reason == "stopped"
    found = about_target(outcome.setup, outcome.folder, outcome.ended)
    assert found["oracle"]["epoch"] in range(1, kept + 1)
    assert 0 <= found["oracle"]["chosen"] <= found["oracle"]["balanced_accuracy"] <= 1
    assert found.get("unreached", "") == ("measuring batch-norm on the target" if strategy == "adabn" else "")


def test_adabn_leaves_the_source_as_it_was_learnt(lab: Lab) -> None:
    """Measuring the target changes nothing of what is said of the source, from which decisions are fitted."""
    lab = lab.across_domains()
    log = lab.train(lab.spec("adabn", cut=2, epochs=3, patience=0)).log
    *learning, measured = log
    start = min(learning, key=lambda each: -each.best * each.epoch)  # the last that was best
    assert measured.val["loss"] == pytest.approx(start.val["loss"], abs=1e-6)
    assert measured.target != start.target
