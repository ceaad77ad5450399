"""A comparison in words, and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from transfer_core.evaluation.contest import Gap, Pair
from transfer_core.evaluation.paired import round_up
from transfer_core.runs.comparison import Comparison, Entry
from transfer_core.strategies import get_strategy


def signed(share: float) -> str:
    """Return a difference of shares in points, with a true minus."""
    shown = f"{100 * share:+.1f}".replace("-", "−")
    return "0.0" if shown[1:] == "0.0" else shown


def points(gap: Gap) -> str:
    """Return a difference of accuracies in points with the interval that holds for all shown."""
    return f"{signed(gap.value)} points of accuracy ({signed(gap.held[0])} to {signed(gap.held[1])})"


def sentence(pair: Pair, first: str, second: str) -> str:
    """Return in words how two compare; the names as they shall be shown."""
    if pair.verdict == "better":
        return f"{first} is better than {second}: {points(pair.accuracy)}."
    if pair.verdict == "worse":
        return f"{first} is worse than {second}: {points(pair.accuracy)}."
    low, high = pair.accuracy.held
    test = "" if low <= 0 <= high else f", but the corrected test gives p = {pair.p_corrected:.2g}"
    return f"{first} and {second}: cannot tell apart, {points(pair.accuracy)}{test}; {_missing(pair)}."


def _missing(pair: Pair) -> str:
    if pair.more:
        groups = ""
        if pair.test == "groups":
            groups = f" (some {round_up(pair.more * pair.units / pair.n):,} groups)"
        return f"about {pair.more:,} more test images{groups} needed, if the difference is as it looks"
    if pair.needs_seeds:
        return "the seeds differ so much that more of them are needed rather than more images"
    if not pair.accuracy.value and pair.accuracy.interval[0] == pair.accuracy.interval[1]:
        return "both are right on the same images"
    return "no reasonable number of test images would tell"


def basis(pairs: Sequence[Pair], *, once: bool, across: bool = False) -> str:
    """Return in words on what the verdicts rest: images, test, correction; `once`: some were trained with one seed; `across`: from one domain to another."""
    first = pairs[0]
    tests = {
        "mcnemar": "exact McNemar test, which takes images to be independent",
        "groups": f"{first.units} groups resampled as a whole, because images of a group are not independent",
        "seeds": "images resampled, and the scatter of the seeds added",
    }
    used = "; ".join(tests[each] for each in sorted({pair.test for pair in pairs}))
    many = (
        f" Corrected for {first.pairs} pairs: the test by Holm, the intervals hold all together (Bonferroni); better "
        "only where both say so."
    )
    unknown = " Of what was trained once, nobody knows how another seed would do." if once else ""
    report = " Whether adaptation helped is said in its report, by balanced accuracy beside the same run without it."
    return (
        f"Difference in accuracy on the same {first.n:,} test images with its 95 % interval; {used}."
        f"{many if first.pairs > 1 else ''}{unknown}{report * across}"
    )


# -- plain data ---------------------------------------------------------------------------


def comparison_object(found: Comparison) -> dict[str, Any]:
    """Return the JSON object of a comparison."""
    entries = found.entries
    ids = [entry.recipe.id for entry in entries]
    return {
        "entries": [_entry_object(found, index) for index in range(len(entries))],
        "leader": ids[found.leader],
        "leader_chosen_by": found.chosen_by,
        "comparable": found.contest is not None,
        "caveats": list(found.caveats),
        **(
            {}
            if found.contest
            else {
                "why_not": "Nothing is tested: they were tested on different images, or are seeds of one recipe. The leader comes from validation images."
            }
        ),
        "pairs": [
            {
                **asdict(pair),
                "first": ids[pair.first],
                "second": ids[pair.second],
                "verdict": pair.verdict,
                "words": sentence(pair, entries[pair.first].name, entries[pair.second].name),
            }
            for pair in found.pairs
        ],
    }


def _entry_object(found: Comparison, index: int) -> dict[str, Any]:
    entry = found.entries[index]
    names = ("accuracy", "balanced_accuracy", "macro_f1")
    return {
        "name": entry.name,
        "strategy": get_strategy(entry.recipe.spec.strategy).name,
        "cut": entry.recipe.spec.cut,
        "runs": [run.id for run in entry.recipe.runs],
        "seeds": entry.seeds,
        "n": entry.tests[0]["n"],
        **{name: entry.figure(name) for name in names},
        **{
            f"{name}_{'interval' if entry.seeds == 1 else 'range'}": _with_width(entry, name)
            for name in names
        },
        f"accuracy_{'interval' if found.contest or entry.seeds == 1 else 'range'}": list(
            found.interval(index)
        ),
        "validation_accuracy": entry.val,
        "validation_n": entry.val_n,
        "seconds": entry.seconds,
        "parameters_trained": entry.trained,
        "megabytes": entry.megabytes,
    }


def _with_width(entry: Entry, name: str) -> list[float] | None:
    """Return the ends between which a figure lies; of one run that has no interval, None."""
    low, high = entry.spread(name)
    return [low, high] if low < high or entry.seeds > 1 else None
