"""Two questions at once: the source's classes and other classes of the target share one trunk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sample_data.shapes import draw_shapes
from tests.support import CLASSES, Lab, candidates
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Row
from transfer_core.data.split import make_split
from transfer_core.errors import UserError
from transfer_core.models.backbones import Backbone
from transfer_core.strategies import get_strategy
from transfer_core.training.labels import set_aside
from transfer_core.training.rules import unmet_need

LABELS = 8  # of the target per class, of which two choose the epoch


@pytest.fixture
def lab(home: Path, tiny: Backbone) -> Lab:
    """One domain is asked for the shape, the other whether it is filled; one class name means both."""
    drawn = candidates(draw_shapes(120, seed=5, size=48, classes=CLASSES, groups=8))
    asked = [
        each
        if each.domain == "clean"
        else replace(each, label="disc-solid" if "solid" in str(each.label) else "not solid")
        for each in drawn
    ]
    manifest, _ = ingest(asked, "Two questions", Library(home))
    across = {"train_domain": "clean", "test_domain": "photographed"}
    with pytest.raises(UserError, match=r"does not have: not solid.*cross-outline.*multi_task"):
        make_split(manifest, "transfer", **across)
    split = Library(home).add_split(make_split(manifest, "transfer", other_classes=True, **across))
    return Lab(home, manifest, split)


def test_each_domain_teaches_its_own_question(lab: Lab) -> None:
    spec = lab.spec("multi_task", knobs={"target_labels": LABELS})
    setup = lab.setup(spec)
    train, rows = setup.images("train"), lab.manifest.by_image
    target = torch.tensor([rows[image].domain == "photographed" for image in train])
    y, (source,) = setup.labels("train"), setup.task_labels(train).values()
    assert torch.equal(y >= 0, target), "the target's classes are learnt from the target alone"
    assert torch.equal(source >= 0, ~target)
    assert set(setup.images("val")) == set(setup.picked) - set(train), (
        "labelled target images choose the epoch"
    )
    assert (len(setup.images("val")), int(target.sum())) == (2 * 2, 2 * (LABELS - 2))
    assert not set(setup.picked) & set(lab.split.part("test"))
    assert [lab.manifest.classes[number] for number in setup.asked] == ["disc-solid", "not solid"]


@pytest.mark.parametrize("groups", [6, 1])
def test_what_chooses_the_epoch_shares_no_group_with_what_trains_where_that_is_possible(groups: int) -> None:
    rows = [
        Row(f"{n:02}", f"{n:02}", "", 1, 1, label="ab"[n // 2 % 2], group=f"g{n // 4 % groups}")
        for n in range(24)
    ]
    manifest = Manifest("Some", ("a", "b"), tuple(rows))
    chosen = set(set_aside(manifest, [row.image for row in rows], 0.25, seed=0))
    sides = [{row.group for row in rows if (row.image in chosen) is side} for side in (True, False)]
    assert (not sides[0] & sides[1]) == (groups > 1)
    for side in (True, False):
        assert {row.label for row in rows if (row.image in chosen) is side} == {"a", "b"}
    assert len(chosen) in range(4, 10)


def test_both_questions_shape_the_trunk_and_the_answer_is_the_targets(lab: Lab) -> None:
    both, alone = (
        lab.train(lab.spec("multi_task", knobs={"target_labels": LABELS, "weight": weight}))
        for weight in (0.5, 0)
    )
    assert any(not torch.equal(both.last[name], alone.last[name]) for name in both.last if "stages" in name)
    with both.setup.activations(both.setup.spec.cut) as activations:
        images = lab.split.part("test")
        activations.fill(images, 1)
        from transfer_core.evaluation.predict import predict

        said = predict(both.setup.model, activations, images, both.setup.spec.cut).probabilities.argmax(1)
    assert {lab.manifest.classes[number] for number in said} <= {"disc-solid", "not solid"}


def test_the_worth_of_labels_that_were_not_allowed_is_nothing(lab: Lab) -> None:
    spec = lab.spec("multi_task", knobs={"target_labels": LABELS})
    allowed = set(lab.setup(spec).picked)
    hidden = [*lab.split.part("target_train"), *lab.split.part("test")]
    first = lab.train(spec)
    other = lab.relabelled({image: None for image in hidden if image not in allowed})
    second = other.train(replace(spec, manifest=other.manifest.id, split=other.split.id))
    assert first.log == second.log


@pytest.mark.parametrize(
    ("strategy", "labels", "says"),
    [
        ("multi_task", 1, "target_labels"),
        ("source_only", None, "not solid.*multi_task"),
        ("dann", None, "multi_task"),
    ],
)
def test_without_labels_of_the_target_or_by_another_strategy_it_is_refused(
    lab: Lab, strategy: str, labels: int | None, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        lab.setup(lab.spec(strategy, knobs={"target_labels": labels} if labels else {}))


def test_of_several_further_labels_one_is_named(lab: Lab) -> None:
    rows = tuple(replace(row, extra={"side": "left", "site": "a"}) for row in lab.manifest.rows)
    manifest = replace(lab.manifest, rows=rows)
    split = make_split(manifest)
    strategy = get_strategy("multi_task")
    assert unmet_need(strategy, manifest, split) is None, "it can be chosen"
    assert "side, site" in (unmet_need(strategy(), manifest, split) or ""), "and then asks which"
    assert unmet_need(strategy(auxiliary="site"), manifest, split) is None
