"""How often a run is right: by the likeliest class, and with the decision that is in use."""

from __future__ import annotations

from pages.ui.state import get_decision, get_lab, get_report
from pages.ui.text import between, escape, measured, percent, plural
from transfer_core.errors import UserError
from transfer_core.evaluation.decision import Wishes, load_wishes
from transfer_core.evaluation.in_use import InUse, Right, is_decided, measure, rule_words, threshold
from transfer_core.runs.run import Run


def how_right(run: Run) -> str:
    """Return a run's name and how often it is right, as markdown: for the head of a page that uses the model."""
    test, decided = get_lab().tested(run), with_decision(run)
    if not decided:
        return f"**{escape(run.name)}**, {measured(test)}."
    plain = f"{measured(test)} by the likeliest class ({between(test['accuracy_ci'])})"
    return f"**{escape(run.name)}**, {plain}. {decided}"


def get_wishes(run: Run) -> Wishes | None:
    """Return what was decided for a run; None where that is damaged."""
    try:
        return load_wishes(get_lab().store.folder(run.id))
    except UserError:
        return None


def with_decision(run: Run) -> str:
    """Return as markdown how often a run is right with what was decided for it, or that this is damaged; nothing where that cannot be told."""
    try:
        wishes = load_wishes(get_lab().store.folder(run.id))
    except UserError as damaged:
        return escape(damaged)
    if not is_decided(wishes):
        return ""
    report, cases = get_report(run)
    found = measure(get_decision(run), cases, grouped=report.grouped)
    start = f"With the decision in use ({escape(rule_words(wishes))})"
    return f"{start} {_told(found)}" if found else ""


def in_use_words(wishes: Wishes) -> str:
    """Return as markdown which decision is in use."""
    said = [
        f"**{escape(name)}** is said from {threshold(share)}" for name, share in wishes.thresholds.items()
    ]
    words = "; ".join(said) if said else "The likeliest class is said"
    if wishes.refer_below:
        words += f"; what is said with less than {threshold(wishes.refer_below)} goes to a person"
    return f":material/check: {words}."


def by_likeliest(run: Run) -> str:
    """Return what to add where classes are told by the likeliest one although thresholds are in use."""
    wishes = get_wishes(run)
    return " by the likeliest class" if wishes and wishes.thresholds else ""


def _told(found: InUse) -> str:
    all_ = f"it is right on {_share(found.right, 'unseen image')}."
    if not found.referred:
        return all_
    gone = f"{found.referred:,} of them {'goes' if found.referred == 1 else 'go'} to a person"
    if not found.rest:
        return f"{all_} {gone}: all."
    return f"{all_} {gone}; of the others it is right on {_share(found.rest, 'image')}."


def _share(right: Right, noun: str) -> str:
    return f"{percent(right.accuracy)} of {plural(right.n, noun)} ({between(right.accuracy_ci)})"
