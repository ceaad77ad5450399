"""Likeness and layout of features, against numpy and scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import procrustes
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier

from transfer_core.data.manifest import Manifest, Row
from transfer_core.evaluation.feature_map import (
    align,
    draw_sample,
    load_map,
    make_map,
    neighbours_agree,
    project,
)
from transfer_core.evaluation.report import Report
from transfer_core.evaluation.similar import most_typical, nearest
from transfer_core.runs.likeness import agreement, similar_to


def make_report(n: int = 300, seed: int = 0) -> Report:
    rng = np.random.default_rng(seed)
    rows = tuple(
        Row(f"{i:064x}", f"p{i}", f"{i}.png", 8, 8, label=("a", "b")[i % 2], domain=("x", "y")[i % 3 == 0])
        for i in range(n)
    )
    parts = tuple(rng.choice(["train", "val", "test"], n, p=[0.6, 0.1, 0.3]))
    chances = rng.dirichlet((1, 1), n).astype(np.float32)
    return Report(
        Manifest("m", ("a", "b"), rows), tuple(row.image for row in rows), parts, chances, False, {}
    )


def make_features(n: int = 300, d: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float16)


def test_neighbours_are_scikit_learns() -> None:
    features, places = make_features(), list(range(10, 290))
    theirs = cosine_similarity(features[5:6].astype(np.float64), features[places].astype(np.float64))[0]
    found = nearest(features, features[5], places, 7)
    assert [place for place, _ in found] == [places[index] for index in np.argsort(-theirs)[:7]]
    np.testing.assert_allclose([share for _, share in found], np.sort(theirs)[::-1][:7], atol=1e-5)


def test_what_is_most_typical_is_nearest_to_the_mean_direction() -> None:
    features = make_features()
    features[7] = features[:20].mean(0) * 3
    assert most_typical(features, list(range(20)), 1) == [7]


def test_only_training_images_are_called_similar_and_no_copy_of_the_image() -> None:
    report, features = make_report(), make_features()
    image = report.images[report.parts.index("test")]
    best = similar_to(report, features, image)[0]
    rows = [
        replace(row, pixels="same") if row.image in (image, best.image) else row
        for row in report.manifest.rows
    ]
    copied = replace(report, manifest=replace(report.manifest, rows=tuple(rows)))
    found = similar_to(copied, features, image)
    parts = dict(zip(report.images, report.parts, strict=True))
    assert len(found) == 5
    assert {parts[each.image] for each in found} == {"train"}
    assert best.image not in [each.image for each in found]
    assert [each.similarity for each in found] == sorted((each.similarity for each in found), reverse=True)
    labels = [each.label for each in found]
    assert agreement(found, "a") == (labels.count("a"), 5)


def test_a_target_whose_labels_were_hidden_lends_none() -> None:
    report = replace(
        make_report(),
        parts=tuple("target_train" if part == "train" else part for part in make_report().parts),
    )
    found = similar_to(report, make_features(), report.images[0])
    assert {each.label for each in found} == {None}
    assert agreement(found, "a") == (0, 0)


def test_projection_is_scikit_learns_pca() -> None:
    features = make_features(d=40).astype(np.float32)
    xy, kept = project(features, 2)
    theirs = PCA(2, svd_solver="full").fit(features.astype(np.float64))
    own = theirs.transform(features.astype(np.float64))
    np.testing.assert_allclose(np.abs(xy), np.abs(own), rtol=1e-3, atol=1e-3)
    assert kept == pytest.approx(theirs.explained_variance_ratio_.sum(), rel=1e-5)
    np.testing.assert_array_equal(project(features.copy(), 2)[0], xy)


def test_alignment_turns_and_never_stretches() -> None:
    rng = np.random.default_rng(4)
    to = rng.normal(size=(50, 2)).astype(np.float32)
    angle = 0.7
    turned = to @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [1, -1] + 5
    np.testing.assert_allclose(align(turned.astype(np.float32), to), to - to.mean(0), atol=1e-4)
    other = rng.normal(size=(50, 2)).astype(np.float32)
    back = align(other, to)
    own = [np.linalg.norm(each[:, None] - each[None], axis=2) for each in (other, back)]
    np.testing.assert_allclose(own[0], own[1], atol=1e-4)
    assert procrustes(to, back)[2] == pytest.approx(procrustes(to, other)[2], abs=1e-6)


def test_a_sample_keeps_the_proportions_and_is_the_same_each_time() -> None:
    report = make_report(5000)
    places = draw_sample(report, 500)
    np.testing.assert_array_equal(places, draw_sample(report, 500))
    assert 480 <= len(places) <= 500
    for part in ("train", "val", "test"):
        share = np.mean([report.parts[place] == part for place in places])
        assert share == pytest.approx(report.parts.count(part) / 5000, abs=0.01)
    assert len(set(places.tolist())) == len(places)
    np.testing.assert_array_equal(draw_sample(make_report(100), 500), np.arange(100))


def test_agreement_of_neighbours_is_a_nearest_neighbour_classifier() -> None:
    report, features = make_report(), make_features().astype(np.float32)
    places = np.arange(300)
    parts, labels = np.array(report.parts), np.array([row.label for row in report.manifest.rows])
    theirs = KNeighborsClassifier(1, metric="cosine").fit(
        features[parts == "train"], labels[parts == "train"]
    )
    right = theirs.predict(features[parts == "test"]) == labels[parts == "test"]
    assert neighbours_agree(report, places, features) == (right.sum(), len(right))


def test_tsne_keeps_apart_what_is_far_apart_and_comes_back_from_disk(tmp_path: Path) -> None:
    report, features = make_report(120), make_features(120, 30)
    far = np.arange(120) % 2 == 0
    features[far] += 20
    made = make_map(report, np.arange(120), features, "tsne")
    beside = KNeighborsClassifier(1).fit(made.xy[:60], far[:60]).predict(made.xy[60:])
    assert (beside == far[60:]).all()
    assert np.isnan(made.kept)
    made.save(tmp_path / "map.npz")
    back = load_map(tmp_path / "map.npz")
    np.testing.assert_array_equal(back.xy, made.xy)
    assert (back.agreeing, back.asked) == (made.agreeing, made.asked)
