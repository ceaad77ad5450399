"""Telling how well a model does on images without labels, from its predictions alone.

Each is higher for better. Musgrave et al. 2022, "Benchmarking Validation Methods for Unsupervised Domain
Adaptation", compares them; none is right always, so the source's validation figures stand beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
MOST = 2_000  # images that are compared pairwise


def information_maximisation(probabilities: Array) -> float:
    """Return the entropy of the mean minus the mean entropy of probabilities [n, c], over its maximum log c.

    Sure of each image, and not all of one class (Krause et al. 2010; Shi and Sha 2012). In 0..1.
    """
    of_mean = _entropy(probabilities.mean(0, keepdims=True))[0]
    return float((of_mean - _entropy(probabilities).mean()) / np.log(probabilities.shape[1]))


def soft_neighbourhood_density(probabilities: Array, temperature: float = 0.05, seed: int = 0) -> float:
    """Return how densely predictions [n, c] lie together (Saito et al. 2021, "Tune it the Right Way").

    Cosine similarities of all pairs, through a softmax of a temperature; the mean entropy of its rows. Of
    more than 2,000 images a seeded sample is taken.
    """
    if len(probabilities) > MOST:
        chosen = np.random.default_rng([seed, 82]).choice(len(probabilities), MOST, replace=False)
        probabilities = probabilities[chosen]
    unit = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
    similar = unit @ unit.T / temperature
    np.fill_diagonal(similar, -np.inf)
    similar -= similar.max(1, keepdims=True)
    shares = np.exp(similar)
    return float(_entropy(shares / shares.sum(1, keepdims=True)).mean())


def class_share_agreement(probabilities: Array, shares: Sequence[float]) -> float:
    """Return 1 minus the total variation between the classes said [n, c] and the shares they are expected to have.

    Expected are the source's shares: it trusts that classes are as frequent in both domains. In 0..1.
    """
    said = np.bincount(probabilities.argmax(1), minlength=len(shares)) / len(probabilities)
    return float(1 - np.abs(said - np.asarray(shares)).sum() / 2)


def _entropy(probabilities: Array) -> Array:
    """Return the entropy in nats [n] of rows that sum to 1 [n, c]."""
    logs = np.log(np.maximum(probabilities, 1e-12))
    return np.asarray(-(probabilities * logs).sum(1))
