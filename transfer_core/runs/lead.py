"""Who leads, and else whom to take: every place that names or offers a leader asks here.

Validation images choose; test images may only confirm or veto. Where nobody leads, the simplest of those that cannot be
told apart is named: it is the safest bet, and choosing it needs no test image.
"""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.evaluation.contest import Pair, too_few
from transfer_core.runs.comparison import Comparison, Entry
from transfer_core.runs.run import Run


@dataclass(frozen=True)
class Veto:
    """What speaks against an entry: it is `worse` than another, than its `twin` without adaptation, or `misses` a class."""

    worse: Pair | None = None
    twin: Pair | None = None
    misses: tuple[str, int] | None = (
        None  # a class of which it finds nothing and another something, test images of it
    )


@dataclass(frozen=True)
class Lead:
    """What follows from a comparison. Entries are numbers.

    `ahead` is first on validation images; `first` the first of those nothing speaks against. `untold` cannot be told
    apart from `first` on test images, `tied` on validation images neither. `shown`: the validation images suffice to choose.
    """

    leads: bool
    entry: (
        int | None
    )  # who leads, else whom to take; None where something speaks against each, or nothing was tested
    run: Run | None  # to take home
    ahead: int
    first: int | None
    untold: tuple[int, ...]
    tied: tuple[int, ...]
    vetoes: dict[int, Veto]
    shown: bool
    unfound: tuple[str, int] | None  # a class that none finds, test images of it


def find_lead(found: Comparison) -> Lead:
    """Return who leads: first on validation images that can show it, better than all others on test images, nothing against it."""
    ahead = found.order[0]
    if not found.contest:
        return Lead(False, None, None, ahead, None, (), (), {}, shown=False, unfound=None)
    vetoes = {entry: veto for entry in found.order if (veto := _veto(found, entry))}
    fit = [entry for entry in found.order if entry not in vetoes]
    # Where each misses a class that another one finds, one of them is taken all the same.
    fit = fit or [entry for entry, veto in vetoes.items() if veto.misses]
    unfound = next(iter(_unfound(found)), None)
    if not fit:  # the best on test images is no worse than another: what speaks against it is its twin
        twins = [found.entries[entry].twin for entry, veto in vetoes.items() if veto.twin]
        return Lead(False, None, next(iter(twins)), ahead, None, (), (), vetoes, shown=False, unfound=unfound)
    first = fit[0]
    untold = tuple(each for each in fit[1:] if found.contest.pair(first, each).verdict == "cannot tell")
    tied = (first, *(each for each in untold if not _is_ahead(found, first, each)))
    beaten = all(pair.verdict == "better" for pair in found.against(first))
    shown = _can_choose(found, first)
    leads = first == ahead and first not in vetoes and beaten and shown and not unfound
    entry = min(tied, key=lambda each: _simplicity(found.entries[each]))
    run = found.entries[entry].best_run
    return Lead(leads, entry, run, ahead, first, untold, tied, vetoes, shown=shown, unfound=unfound)


def _veto(found: Comparison, entry: int) -> Veto | None:
    own = found.entries[entry]
    if own.beside_twin and own.beside_twin.is_harmful:
        return Veto(twin=own.beside_twin)
    if worse := next((pair for pair in found.against(entry) if pair.verdict == "worse"), None):
        return Veto(worse=worse)
    found_by_others = set().union(*(_finds(each) for each in found.entries))
    misses = [(name, n) for name, n in _support(own).items() if name in found_by_others - _finds(own)]
    return Veto(misses=misses[0]) if misses else None


def _unfound(found: Comparison) -> list[tuple[str, int]]:
    """Return the classes that test images hold and none finds."""
    anywhere = set().union(*(_finds(each) for each in found.entries))
    return [(name, n) for name, n in _support(found.entries[0]).items() if name not in anywhere]


def _is_ahead(found: Comparison, first: int, other: int) -> bool:
    """Tell whether validation images of the same domain show one ahead of another."""
    return found.validation is not None and found.validation.pair(first, other).verdict == "better"


def _can_choose(found: Comparison, first: int) -> bool:
    """Tell whether the validation images can show one ahead: by the engine, or, where they are of another domain, by their number."""
    if found.validation is None:
        return not too_few(found.val_rarest)
    return all(_is_ahead(found, first, each) for each in found.order if each != first)


def _tested(entry: Entry) -> list[dict[str, object]]:
    """Return the figures of each class of the run that would be taken home."""
    return list(entry.tests[entry.recipe.runs.index(entry.best_run)]["per_class"])


def _support(entry: Entry) -> dict[str, int]:
    return {str(each["class"]): int(str(each["support"])) for each in _tested(entry) if each["support"]}


def _finds(entry: Entry) -> set[str]:
    return {str(each["class"]) for each in _tested(entry) if each["support"] and each["recall"]}


def _simplicity(entry: Entry) -> tuple[int, float]:
    return entry.trained, entry.seconds
