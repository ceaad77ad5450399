"""A comparison in words, and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from transfer_core.evaluation.contest import Pair
from transfer_core.evaluation.pair_words import MEASURES, sentence
from transfer_core.runs.comparison import Comparison, Entry
from transfer_core.runs.lead import find_lead
from transfer_core.runs.lead_words import alone, tell_in_one
from transfer_core.strategies import get_strategy


def basis(pairs: Sequence[Pair], *, once: bool) -> str:
    """Return in words on what the verdicts rest: images, test, correction; `once`: some were trained with one seed."""
    first = pairs[0]
    tests = {
        "mcnemar": "exact McNemar test, which takes images to be independent",
        "images": "images resampled, taken to be independent",
        "groups": f"{first.units} groups resampled as a whole, because images of a group are not independent",
        "seeds": "images resampled, and the scatter of the seeds added",
    }
    used = "; ".join(tests[each] for each in sorted({pair.test for pair in pairs}))
    many = (
        f" Corrected for {first.pairs} pairs: the test by Holm, the intervals hold all together (Bonferroni); better "
        "only where both say so."
    )
    unknown = " Of what was trained once, how another seed would do is unknown." if once else ""
    return (
        f"Difference in {MEASURES[first.measure]} on the same {first.n:,} test images with its 95 % interval; {used}."
        f"{many if first.pairs > 1 else ''}{unknown}"
    )


# -- plain data ---------------------------------------------------------------------------


def comparison_object(found: Comparison) -> dict[str, Any]:
    """Return the JSON object of a comparison."""
    entries, lead = found.entries, find_lead(found)
    ids = [entry.recipe.id for entry in entries]

    def name(entry: int) -> str:
        return entries[entry].name

    return {
        "entries": [_entry_object(found, index) for index in range(len(entries))],
        "leader": ids[lead.entry] if lead.leads and lead.entry is not None else None,
        "first_on_validation": ids[lead.ahead],
        "first_by": found.chosen_by,
        "take": lead.run.id if lead.run else None,
        "lead_words": tell_in_one(found, lead, name),
        "measure": found.measure,
        "comparable": found.contest is not None,
        "caveats": list(found.caveats),
        **(
            {}
            if found.contest
            else {
                "why_not": "Nothing is tested: they were tested on different images, or are seeds of one recipe."
            }
        ),
        "pairs": [
            {
                **asdict(pair),
                "first": ids[pair.first],
                "second": ids[pair.second],
                "verdict": pair.verdict,
                "words": sentence(pair, entries[pair.first].name, entries[pair.second].name),
                "alone": alone(found, pair) or None,
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
        **{
            f"{measure}_{'interval' if found.contest or entry.seeds == 1 else 'range'}": list(
                found.interval(index, measure)
            )
            for measure in MEASURES
        },
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
