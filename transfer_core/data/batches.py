"""Which images make up the batches of an epoch, and in which view each is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Plan = list[tuple[list[str], list[int]]]  # (images, views) of each batch


def make_batches(images: Sequence[str], batch_size: int, views: int, *, seed: int, epoch: int) -> Plan:
    """Return the (images, views) of each batch: every image once, shuffled by seed and epoch.

    Over `views` epochs an image is seen in each of its stored views once. `views == 0` means a fresh
    view each time (-1). A last batch of one image joins the one before: batch-norm cannot
    normalise a single image.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(images))
    first = np.random.default_rng([seed, 77]).integers(max(views, 1), size=len(images))
    cuts = list(range(0, len(order), batch_size))
    if len(cuts) > 1 and len(order) - cuts[-1] == 1:
        cuts.pop()
    batches = []
    for start, end in zip(cuts, [*cuts[1:], len(order)], strict=True):
        chosen = order[start:end]
        seen = (first[chosen] + epoch) % views if views else np.full(len(chosen), -1)
        batches.append(([images[index] for index in chosen], [int(view) for view in seen]))
    return batches
