"""A spec: what is impossible is refused in a sentence, what is the same has the same id."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from transfer_core.errors import UserError
from transfer_core.training.spec import RunSpec, check_spec

SPEC = RunSpec("0123456789abcdef", "fedcba9876543210", strategy="fine_tuning", cut=6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"backbone": "lite9"}, r"no backbone called 'lite9'. Choose one of: lite0, "),
        (
            {"strategy": "magic"},
            r"no strategy 'magic'; choose one of feature_extraction, fine_tuning, .*from_scratch\.",
        ),
        ({"cut": 10}, r"EfficientNet.* has 9 stages: .* from 0 to 9\."),
        ({"cut": -1}, r"Frozen stages \(cut\) must be a whole number from 0 to 64, not -1\."),
        ({"strategy": "feature_extraction"}, r"Feature extraction freezes all 9 stages: leave the cut out\."),
        ({"epochs": 0}, r"Epochs \(epochs\) must be a whole number from 1"),
        ({"epochs": 2.5}, r"must be a whole number .*, not 2\.5\."),
        ({"batch_size": 1}, r"from 2 to 4096 images, not 1\."),
        ({"lr": math.nan}, r"Learning rate \(lr\) must be a number .*, not nan\."),
        ({"lr": math.inf}, r"not inf\."),
        ({"lr": "fast"}, r"not 'fast'\."),
        (
            {"test_views": True, "augment": "light", "views": 4},
            r"needs an augmentation that only mirrors or turns",
        ),
        ({"size": 250}, r"must be 224 or a multiple of 32 pixels, not 250\."),
        ({"backbone": "vit_b_16", "size": 256}, r"takes images of 224 pixels only"),
        ({"geometry": "round"}, r"must be one of whole, pad, centre, not 'round'\."),
        ({"class_weights": "some"}, r"one of none, balanced"),
        ({"precision": "fp8"}, r"one of auto, fp32, mixed"),
        ({"seed": -1}, r"Seed"),
        ({"augment": "swirl"}, r"no augmentation 'swirl'; choose one of none, mirror"),
        ({"knobs": {"label_smoothing": 2}}, r"label_smoothing.* from 0 to 0\.5, not 2\."),
        ({"knobs": {"strength": 2}}, r"no setting called 'strength' here; the settings are: head_factor, "),
        ({"strategy": "feature_extraction", "cut": 9, "views": 0}, r"needs stored views: choose 1 or more\."),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_a_sentence(change: dict[str, Any], sentence: str) -> None:
    assert check_spec(SPEC)
    with pytest.raises(UserError, match=sentence):
        check_spec(replace(SPEC, **change))


def test_the_same_experiment_has_the_same_id_however_it_was_written() -> None:
    written = replace(SPEC, epochs="5", lr="1", cut=6.0, knobs={"weight_decay": "0.1", "head_factor": 10})
    typed = replace(SPEC, epochs=5, lr=1.0, knobs={"head_factor": 10.0, "weight_decay": 0.1})
    assert check_spec(written) == check_spec(typed)
    assert check_spec(written).id == check_spec(typed).id
    assert check_spec(check_spec(typed)) == check_spec(typed)
    assert check_spec(SPEC).id == check_spec(replace(SPEC, knobs={"weight_decay": 0.01})).id, "the default"


def test_every_setting_is_part_of_the_identity() -> None:
    other: dict[str, Any] = {
        "manifest": "1", "split": "1", "backbone": "lite1", "strategy": "feature_extraction", "cut": 5,
        "knobs": {"weight_decay": 0.5}, "epochs": 11, "batch_size": 33, "lr": 0.1, "augment": "mirror", "select": "combined",
        "views": 2, "geometry": "pad", "class_weights": "balanced", "patience": 1, "precision": "fp32",
        "cache": False, "device": "cuda:0", "seed": 1, "size": 288, "test_views": True, "source": "a", "target": "b",
        "label_confidence": "sure", "mixing": 0.4, "networks": 2,
    }  # fmt: skip
    assert set(other) == {each.name for each in fields(SPEC)}
    ids = {replace(SPEC, **{name: value}).id for name, value in other.items()}
    assert len(ids | {SPEC.id}) == len(other) + 1


def test_the_id_outlives_the_process() -> None:
    text = json.dumps(SPEC.to_json())
    code = f"from transfer_core.training.spec import RunSpec; import json; print(RunSpec.from_json(json.loads({text!r})).id)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == SPEC.id


def test_the_backbones_own_size_is_no_other_experiment() -> None:
    assert check_spec(replace(SPEC, size=224)).id == check_spec(SPEC).id
    assert check_spec(replace(SPEC, size=288)).id != check_spec(SPEC).id


def test_a_setting_of_an_earlier_version_does_not_lock_its_run_away() -> None:
    old = replace(SPEC, strategy="meta_transfer", knobs={"way": 3, "shots": 0})
    assert old.make_strategy().way == 3
    assert (old.outdated, replace(old, knobs={"way": 3}).outdated) == (["shots"], [])
    with pytest.raises(UserError, match="no setting called 'shots'"):
        check_spec(old)
