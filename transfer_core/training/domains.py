"""Two domains, each seen with the batch-norm statistics of its own: measured in the frozen stages, and predicted by.

Li et al. 2017 measure every layer on the target; here, before training, the frozen stages are measured on
either domain, so that what the cache keeps is already free of what only brightness, contrast and texture of a
domain put into them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor

from transfer_core.evaluation.predict import Seen, predict
from transfer_core.models.activations import Activations
from transfer_core.models.statistics import measure_statistics
from transfer_core.training.setup import Setup

MEASURED = 512  # images of a domain stand for all: each gives thousands of places to every statistic
AT_ONCE = 64

Tell = Callable[[int, int], bool]  # (done, total) -> whether to go on


def measure_domains(setup: Setup, tell: Tell) -> bool:
    """Give the frozen stages the statistics of each domain's training images; False where `tell` said to stop."""
    frozen = setup.model.stages[: setup.spec.cut]
    source, target = (_sample(setup.images(part), setup.spec.seed) for part in ("train", "unlabelled"))
    total, done, goes_on = len(source) + len(target), 0, True

    def told(images: list[str]) -> Iterator[Tensor]:
        nonlocal done, goes_on
        for x in setup.network_inputs(images, AT_ONCE):
            yield x
            done += len(x)
            goes_on = tell(done, total)
            if not goes_on:
                return

    with setup.looking_at_source():
        measure_statistics(frozen, told(source))
    if goes_on:
        measure_statistics(frozen, told(target))
    return goes_on


def _sample(images: list[str], seed: int) -> list[str]:
    rng = np.random.default_rng([seed, 84])
    return [images[number] for number in rng.permutation(len(images))[:MEASURED]]


def predict_domains(
    setup: Setup, activations: Activations, images: list[str], tell: Callable[[int, int], object]
) -> Seen:
    """Return what the model makes of images of both domains, each with the statistics of its own."""
    of_source = set(setup.source) if setup.has_target else set()
    parts = [[image for image in images if (image in of_source) == own] for own in (True, False)]
    done = 0

    def look(part: list[str]) -> Seen:
        return predict(
            setup.model, activations, part, setup.spec.cut,
            lambda now, _: tell(done + now, len(images)), setup.spec.seen_views,
        )  # fmt: skip

    with setup.looking_at_source():
        source = look(parts[0])
    done = len(parts[0])
    both = [each for each in (source, look(parts[1])) if len(each.probabilities)]
    place = {image: number for number, image in enumerate([*parts[0], *parts[1]])}
    order = [place[image] for image in images]
    return Seen(
        np.concatenate([each.probabilities for each in both])[order],
        np.concatenate([each.features for each in both])[order],
    )
