"""What a run's backbone made of images before it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from transfer_core.data.library import Library
from transfer_core.models.cache import ActivationCache
from transfer_core.runs.store import Run, RunStore
from transfer_core.training.setup import Setup, make_setup


def pretrained_setup(store: RunStore, run: Run) -> Setup:
    """Return the parts of a run on the same images that trains no stage: its model is the pretrained one."""
    cut = len(run.spec.make_backbone().stages)
    spec = replace(
        run.spec,
        strategy="feature_extraction",
        knobs={},
        cut=cut,
        augment="none",
        networks=1,
        test_views=False,
        device="cpu",
    )
    return make_setup(spec, Library(store.home), ActivationCache(store.home / "cache"))


def pretrained_features(store: RunStore, run: Run, images: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the features [n, d] that a run's backbone gave before training; computed once, then kept in the cache."""
    setup = pretrained_setup(store, run)
    with setup.activations(setup.spec.cut) as activations:
        activations.fill(images, 1)
        return np.asarray(activations.at_cut(images).numpy(), np.float32)
