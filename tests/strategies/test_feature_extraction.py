"""The linear probe against scikit-learn, which solves the same problem by other means."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.support import Lab, Outcome
from transfer_core.evaluation.predict import predict

# The loss is summed in float32, in whose last digit it is flat around its minimum: processors stop up to 0.0015 apart.
CLOSE = 3e-3


def features(outcome: Outcome, part: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Images, features [n, d] and class numbers [n] of a part."""
    images = outcome.setup.split.part(part)
    with outcome.setup.activations(4) as activations:
        activations.fill(images, 1)
        x = activations.at_cut(images).double().numpy()
    return images, x, outcome.setup.targets(images).numpy()


def probabilities(outcome: Outcome, part: str) -> np.ndarray:
    images = outcome.setup.split.part(part)
    outcome.setup.model.load_trained(outcome.best)
    with outcome.setup.activations(4) as activations:
        activations.fill(images, 1)
        return predict(outcome.setup.model, activations, images, 4).probabilities


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-3])
@pytest.mark.parametrize("balance", ["none", "balanced"])
def test_finds_what_scikit_learn_finds(lab: Lab, strength: float, balance: str) -> None:
    """At the C that the docstring states. Balanced weights have mean 1, so C is the same with them."""
    uneven = lab.relabelled(dict.fromkeys(lab.split.part("train")[:8], lab.manifest.classes[0]))
    outcome = uneven.train(
        uneven.spec(
            "feature_extraction",
            epochs=1,
            class_weights=balance,
            knobs={"strongest": strength, "weakest": 1e-9},
        )
    )
    _, x, y = features(outcome, "train")
    assert len(set(np.bincount(y))) > 1
    c = 1 / (len(x) * strength * np.square(x).mean())
    oracle = LogisticRegression(
        C=c, class_weight="balanced" if balance == "balanced" else None, tol=1e-9, max_iter=100_000
    ).fit(x, y)
    head = outcome.setup.model.heads["main"]
    scale = np.abs(oracle.coef_).max()
    assert head.weight.detach().numpy() / scale == pytest.approx(oracle.coef_ / scale, abs=1e-2)
    assert head.bias.detach().numpy() == pytest.approx(oracle.intercept_, abs=1e-2 * max(1, scale))
    _, unseen, _ = features(outcome, "test")
    assert probabilities(outcome, "test") == pytest.approx(oracle.predict_proba(unseen), abs=CLOSE)


def test_scaled_features_give_the_same_predictions(lab: Lab) -> None:
    spec = lab.spec("feature_extraction", epochs=4, knobs={"weakest": 1e-3})
    plain = lab.train(spec)
    scaled = lab.train(spec, setup=lab.setup(spec, scale=10.0))
    _, x, _ = features(plain, "test")
    _, large, _ = features(scaled, "test")
    assert large == pytest.approx(10 * x, rel=1e-5)
    assert probabilities(scaled, "test") == pytest.approx(probabilities(plain, "test"), abs=CLOSE)


def test_many_views_weigh_as_much_as_one(lab: Lab) -> None:
    """All views are seen at once: twice the rows with the same strength is twice the C for each row."""
    outcome = lab.train(lab.spec("feature_extraction", epochs=1, augment="mirror"))
    images = outcome.setup.split.part("train")
    with outcome.setup.activations(4) as activations:
        x = np.concatenate([activations.at_cut(images, [view] * len(images)).double() for view in (0, 1)])
    y = np.tile(outcome.setup.targets(images).numpy(), 2)
    oracle = LogisticRegression(C=1 / (len(x) * np.square(x).mean()), tol=1e-9, max_iter=100_000).fit(x, y)
    assert outcome.setup.model.heads["main"].weight.detach().numpy() == pytest.approx(oracle.coef_, abs=1e-3)
