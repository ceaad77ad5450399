"""Tests of two models on the same images: exact McNemar, Holm's correction, how many images would tell.

Pure arithmetic on counts; what is drawn and compared lies in `contest.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

ALPHA = 0.05  # of wrongly calling any of the pairs shown different
POWER = 0.8  # chance to see the difference, at the number of images asked for
MOST_MORE = 20  # times the images that are there; beyond, and beyond LEAST_CAP, no number is reasonable
LEAST_CAP = 10_000  # images
_NORMAL = NormalDist()


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p value of McNemar (1947) for images that only one of two models gets right.

    Were both equally good, each such image would fall to either by a fair coin. Assumes independent images:
    images of one patient or part are not, and need `contest.py`'s resampling of whole groups.
    """
    n, few = only_first + only_second, min(only_first, only_second)
    if 2 * few >= n - 1:  # at the middle: both tails together are everything
        return 1.0
    # From the largest term of the tail downwards, each in units of it, until nothing more is added.
    largest = math.lgamma(n + 1) - math.lgamma(few + 1) - math.lgamma(n - few + 1) - n * math.log(2)
    term, total, k = 1.0, 0.0, few
    while term > 1e-17 * total:
        total += term
        term *= k / (n - k + 1)
        k -= 1
    return min(1.0, 2 * math.exp(largest) * total)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected for how many they are (Holm 1979), in the order given.

    The smallest counts k times, the next k - 1 times, and none falls below one that was smaller: the chance of
    even one false alarm among all stays below the level, whatever depends on what.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, floor = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = floor
    return corrected


def student_quantile(p: float, df: float) -> float:
    """Return the point below which a share `p` of Student's distribution lies."""
    from scipy.special import stdtrit

    return float(stdtrit(df, p))


def student_p(t: float, df: float) -> float:
    """Return the two-sided p value of a Student statistic."""
    from scipy.special import stdtr

    return float(2 * stdtr(df, -abs(t)))


def units_needed(
    difference: float, variance: float, fixed: float = 0.0, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Return how many units (images, or groups of them) would show a difference with a power; inf where none would.

    `variance` is that of one unit's difference; `fixed` a variance that more units do not lessen, such as that of
    the seeds. Two-sided at `alpha`, with the variance under equality in the first term as Connor (1987) has it
    for McNemar's test, where it is the share of images on which the models differ. Takes the
    difference seen for the true one: a guide, no promise.
    """
    first, second = _NORMAL.inv_cdf(1 - alpha / 2), _NORMAL.inv_cdf(power)
    equal = variance + difference**2
    if not difference or (first + second) * math.sqrt(fixed) >= abs(difference):
        return math.inf

    def blurs(units: float) -> bool:
        reach = first * math.sqrt(equal / units + fixed) + second * math.sqrt(variance / units + fixed)
        return reach > abs(difference)

    low, high = 0.0, 2.0
    while blurs(high):
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if blurs(middle) else (low, middle)
    return high


def round_up(number: float) -> int:
    """Return a number with two significant digits, not below it."""
    if number <= 0:
        return 0
    step: int = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / step - 1e-9) * step


def more_images(total: float, n: int) -> int | None:
    """Return how many images are missing to `total`, rounded up; None where no reasonable number would do."""
    missing = total - n
    return None if missing > max(LEAST_CAP, MOST_MORE * n) else max(1, round_up(missing))
