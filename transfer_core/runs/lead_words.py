"""Who leads and why, in words: one text for the page, the command line and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transfer_core.evaluation.contest import Pair
from transfer_core.evaluation.pair_words import FEWEST, points
from transfer_core.evaluation.words import percent
from transfer_core.runs.caveats import without
from transfer_core.runs.comparison import Comparison
from transfer_core.runs.lead import Lead, Veto

NAMED = 3  # entries in one sentence; of more it says how many
Text = Callable[[str], str]


def headline(lead: Lead, name: Callable[[int], str]) -> str:
    """Return who leads, or that none does; `name` gives an entry's name as it shall be shown."""
    return f"{name(lead.entry)} leads" if lead.leads and lead.entry is not None else "No run leads"


def tell_lead(found: Comparison, lead: Lead, name: Callable[[int], str], plain: Text = str) -> list[str]:
    """Return by what the lead is, or why none leads and, last, whom to take; `plain` makes any text safe to show."""
    ahead = found.entries[lead.ahead]
    where = "" if found.by_accuracy else " of the source"
    figure = f"{percent(ahead.val)} of {ahead.val_n:,} validation images{where} right"
    first = f"{name(lead.ahead)} is first by {plain(found.chosen_by)}, with {figure}"
    if lead.leads:
        others = "every other" if len(found.order) > 2 else "the other"
        return [f"{first}; the test images show it to be better than {others}."]
    if not found.contest:
        splits = {frozenset(run.spec.split for run in each.recipe.runs) for each in found.entries}
        own = ", and their validation images differ too" if len(splits) > 1 else ""
        return [f"{first}, but they were tested on different images, so nothing is tested between them{own}."]
    told = [_why_not(found, lead, first, name, plain), *_left_out(found, lead, name, plain)]
    return [*told, _advice(found, lead, name, plain)]


def tell_in_one(found: Comparison, lead: Lead, name: Callable[[int], str], plain: Text = str) -> str:
    """Return `headline` and `tell_lead` in one line."""
    return " ".join([f"{headline(lead, name)}.", *tell_lead(found, lead, name, plain)])


def _why_not(found: Comparison, lead: Lead, first: str, name: Callable[[int], str], plain: Text) -> str:
    told = []
    if veto := lead.vetoes.get(lead.ahead):
        told.append(f"{first}, but {_against(found, lead.ahead, veto, name, plain)}.")
    if lead.first is None:
        return told[0]
    if undecided := _undecided(found, lead, lead.first):
        told.append(f"{_list([lead.first, *undecided], name)} cannot be told apart on the test images.")
    elif not lead.shown and not lead.vetoes.get(lead.ahead):
        told.append(f"{first}, but {_too_few(found)}.")
    if lead.unfound and not lead.vetoes.get(lead.ahead):
        label, n = lead.unfound
        told.append(f"None finds any of the {n:,} test images of {plain(label)}.")
    if not told:  # those it is not shown to be better than are left out for their twins' sake
        others = "every other" if len(found.order) > 2 else "the other"
        told.append(f"{first}, but the test images do not show it to be better than {others}.")
    return " ".join(told)


def _undecided(found: Comparison, lead: Lead, first: int) -> list[int]:
    """Return those that cannot be told apart from the first, but for those that their twin speaks against."""
    against = {pair.second: pair for pair in found.against(first)}
    return [
        each
        for each in found.order
        if each in against
        and against[each].verdict == "cannot tell"
        and not ((veto := lead.vetoes.get(each)) and veto.twin)
    ]


def _too_few(found: Comparison) -> str:
    if found.validation:
        return "so few validation images do not show it ahead of the others"
    if found.val_rarest:
        return f"fewer than {FEWEST} validation images or groups hold each class, too few to choose by"
    return "their validation images differ"


def _left_out(found: Comparison, lead: Lead, name: Callable[[int], str], plain: Text) -> list[str]:
    """Say what speaks against those that were not first on validation images and are not seen to be worse in any pair."""
    others = [(entry, veto) for entry, veto in lead.vetoes.items() if entry != lead.ahead and not veto.worse]
    return [
        f"{name(entry)} is left out: {_against(found, entry, veto, name, plain)}."
        for entry, veto in others[:NAMED]
        if entry != lead.entry
    ]


def _against(found: Comparison, entry: int, veto: Veto, name: Callable[[int], str], plain: Text) -> str:
    if veto.worse:
        return f"it is worse than {name(veto.worse.second)} on the test images, {points(veto.worse)}"
    if veto.misses:
        label, n = veto.misses
        return f"it finds none of the {n:,} test images of {plain(label)}, and another does"
    assert veto.twin
    sure = "it is worse than" if veto.twin.verdict == "worse" else "it looks worse, though unproven, than"
    return f"{sure} the same run without {without(found.entries[entry].best_run)}, {points(veto.twin)}"


def _advice(found: Comparison, lead: Lead, name: Callable[[int], str], plain: Text) -> str:
    if lead.entry is None:
        assert lead.run
        return f"Take the run without it: {plain(lead.run.name)}."
    taken = found.entries[lead.entry]
    if len(lead.tied) > 1:
        told = (
            f"Take {name(lead.entry)}, the simplest of them: the fewest trained parameters ({taken.trained:,}), then the "
            "shortest training."
        )
    elif lead.untold:
        told = f"Take {name(lead.entry)}: on the validation images it is ahead."
    else:
        told = f"Take {name(lead.entry)}: {'least' if lead.entry in lead.vetoes else 'nothing'} speaks against it."
    if lead.vetoes:
        told += " As the test images had a say in this, its figure on them is slightly optimistic."
    return told


def _list(entries: Sequence[int], name: Callable[[int], str]) -> str:
    names = [name(entry) for entry in entries]
    if len(names) > NAMED + 1:
        names = [*names[:NAMED], f"{len(names) - NAMED} others"]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def alone(found: Comparison, pair: Pair) -> str:
    """Return what a report says of a pair, where the correction for many pairs here changes the word; "" where it does not."""
    for turned in (False, True):
        one, other = (pair.second, pair.first) if turned else (pair.first, pair.second)
        entry, twins = found.entries[one], {run.id for run in found.entries[other].recipe.runs}
        if entry.beside_twin is None or entry.twin is None or entry.twin.id not in twins:
            continue
        asked = entry.beside_twin.turned() if turned else entry.beside_twin
        if asked.verdict != pair.verdict:
            seed = "" if entry.seeds == 1 else f" of {entry.best_run.name}"
            return f"Corrected here for {pair.pairs} pairs; asked alone, as the report{seed} does: {asked.verdict}, {points(asked)}."
    return ""
