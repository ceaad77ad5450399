"""DAN: the maximum mean discrepancy between the domains' features is made small.

Long et al. 2015, "Learning Transferable Features with Deep Adaptation Networks": a sum of Gaussian
kernels of several widths; here the quadratic estimate, on the features under the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from transfer_core.strategies.matching import Matching

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MMD(Matching):
    """Multi-kernel maximum mean discrepancy."""

    name: ClassVar[str] = "mmd"
    title: ClassVar[str] = "Mean matching (DAN, MK-MMD)"
    about: ClassVar[str] = (
        "Pulls the two clouds of features onto each other, without a second network. "
        "Steadier than the adversarial methods, and usually a little weaker."
    )

    def distance(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the squared MMD of features [n, d] and [m, d]."""
        from transfer_core.losses.alignment import mk_mmd

        return mk_mmd(source, target)
