"""What a threshold costs: misses, false alarms and images for a person, and the threshold that a wish leads to.

Thresholds are found on validation images; what they cost is told of those and, once chosen, of the unseen ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.decision import Decision
from transfer_core.evaluation.shares import Flags, Share, share_of

Floats = npt.NDArray[np.float64]
STEPS = np.linspace(0.005, 0.995, 199)


@dataclass(frozen=True)
class Consequences:
    """What a decision makes of images, a class being watched. All shares are of all images.

    `missed`: of the class, and neither called so nor sent to a person; `alarms`: called so and of another class;
    `wrong`: given any wrong class; `referred`: sent to a person. `of_class`: images of the class.
    """

    of_class: int
    missed: Share
    alarms: Share
    wrong: Share
    referred: Share


def consequences(
    decision: Decision,
    calibrated: Floats,
    truth: npt.NDArray[np.int64],
    watched: int,
    groups: Sequence[str] | None,
) -> Consequences:
    """Return what becomes of images with calibrated probabilities [n, classes] and true classes [n].

    Missed are images of the class, alarms are none: their intervals take it as given how many images are of the class.
    """
    said, referred = decision.said(calibrated), decision.refers(calibrated)
    own, called = truth == watched, said == watched
    clear = ~referred
    return Consequences(
        of_class=int(own.sum()),
        missed=_share_within(own, ~called & clear, groups),
        alarms=_share_within(~own, called & clear, groups),
        wrong=share_of((said != truth) & clear, groups),
        referred=share_of(referred, groups),
    )


def _share_within(among: Flags, flags: Flags, groups: Sequence[str] | None) -> Share:
    """Return how many of all images [n] are flagged and `among` these; its interval is that of the share of these alone."""
    inside = None if groups is None else [name for name, one in zip(groups, among, strict=True) if one]
    found, part = share_of(flags[among], inside), float(among.mean()) if len(among) else 0.0
    low, high = found.interval
    return Share(found.count, len(flags), (low * part, high * part))


def threshold_for_share(scores: Floats, positive: Flags, share: float) -> float:
    """Return the highest threshold at which at least this share of the class's images [n] is found; 1 where it has none."""
    own = np.sort(scores[positive])[::-1]
    if not len(own):
        return 1.0
    return float(own[max(1, int(np.ceil(share * len(own) - 1e-9))) - 1])


def threshold_for_costs(miss: float, alarm: float) -> float:
    """Return the threshold of least expected cost, for calibrated probabilities (Elkan 2001).

    "The Foundations of Cost-Sensitive Learning": calling it so costs (1 - p) alarms, not calling it so p misses.
    """
    return alarm / (alarm + miss)


def trade_off(scores: Floats, positive: Flags) -> tuple[Floats, Floats, Floats]:
    """Return thresholds [m], and how many of 1,000 images are missed [m] and falsely called so [m] at each."""
    n = max(len(scores), 1)
    own, others = np.sort(scores[positive]), np.sort(scores[~positive])
    missed = np.searchsorted(own, STEPS, side="left")
    alarms = len(others) - np.searchsorted(others, STEPS, side="left")
    return STEPS, 1000 * missed / n, 1000 * alarms / n


def referral(sure: Floats, right: Flags) -> tuple[Floats, Floats]:
    """Return the share sent to a person [m], from none up, and how many of the rest are right [m].

    `sure` [n]: the probability of what is said; the least sure go first, images that are equally sure together.
    """
    order = np.argsort(sure, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(sure[order])) + 1, len(sure)] if len(sure) else np.zeros(0, np.int64)
    gone = np.r_[0, last[:-1]].astype(np.int64) if len(sure) else last
    kept = right[order][::-1].cumsum()[::-1]
    return gone / max(len(sure), 1), kept[gone] / (len(sure) - gone)
