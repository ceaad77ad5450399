"""A first answer early: how well a linear classifier does on a sample, before the frozen part of all images is computed.

It is provisional and leaves no trace: what the run trains, chooses and stores is the same without it. The sample is of
training and validation images alone, classes in their shares, groups and equal images whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_core.data.manifest import Row
from transfer_core.data.units import find_units
from transfer_core.evaluation.shares import share_of
from transfer_core.models.activations import Activations
from transfer_core.training.events import Provisional
from transfer_core.training.setup import Setup

TRAINED, TESTED = 200, 100  # images of the sample
STRENGTH = (
    1e-2  # of the ridge penalty, relative to the size of the features: of a path from 1 to 1e-5 a safe one
)


def choose_sample(rows: Sequence[Row], count: int, seed: int) -> list[str]:
    """Return about `count` images, classes in their shares as far as whole units allow; units beyond half of that are left out."""
    units = find_units(rows)
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(units[row.image], []).append(row)
    total = Counter(row.label for row in rows)
    shares = {label: max(2.0, count * number / len(rows)) for label, number in total.items()}
    lacking = dict(shares)
    names = sorted(members)
    chosen: list[Row] = []
    for index in np.random.default_rng([seed, 97]).permutation(len(names)):
        if len(chosen) >= count and max(lacking[label] - shares[label] for label in lacking) <= -2:
            break  # of each class there are two
        own = members[names[index]]
        if len(own) <= count / 2 and any(lacking[row.label] > 0 for row in own):
            chosen += own
            for row in own:
                lacking[row.label] -= 1
    return sorted(row.image for row in chosen)


def early_sample(setup: Setup) -> tuple[list[str], list[str]]:
    """Return the images to learn from and those to test on, of the run's training and validation images."""
    rows = setup.manifest.by_image
    train, val = (
        choose_sample([rows[image] for image in setup.images(part)], count, setup.spec.seed)
        for part, count in (("train", TRAINED), ("val", TESTED))
    )
    return train, val


def first_answer(
    setup: Setup, activations: Activations, train: Sequence[str], val: Sequence[str]
) -> Provisional:
    """Return the accuracy of a linear classifier of the activations of `train`, on those of `val`."""
    weight, bias = _fit(activations.at_cut(train), setup.targets(list(train)), len(setup.manifest.classes))
    said = (activations.at_cut(val) @ weight.T + bias).argmax(1)
    right = np.asarray((said == setup.targets(list(val))).cpu().numpy())
    rows = setup.manifest.by_image
    groups = [rows[image].group or image for image in val]
    share = share_of(right, groups if setup.split.keeps_groups(setup.manifest) else None)
    return Provisional(share.count / share.n, *share.interval, len(train), len(val))


def _fit(x: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return weights [classes, d] and bias [classes] of a penalised logistic regression on features x [n, d]."""
    weight = x.new_zeros(classes, x.shape[1]).requires_grad_()
    bias = x.new_zeros(classes).requires_grad_()
    scale = x.square().mean()
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = cross_entropy(x @ weight.T + bias, y) + STRENGTH / 2 * scale * weight.square().sum()
        torch.autograd.backward(loss)
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
