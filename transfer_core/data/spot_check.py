"""A few test images labelled by hand after the runs, where the target came without labels.

Which images is drawn at random from the test part, before anybody looks at them: what is easy, or what the
runs say, has no say. The labels serve measuring alone; no training and no choice ever reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split

SIZE = 50  # images


@dataclass(frozen=True)
class SpotCheck:
    """The images drawn, and what was answered: a class, or None where somebody could not tell."""

    images: tuple[str, ...]
    answers: Mapping[str, str | None]

    @property
    def open(self) -> list[str]:
        """The images not yet answered, in the order in which they are asked."""
        return [image for image in self.images if image not in self.answers]

    @property
    def is_done(self) -> bool:
        """Whether all are answered. Before that nothing is measured: who looks in between may stop when it pleases."""
        return bool(self.images) and not self.open

    def applied(self, manifest: Manifest) -> Manifest:
        """Return the data set with the answers as labels once all are given, else as it is."""
        if not self.is_done:
            return manifest
        labels = {image: self.answers[image] for image in self.images}
        rows = tuple(replace(row, label=row.label or labels.get(row.image)) for row in manifest.rows)
        return replace(manifest, rows=rows)


def draw_spot_check(manifest: Manifest, split: Split, answers: Mapping[str, str | None]) -> SpotCheck:
    """Return the check of a split: up to 50 images of the test part without a label; none where some have labels."""
    rows = manifest.by_image
    test = split.part("test")
    if any(rows[image].label for image in test):
        return SpotCheck((), {})
    order = np.random.default_rng([split.seed, 88]).permutation(len(test))
    return SpotCheck(tuple(test[index] for index in order[:SIZE]), answers)
