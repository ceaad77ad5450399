"""Studies of a run's data: they read the parts that they may, and the pretrained features, not the trained ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring
from transfer_core.data.edit import relabel
from transfer_core.data.split import make_split
from transfer_core.errors import UserError
from transfer_core.runs import probing
from transfer_core.runs.pretrained import pretrained_features
from transfer_core.runs.store import Run
from transfer_core.runs.studies import get_study
from transfer_core.training.rules import make_spec

CLASSES = ("disc-solid", "cross-outline", "star-dotted")


@pytest.fixture
def study(home: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Ninety drawings, of which the pretrained features see the class, as a column of their own, and noise."""
    bring(home, draw_shapes(90, seed=3, size=32, classes=CLASSES, groups=18))
    found = Study(home)
    shown = {row.image: CLASSES.index(row.label or "") for row in found.manifest.rows}
    asked: list[str] = []

    def features(_store: object, _run: object, images: list[str]) -> np.ndarray:
        asked[:] = images
        rng = np.random.default_rng([int(images[0][:6], 16)])
        return 4 * np.eye(3)[[shown[image] for image in images]] + rng.normal(0, 1, (len(images), 3))

    monkeypatch.setattr(probing, "pretrained_features", features)
    found.asked = asked  # type: ignore[attr-defined]
    return found


def test_labels_that_were_made_wrong_are_named_with_what_they_are(study: Study) -> None:
    wrong = [row.image for row in study.manifest.rows[:4]]
    true = {row.image: row.label for row in study.manifest.rows}
    given = {image: CLASSES[(CLASSES.index(true[image] or "") + 1) % 3] for image in wrong}
    changed = study.library.add(relabel(study.manifest, given))
    split = study.library.add_split(make_split(changed, "image"))
    run = study.store.add_run(make_spec(changed, split, {"device": "cpu"}))
    found = probing.study_labels(study.store, run)
    assert found["n"] == 90
    named = {each["image"]: each["instead"] for each in found["suspects"]}
    assert len(set(wrong) & set(named)) >= 3
    assert len(named) <= 12
    assert all(named[image] == true[image] for image in set(wrong) & set(named))
    assert get_study(study.store.folder(run.id), "labels") == found


def test_the_learning_curve_never_sees_the_test_images(study: Study) -> None:
    run = study.queued()
    split = study.library.get_split(run.manifest, run.spec.split)
    assert get_study(study.store.folder(run.id), "curve") is None
    found = probing.study_curve(study.store, run)
    assert not set(study.asked) & set(split.part("test"))  # type: ignore[attr-defined]
    assert found["n"] == len(split.part("train")) + len(split.part("val"))
    assert found["sizes"] == sorted(found["sizes"])
    assert found["ahead"]["sizes"][0] == found["n"]
    assert get_study(study.store.folder(run.id), "curve") == found


def test_too_few_images_are_refused(home: Path) -> None:
    bring(home, draw_shapes(24, seed=3, size=32, classes=CLASSES))
    study = Study(home)
    with pytest.raises(UserError, match="only 24 labelled images"):
        probing.study_labels(study.store, study.queued())


def test_pretrained_features_are_those_before_training(home: Path) -> None:
    """Whatever the run trains and however it augments: the same numbers as of any other run of this backbone."""
    bring(home, draw_shapes(24, seed=1, size=32, classes=CLASSES[:2]))
    study = Study(home)
    first = study.queued(cut=3, strategy="fine_tuning", backbone="lite0", augment="turns")
    other = replace(
        first, spec=replace(first.spec, strategy="feature_extraction", cut=9, augment="none", seed=5)
    )
    images = [row.image for row in study.manifest.rows][:6]

    def features(run: Run) -> np.ndarray:
        return pretrained_features(study.store, run, images)

    assert features(first).shape == (6, 1280)
    assert np.array_equal(features(first), features(other))
