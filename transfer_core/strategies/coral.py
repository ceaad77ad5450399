"""Deep CORAL: the covariances of the two domains' features are made equal.

Sun and Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation". The paper's
1 / (4 d^2) makes the term tiny where features are many, so the weight is multiplied by d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from transfer_core.strategies.matching import Matching

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CORAL(Matching):
    """Correlation alignment."""

    name: ClassVar[str] = "coral"
    title: ClassVar[str] = "Covariance matching (CORAL)"
    about: ClassVar[str] = (
        "Makes the features of both domains vary together in the same way. "
        "The gentlest method of its kind; for domains that differ mildly."
    )

    def distance(self, source: Tensor, target: Tensor) -> Tensor:
        """Return d times the distance of the covariances of features [n, d] and [m, d]."""
        from transfer_core.losses.alignment import coral

        return source.shape[1] * coral(source, target)
