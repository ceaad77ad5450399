"""A pair in words: the same on every page, in the command line and in what is taken home."""

from __future__ import annotations

from transfer_core.evaluation.contest import Gap, Measure, Pair, too_few
from transfer_core.evaluation.paired import round_up

MEASURES: dict[Measure, str] = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
FEWEST = next(
    units for units in range(100) if not too_few(units)
)  # of which all may not differ alike by chance


def signed(share: float) -> str:
    """Return a difference of shares in points, with a true minus."""
    shown = f"{100 * share:+.1f}".replace("-", "−")
    return "0.0" if shown[1:] == "0.0" else shown


def points(pair: Pair) -> str:
    """Return a pair's difference in points with the interval that holds for all shown."""
    return f"{signed(pair.gap.value)} points of {MEASURES[pair.measure]} {_ends(pair.gap)}"


def _ends(gap: Gap) -> str:
    return f"({signed(gap.held[0])} to {signed(gap.held[1])})"


def sentence(pair: Pair, first: str, second: str) -> str:
    """Return in words how two compare; the names as they shall be shown."""
    if pair.verdict != "cannot tell":
        return f"{first} is {pair.verdict} than {second}: {points(pair)}."
    return f"{first} and {second}: cannot tell apart, {points(pair)}{_but(pair)}; {missing(pair)}."


def _but(pair: Pair) -> str:
    """Return why an interval that holds no 0 is no proof."""
    low, high = pair.gap.held
    if low <= 0 <= high or too_few(pair.telling):  # `missing` says that they are few
        return ""
    return f", but the corrected test gives p = {pair.p_corrected:.2g}"


def missing(pair: Pair) -> str:
    """Return what it would take to tell two apart that cannot be."""
    if not pair.gap.value and pair.telling == 0:
        return "both are right on the same images"
    low, high = pair.gap.held
    if too_few(pair.telling) and (pair.measure == "balanced_accuracy" or not low <= 0 <= high):
        return (
            f"at least {FEWEST} {resampled(pair)} with labels have to hold each class, and the two to differ on as many"
            if pair.measure == "balanced_accuracy"
            else f"the two have to differ on at least {FEWEST} {resampled(pair)}"
        )
    if pair.more:
        groups = ""
        if pair.test == "groups":
            groups = f" (some {round_up(pair.more * pair.units / pair.n):,} groups)"
        return f"about {pair.more:,} more test images{groups} needed, if the difference is as it looks"
    if pair.needs_seeds:
        return "the seeds differ so much that more of them are needed rather than more images"
    return "no realistic number of test images would settle it"


def resampled(pair: Pair) -> str:
    """Return what was taken to be independent."""
    return "groups" if pair.test == "groups" else "images"


def beside_twin(pair: Pair, without: str) -> str:
    """Return what a run brought beside the same run `without` something, such as "adaptation"."""
    measure = MEASURES[pair.measure]
    return (
        f"{measure[0].upper()}{measure[1:]} {signed(pair.gap.value)} points beside the same run without {without} (95 % interval "
        f"{signed(pair.gap.interval[0])} to {signed(pair.gap.interval[1])}, {pair.n:,} labelled test "
        f"image{'s' * (pair.n != 1)}, {resampled(pair)} resampled)."
    )
