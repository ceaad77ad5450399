"""Every adaptation has its twin, the same run without adaptation, and a verdict beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring
from transfer_core.errors import UserError
from transfer_core.runs import worker
from transfer_core.runs.caveats import compared_as_they_stand
from transfer_core.runs.lab import Lab, run_object
from transfer_core.runs.store import Run
from transfer_core.training.events import Ended
from transfer_core.training.rules import make_spec, twin_spec


class Nobody:
    """Starts no workers."""

    def start(self, home: Path, run: str, attempt: int) -> None:
        pass

    def is_busy(self, run: str, attempt: int) -> bool:
        return True

    def could_not_start(self, run: str, attempt: int) -> bool:
        return False


@pytest.fixture
def study(home: Path) -> Study:
    bring(home, draw_shapes(120, seed=3, size=32, classes=("disc-solid", "star-dotted"), groups=60))
    return Study(home, {"rule": "transfer", "train_domain": "clean", "test_domain": "photographed"})


@pytest.fixture
def lab(home: Path) -> Lab:
    return Lab(home, Nobody())


def spec(study: Study, strategy: str, **wishes: object) -> object:
    return make_spec(
        study.manifest, study.split(**study.choices), {"strategy": strategy, "device": "cpu", **wishes}
    )


def test_the_twin_differs_in_the_adaptation_alone(study: Study) -> None:
    own = spec(study, "dann", seed=4, augment="flips", knobs={"strength": 3.0, "average": 0.9}, lr=1e-3)
    twin = twin_spec(own, study.split(**study.choices))
    assert twin is not None
    assert twin == replace(own, strategy="source_only", knobs=twin.knobs)
    assert twin.knobs["average"] == 0.9
    assert set(twin.knobs) < set(own.knobs)
    assert twin_spec(twin, study.split(**study.choices)) is None, "the baseline has none"


def test_starting_an_adaptation_queues_its_twin_once(study: Study, lab: Lab) -> None:
    first = lab.start(spec(study, "mcc"))
    second = lab.start(spec(study, "coral"))
    lab.start(spec(study, "mcc"), token="a")
    lab.start(spec(study, "mcc"), token="a")
    names = sorted(run.spec.strategy for run in study.store.runs())
    assert names == ["coral", "mcc", "mcc", "source_only"]
    assert lab.twin(first) == lab.twin(second)
    assert lab.verdict(first) is None


@pytest.mark.parametrize(
    ("own", "other", "verdict"), [(0, 12, "better"), (12, 0, "worse"), (1, 1, "cannot tell")]
)
def test_the_verdict_is_told(study: Study, lab: Lab, own: int, other: int, verdict: str) -> None:
    run = study.ended(strategy="mcc", wrong=own)
    assert lab.verdict(run) is None
    study.ended(strategy="source_only", wrong=other)
    found = lab.verdict(run)
    assert found is not None
    assert (found.verdict, found.test, found.measure) == (verdict, "groups", "balanced_accuracy")
    assert found.is_harmful == (verdict == "worse")


def test_what_a_strategy_needs_and_does_not_find_is_said_before_it_starts(study: Study, lab: Lab) -> None:
    study.choices = {"rule": "image"}
    with pytest.raises(UserError, match="Needs a source and a target domain"):
        lab.start(spec(study, "mcc"))
    with pytest.raises(UserError, match="further label"):
        lab.start(spec(study, "multi_task"))
    with pytest.raises(UserError, match=r"at least 17 classes.*there are 2\. Prototypes \(prototypical\)"):
        lab.start(spec(study, "meta_transfer"))
    assert study.store.runs() == []


def test_nobody_fetches_weights_for_a_backbone_that_the_strategy_cannot_use(study: Study, lab: Lab) -> None:
    with pytest.raises(UserError, match="ViT-B/16 has no batch-norm"):
        lab.start(spec(study, "adabn", backbone="vit_b_16"))
    with pytest.raises(UserError, match="weights of ResNet-18 are not on this computer"):
        lab.start(spec(study, "adabn", backbone="resnet18"))


def test_the_figures_of_the_target_are_in_the_json(study: Study) -> None:
    run: Run = study.ended(strategy="mcc")
    told = run_object(study.lab, run)
    assert told["test_transductive"]["n"] > told["test"]["n"] > 0
    assert told["oracle"]["images"] == 20


def test_what_was_stopped_is_compared_as_it_stands_where_nothing_whole_is_there(
    study: Study, lab: Lab
) -> None:
    run = study.ended(strategy="mcc")
    missing = lab.needs_twin(run)
    assert missing is not None
    assert missing.strategy == "source_only"
    own = study.lab.verdict
    study.ended("stopped", result=False, strategy="source_only")
    assert (lab.twin(run), own(run)) == (None, None), "it has no model"
    short = study.ended("stopped", strategy="source_only", wrong=12)
    assert lab.twin(run) == short
    assert lab.needs_twin(run) == missing, "it can still be trained to its end"
    first = own(run)
    assert first is not None
    (said,) = compared_as_they_stand(run, short)
    assert said == "The run without adaptation was stopped after 2 of 4 epochs and is compared as it stands."
    whole = study.ended("done", strategy="source_only", wrong=2)
    assert (lab.needs_twin(run), lab.twin(run)) == (None, whole)
    assert compared_as_they_stand(run, whole) == []
    second = own(run)
    assert second is not None
    assert second.gap.value < first.gap.value
    cut_short = study.ended("stopped", strategy="mcc", wrong=0)
    assert own(cut_short) is not None
    assert compared_as_they_stand(cut_short, whole)[0].startswith("This run was stopped after 2 of 4 epochs")


def diverged(study: Study, epoch: int, **wishes: object) -> Run:
    """A run whose loss stopped being a number after an epoch; with a model where that is not the first."""
    run = study.running(epochs=epoch, **wishes)
    study.store.add_events(run.id, run.attempt, [Ended("diverged", epoch, epoch)])
    result = study.report(run, 9) | {"reason": "diverged"} if epoch else None
    study.store.finish(run.id, run.attempt, "failed", error="The loss stopped being a number.", result=result)
    return study.store.get(run.id)


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_twin_that_diverged_is_not_trained_again(study: Study, lab: Lab, epoch: int) -> None:
    run = study.ended(strategy="mcc")
    lost = study.ended("failed", result=False, strategy="source_only", error="The memory is used up.")
    assert lab.needs_twin(run), "another failure may not come back"
    gone = diverged(study, epoch, strategy="source_only")
    assert (lab.has_diverged(gone), lab.has_diverged(lost)) == (True, False)
    assert lab.needs_twin(run) is None
    assert (lab.twin(run), lab.diverged_twin(run)) == ((gone, None) if epoch else (None, gone))
    assert (lab.verdict(run) is not None) == bool(epoch)
    said = compared_as_they_stand(run, lab.twin(run))
    assert [each.partition(" and is compared")[0] for each in said] == (
        ["The run without adaptation diverged (its loss stopped being a number) after 2 of 4 epochs"]
        if epoch
        else []
    )
    before = len(study.store.runs())
    lab.start(spec(study, "coral", epochs=4))
    assert len(study.store.runs()) == before + 1, "nor with another adaptation"
    study.store.delete(gone.id)
    assert lab.needs_twin(run), "whoever wants it all the same deletes it"


def test_a_run_that_diverged_and_whose_test_failed_can_go_on(study: Study, lab: Lab) -> None:
    run = study.running(strategy="source_only")
    study.store.add_events(run.id, run.attempt, [Ended("diverged", 2, 2)])
    study.store.finish(run.id, run.attempt, "failed", error="The disk is full.")
    assert not lab.has_diverged(study.store.get(run.id))


def test_only_what_learnt_from_the_target_is_called_adapted(study: Study, lab: Lab) -> None:
    names = ("mcc", "self_training", "source_only", "fine_tuning", "prototypical")
    runs = {name: study.ended(strategy=name) for name in names}
    assert {name for name, run in runs.items() if lab.is_adapted(run)} == {"mcc", "self_training"}
    labels = replace(runs["prototypical"], result={"target_labels_used": 20})
    assert lab.is_adapted(labels), "with labels of the target is also from the target"
    assert not lab.is_adapted(replace(runs["mcc"], result={"unreached": "measuring"})), (
        "it was stopped before"
    )


def test_a_waiting_run_of_an_earlier_version_is_not_trained_as_something_else(study: Study, lab: Lab) -> None:
    run = study.queued(strategy="mcc")
    older = replace(run.spec, knobs={**run.spec.knobs, "shots": 5})
    waiting = study.store.add_run(older)
    worker.work(study.home, waiting.id)
    ended = study.store.get(waiting.id)
    assert ended.state == "failed"
    assert "settings that are no more (shots): set it up anew" in (ended.error or "")


def test_a_twin_stays_where_a_run_is_stopped_unless_it_is_to_go_too(study: Study, lab: Lab) -> None:
    first, second = lab.start(spec(study, "mcc")), lab.start(spec(study, "dann"))
    twin = lab.twin(first)
    assert twin is not None
    assert twin == lab.twin(second)
    assert lab.stop(first, with_twin=True) is None, "the second needs it"
    assert study.store.get(twin.id).state == "queued"
    assert lab.stop(second) == twin
    assert study.store.get(twin.id).state == "queued", "nothing goes without a word"
    lab.stop(second, with_twin=True)
    assert {run.state for run in study.store.runs()} == {"stopped"}


def test_a_baseline_of_ones_own_stays_queued(study: Study, lab: Lab) -> None:
    own = lab.start(spec(study, "source_only"))
    adapted = lab.start(spec(study, "mcc"))
    twin = lab.twin(adapted)
    assert twin is not None
    assert lab.stop(adapted, with_twin=True) is None
    assert study.store.get(twin.id).state == "queued"
    assert (twin.id == own.id) == (twin.spec.id == own.spec.id)
