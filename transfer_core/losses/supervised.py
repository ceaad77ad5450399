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


def soften(y: Tensor, confidence: Tensor, classes: int) -> Tensor:
    """Return soft labels [n, classes]: `confidence` [n] in 0..1 for the class y [n], the rest evenly for the others.

    A row of -1 is 0 throughout. Labels of several experts who disagree, or one's own doubt, are learnt from as they
    are (Peterson et al. 2019, "Human Uncertainty Makes Classification More Robust").
    """
    rest = (1 - confidence) / (classes - 1)
    soft = rest[:, None].repeat(1, classes).scatter(1, y.clamp(min=0)[:, None], confidence[:, None])
    return soft * (y >= 0)[:, None]
