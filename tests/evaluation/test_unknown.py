"""Images unlike the training images: distances as scikit-learn finds them, and no more false alarms than were promised."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from transfer_core.data.manifest import Manifest
from transfer_core.errors import UserError
from transfer_core.evaluation.report import Report
from transfer_core.evaluation.unknown import (
    FEWEST,
    NEIGHBOURS,
    REFERENCE,
    Familiar,
    fit_familiar,
    is_unknown,
    nearest_distances,
    promised_share,
)


def report_of(parts: list[str]) -> Report:
    """A report of images in these parts; what it says of them does not matter here."""
    images = tuple(str(number) for number in range(len(parts)))
    chances = np.full((len(parts), 2), 0.5, np.float32)
    return Report(Manifest("any", ("a", "b"), ()), images, tuple(parts), chances, False, {})


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("neighbours", [1, 5])
def test_distances_are_those_of_scikit_learn(neighbours: int) -> None:
    rng = np.random.default_rng(0)
    reference, asked = rng.normal(size=(300, 40)), rng.normal(size=(2500, 40))  # more than one chunk
    oracle = NearestNeighbors(n_neighbors=neighbours).fit(unit(reference)).kneighbors(unit(asked))[0][:, -1]
    found = nearest_distances(unit(reference).astype(np.float32), asked, neighbours)
    np.testing.assert_allclose(found, oracle, atol=1e-5)


def test_an_image_it_has_learnt_from_is_at_no_distance_and_is_never_flagged() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(400, 16)).astype(np.float16)
    parts = ["train"] * 300 + ["val"] * 100
    assert nearest_distances(fit_familiar(report_of(parts), features).reference, features[:300], 1).max() == 0
    again = np.repeat(features[:60], NEIGHBOURS, 0)  # as often as neighbours are looked at
    familiar = fit_familiar(
        report_of(["train"] * len(again) + ["val"] * 100), np.concatenate([again, features[300:]])
    )
    distances = familiar.distances(features[:60])
    assert distances.max() == 0
    assert not is_unknown(familiar.p_values(distances), familiar.images).any()


def test_neither_brightness_nor_order_of_features_matters() -> None:
    """Only the direction of a feature counts, so that a scale (of an image, or of all) changes nothing."""
    rng = np.random.default_rng(2)
    features = rng.normal(size=(300, 12)).astype(np.float32)
    scaled = features * rng.uniform(0.1, 50, size=(300, 1)).astype(np.float32)
    parts = ["train"] * 150 + ["val"] * 50 + ["test"] * 100
    one, other = (fit_familiar(report_of(parts), each) for each in (features, scaled))
    np.testing.assert_allclose(one.distances(features[200:]), other.distances(scaled[200:]), atol=1e-5)
    order = rng.permutation(150)
    shuffled = fit_familiar(report_of(parts), np.concatenate([features[:150][order], features[150:]]))
    np.testing.assert_allclose(one.own, shuffled.own, atol=1e-6)


@pytest.mark.parametrize(("images", "wanted"), [(40, 0.01), (199, 0.01), (199, 0.05), (1000, 0.01)])
def test_of_images_like_the_others_no_more_are_flagged_than_promised(images: int, wanted: float) -> None:
    """Over many draws of validation images the mean share of false alarms is at most what was promised, and near it."""
    rng = np.random.default_rng(images)
    shares = []
    for _ in range(400):
        # A hard tail, and ties: what features' distances look like must not matter.
        own, new = np.round(rng.pareto(2, images), 3), np.round(rng.pareto(2, 400), 3)
        familiar = Familiar(np.zeros((0, 1), np.float32), np.sort(own))
        shares.append(is_unknown(familiar.p_values(new), images, wanted).mean())
    bound = promised_share(images, wanted)
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= bound + 3 * error
    assert np.mean(shares) >= 0.8 * np.floor(bound * (images + 1)) / (images + 1) - 3 * error


def test_what_points_elsewhere_is_flagged() -> None:
    rng = np.random.default_rng(3)
    known = rng.normal(size=(500, 20)) + 8 * np.eye(20)[0]
    familiar = fit_familiar(report_of(["train"] * 300 + ["val"] * 200), known)
    other = rng.normal(size=(100, 20)) + 8 * np.eye(20)[1]
    assert is_unknown(familiar.p_values(familiar.distances(other)), familiar.images).all()


def test_too_few_validation_images_tell_nothing() -> None:
    features = np.random.default_rng(4).normal(size=(100, 4))
    parts = ["train"] * (100 - FEWEST + 1) + ["val"] * (FEWEST - 1)
    with pytest.raises(UserError, match=f"{FEWEST} validation images or more; this run has {FEWEST - 1}"):
        fit_familiar(report_of(parts), features)
    assert promised_share(FEWEST) == pytest.approx(0.05)
    assert promised_share(99) == pytest.approx(0.01)


def test_a_large_training_part_is_sampled_the_same_way_each_time() -> None:
    features = np.random.default_rng(5).normal(size=(REFERENCE + 1000, 3)).astype(np.float16)
    parts = ["train"] * (REFERENCE + 900) + ["val"] * 100
    one, other = (fit_familiar(report_of(parts), features, seed=7) for _ in range(2))
    assert len(one.reference) == REFERENCE
    assert (one.reference == other.reference).all()
    assert (one.reference != fit_familiar(report_of(parts), features, seed=8).reference).any()


def test_without_features_of_an_image_nothing_is_flagged() -> None:
    assert is_unknown(np.array([np.nan, 0.001]), 1000).tolist() == [False, True]
