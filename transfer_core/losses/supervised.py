"""Cross-entropy with class weights, of labels that are certain, smoothed, mixed or doubtful."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def weighted_cross_entropy(
    logits: Tensor, y: Tensor, class_weights: Tensor, *, smoothing: float = 0.0, soft: Tensor | None = None
) -> Tensor:
    """Return the mean cross-entropy of logits [n, classes] with labels y [n]; rows of -1 do not count.

    `smoothing`: label smoothing (Szegedy et al. 2016). `soft` [n, classes]: how much of each label belongs to each
    class, instead of y; a row's sum is 1, or 0 where there is no label. No labelled row at all gives 0.
    """
    if not bool((y >= 0).any()):
        return logits.sum() * 0
    if soft is None:
        return F.cross_entropy(logits, y, class_weights, ignore_index=-1, label_smoothing=smoothing)
    smoothed = (1 - smoothing) * soft + smoothing / soft.shape[1] * soft.sum(1, keepdim=True)
    return -(class_weights * smoothed * logits.log_softmax(1)).sum() / (class_weights * soft).sum()
