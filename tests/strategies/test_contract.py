"""The laws that every strategy keeps."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from sample_data.shapes import Drawing
from tests.strategies.contract import cuts, every
from tests.support import SMALL, Lab, Outcome, candidates, make_tiny, same_tensors
from transfer_core.data.ingest import ingest
from transfer_core.data.manifest import TARGET_TRAIN
from transfer_core.data.split import make_split
from transfer_core.errors import UserError
from transfer_core.knobs import get_knobs, make_from_knobs
from transfer_core.runs.oracle import about_target
from transfer_core.strategies import FURTHER_LABEL, TARGET, UNLABELLED, Strategy, get_strategy
from transfer_core.training.estimate import count_parameters
from transfer_core.training.events import PhaseStarted
from transfer_core.training.spec import RunSpec

PLAIN = {"cross-entropy"}
TERMS = {  # as each strategy's documentation names them, phase by phase
    "feature_extraction": [PLAIN | {"penalty"}],
    "fine_tuning": [PLAIN],
    "probe_then_tune": [PLAIN | {"penalty"}, PLAIN],
    "source_only": [PLAIN],
    "adabn": [PLAIN],
    "mcc": [PLAIN | {"confusion", "class shares"}],
    "dann": [PLAIN | {"domain"}],
    "cdan": [PLAIN | {"domain"}],
    "mmd": [PLAIN | {"distance"}],
    "coral": [PLAIN | {"distance"}],
    "mcd": [PLAIN | {"cross-entropy again", "disagreement", "agreement"}],
    "self_training": [PLAIN | {"pseudo-labels"}],
    "adversarial_self_training": [PLAIN | {"pseudo-labels", "domain"}],
    "autoencoder": [{"reconstruction"}, PLAIN],
    "multi_task": [PLAIN | {"second question"}],
    "prototypical": [PLAIN],
    "meta_transfer": [PLAIN],
    "from_scratch": [PLAIN],
}
FACTS = {
    "dann": {"domain accuracy", "lambda"},
    "cdan": {"domain accuracy", "lambda"},
    "self_training": {"images learnt from"},
    "adversarial_self_training": {"images learnt from", "domain accuracy", "lambda"},
}


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@every
def test_losses_are_finite_named_and_add_up(lab: Lab, strategy: type[Strategy]) -> None:
    outcome = lab.train(lab.spec(strategy.name, **cuts(strategy)))
    assert [each.epoch for each in outcome.log] == list(range(1, outcome.ended.epoch + 1))
    seen = []
    for each in outcome.log:
        terms = set(each.train) - {"loss", "accuracy"}
        seen += [terms] if terms not in seen else []
        assert set(each.val) == {"loss", "accuracy", "balanced_accuracy"}
        assert set(each.facts) == FACTS.get(strategy.name, set())
        numbers = [*each.train.values(), *each.val.values(), *each.target.values(), *each.facts.values()]
        assert all(math.isfinite(value) for value in numbers)
        assert each.train["loss"] == pytest.approx(sum(each.train[name] for name in terms))
    assert seen == TERMS[strategy.name]
    # What the form says beforehand is what the run then says: epochs of all phases, parameters of what is taken home.
    spec = outcome.setup.spec
    assert outcome.log[-1].epochs == spec.total_epochs
    told = [each.parameters for each in outcome.events if isinstance(each, PhaseStarted)]
    if strategy.name != "meta_transfer":  # trains scales, which are multiplied into all kernels
        assert max(told) == count_parameters(spec, len(lab.manifest.classes))[0]


@every
@pytest.mark.parametrize("cut", range(5))
def test_frozen_stages_stay_bit_identical(lab: Lab, strategy: type[Strategy], cut: int) -> None:
    only = {"all": 4, "nothing": 0}.get(strategy.freezes, cut)
    if cut != only or (strategy.trains_stages and cut == 4):
        with pytest.raises(UserError, match=r"freezes (all 4 stages|no stage)|all 4 are frozen"):
            lab.spec(strategy.name, cut=cut)
        return
    if (strategy.name, cut) == ("adabn", 4):
        return  # nothing to measure there: see below
    outcome = lab.train(lab.spec(strategy.name, cut=cut, epochs=2))
    before, after = make_tiny(), outcome.setup.model.stages
    measured = (
        outcome.setup.measures_domains
    )  # then the frozen stages keep their weights, not their statistics
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        same = [same_tensors(old.state_dict(), new.state_dict()), same_weights(old, new)]
        assert same == [index < cut and not measured, index < cut], index
    start = lab.setup(outcome.setup.spec).model.heads.state_dict()
    assert not same_tensors(start, outcome.setup.model.heads.state_dict())


@pytest.mark.parametrize("freeze", [True, False])
def test_batch_norm_statistics_move_only_where_they_may(lab: Lab, freeze: bool) -> None:
    outcome = lab.train(lab.spec(cut=1, epochs=1, knobs={"freeze_batch_norm": freeze}))
    old, new = make_tiny().state_dict(), outcome.setup.model.stages.state_dict()
    means = [name for name in old if name.endswith("running_mean") and not name.startswith("stem")]
    assert len(means) == 4
    assert all(torch.equal(old[name], new[name]) == freeze for name in means)


@every
@pytest.mark.parametrize("budget", [None, 0], ids=["activations", "pixels"])
def test_cached_equals_uncached(lab: Lab, strategy: type[Strategy], budget: int | None) -> None:
    """With stored views, whatever is stored: what follows from the numbers is equal to the last bit."""

    def train(cache: bool) -> Outcome:
        spec = lab.spec(strategy.name, **cuts(strategy), augment="flips", cache=cache, epochs=2)
        assert spec.views == 4
        return lab.train(spec, setup=lab.setup(spec, budget=budget))

    first, again, uncached = train(True), train(True), train(False)
    assert (lab.home / "cache-1").exists()
    assert first.setup.stored_stage(first.setup.spec.cut) == (0 if budget == 0 else first.setup.spec.cut)
    for other in (again, uncached):  # `again` finds all in the cache that `first` filled
        assert other.log == first.log
        assert same_tensors(other.last, first.last)


@every
def test_a_spec_survives_json(lab: Lab, strategy: type[Strategy]) -> None:
    knobs = {each.name: each.default for each in get_knobs(strategy)}
    spec = lab.spec(strategy.name, augment="light", knobs=knobs)
    back = RunSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert back == spec
    assert back.id == spec.id
    assert back.make_strategy() == make_from_knobs(strategy, knobs)


@every
def test_knobs_are_described_and_read_back_from_text(strategy: type[Strategy]) -> None:
    knobs = get_knobs(strategy)
    assert knobs
    for each in knobs:
        assert each.label
        assert each.help.endswith(".")
        assert each.parse(each.default) == each.default
        if each.type is str and not each.choices:
            continue  # any text will do
        for bad in ("what", math.nan, *(value * 10 + 1 for value in [each.high] if value is not None)):
            with pytest.raises(UserError, match=f"{each.name}.*must be"):
                each.parse(bad)
    text = {each.name: str(each.default) for each in knobs}
    assert make_from_knobs(strategy, text) == strategy()
    with pytest.raises(UserError, match="no setting called 'colour'"):
        make_from_knobs(strategy, {"colour": 1})


@every
def test_is_known_by_its_name_and_explained(strategy: type[Strategy]) -> None:
    assert get_strategy(strategy.name) is strategy
    assert strategy.title
    assert strategy.about.count(".") == 2


@every
def test_learns_a_toy_set(lab: Lab, strategy: type[Strategy]) -> None:
    """Noise, each class with more of other colours; where there are two domains, the second is darker."""
    rng = np.random.default_rng(0)
    classes = max(3, make_from_knobs(strategy, SMALL.get(strategy.name, {})).classes_needed())
    files = []
    for number in range(24 * classes):
        label, domain = number % classes + 1, number // classes % 2
        pixels = rng.uniform(60, 160, (32, 32, 3)) - 20 * domain
        for channel in range(3):
            pixels[..., channel] += rng.uniform(40, 90) * (label >> channel & 1)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        files.append(Drawing(image, f"class {label}", ("here", "there")[domain], "", "", str(number)))
    manifest, _ = ingest(candidates(files), "Colours", lab.library)
    colours = Lab(lab.home, manifest, lab.library.add_split(make_split(manifest, fractions=(0.4, 0.3, 0.3))))
    colours = colours.with_further_label() if FURTHER_LABEL in strategy.needs else colours
    colours = colours.across_domains() if {TARGET, UNLABELLED} & set(strategy.needs) else colours
    longer = {"fitting": 14} if strategy.name == "meta_transfer" else {}
    spec = colours.spec(strategy.name, **cuts(strategy), epochs=8, select="validation_loss", knobs=longer)
    outcome = colours.train(spec)
    best = outcome.log[outcome.ended.best - 1]
    assert best.best
    assert best.val["balanced_accuracy"] >= 0.8, "chance is a third at most"


@every
def test_never_reads_labels_it_may_not(lab: Lab, strategy: type[Strategy]) -> None:
    """Other labels for test images and for those outside the split leave training bit-identical."""
    wishes = {**cuts(strategy), "class_weights": "balanced", "augment": "mirror", "epochs": 2}
    hidden = {row.image: lab.manifest.classes[0] for row in lab.manifest.rows if row.label is None}
    assert hidden
    told = lab.train(lab.spec(strategy.name, **wishes))
    for other in (lab.permuted("test"), lab.permuted(TARGET_TRAIN), lab.relabelled(dict(hidden))):
        assert other.manifest.id != lab.manifest.id or not lab.split.part(TARGET_TRAIN)
        outcome = other.train(other.spec(strategy.name, **wishes))
        assert outcome.log == told.log
        assert same_tensors(outcome.last, told.last)
    other = lab.permuted("train")
    assert other.train(other.spec(strategy.name, **wishes)).log != told.log, "or this test could not fail"


@every
def test_labels_of_the_target_are_used_only_where_allowed(lab: Lab, strategy: type[Strategy]) -> None:
    """From one domain to another, whatever the strategy: no label of the target matters, unless some are asked for."""
    lab, wishes = lab.across_domains(), {**cuts(strategy), "epochs": 2, "augment": "mirror"}

    def train(lab: Lab, **knobs: int) -> Outcome:
        return lab.train(lab.spec(strategy.name, **wishes, knobs=knobs))

    told, other = train(lab), lab.permuted(TARGET_TRAIN)
    assert other.manifest.id != lab.manifest.id
    hidden = train(other)
    assert hidden.log == told.log
    assert same_tensors(hidden.last, told.last)
    assert about_target(told.setup, told.folder, told.ended)["target_labels_used"] == 0
    if "target_labels" in {each.name for each in get_knobs(strategy)}:
        asked = [train(each, target_labels=2) for each in (lab, other)]
        assert asked[0].log != asked[1].log
        used = about_target(asked[0].setup, asked[0].folder, asked[0].ended)["target_labels_used"]
        assert used == 2 * len(lab.manifest.classes)


@every
def test_fresh_views_train_too(lab: Lab, strategy: type[Strategy]) -> None:
    """Views drawn anew each epoch: nothing is stored that training would wait for in vain."""
    if strategy.freezes == "all":
        with pytest.raises(UserError, match="needs stored views"):
            lab.spec(strategy.name, augment="light", views=0)
        return
    outcome = lab.train(lab.spec(strategy.name, **cuts(strategy), augment="light", views=0, epochs=1))
    assert outcome.ended.best


def test_adabn_needs_batch_norm(lab: Lab) -> None:
    across = lab.across_domains()
    with pytest.raises(UserError, match="no batch-norm"):
        across.setup(across.spec("adabn", cut=4))
