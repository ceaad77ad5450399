"""Cross-entropy with class weights, smoothed and mixed labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def weighted_cross_entropy(
    logits: Tensor,
    y: Tensor,
    class_weights: Tensor,
    *,
    smoothing: float = 0.0,
    y_mixed: Tensor | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """Return the mean cross-entropy of logits [n, classes] with labels y [n]; rows of -1 do not count.

    `smoothing`: label smoothing (Szegedy et al. 2016). `y_mixed` [n] and `share` [n] in 0..1: the image
    is a mixture in which `share` belongs to y and the rest to y_mixed (mixup, Zhang et al. 2018; CutMix,
    Yun et al. 2019). No labelled row at all gives 0.
    """
    if not bool((y >= 0).any()):
        return logits.sum() * 0

    def loss(labels: Tensor) -> tuple[Tensor, Tensor]:
        each = F.cross_entropy(
            logits, labels, class_weights, ignore_index=-1, reduction="none", label_smoothing=smoothing
        )
        return each, class_weights[labels.clamp(min=0)] * (labels >= 0)

    if y_mixed is None or share is None:
        return F.cross_entropy(logits, y, class_weights, ignore_index=-1, label_smoothing=smoothing)
    first, weight = loss(y)
    second, other = loss(y_mixed)
    return (share * first + (1 - share) * second).sum() / (share * weight + (1 - share) * other).sum()
