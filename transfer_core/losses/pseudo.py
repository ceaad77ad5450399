"""Learning from one's own sure predictions.

Lee 2013, "Pseudo-Label"; Sohn et al. 2020, "FixMatch".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pseudo_label_loss(weak: Tensor, strong: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return (loss, share of images used) for logits [n, c] of a weak and a strong view of the same images.

    The weak view's most likely class, where it is at least `threshold` sure, is the label of the strong
    one. The loss is the mean over all n images, so that it grows as more of them become sure.
    """
    sure, label = weak.detach().softmax(1).max(1)
    mask = (sure >= threshold).float()
    each = F.cross_entropy(strong, label, reduction="none")
    return (each * mask).mean(), mask.mean()


def aligned(probabilities: Tensor, wanted: Tensor, said: Tensor) -> Tensor:
    """Return probabilities [n, c] rescaled from the shares `said` [c] on average towards those `wanted` [c].

    Distribution alignment (Berthelot et al. 2020, "ReMixMatch"): guards against all images falling to
    one class.
    """
    scaled = probabilities * (wanted / said.clamp_min(1e-6))
    return torch.as_tensor(scaled / scaled.sum(1, keepdim=True))
