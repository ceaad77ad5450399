"""The frozen part of all that a phase will ask for, computed before its first epoch; of a sample of it a first answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transfer_core.models.activations import Activations
from transfer_core.strategies import Phase
from transfer_core.training.course import EXPORTING, FROZEN
from transfer_core.training.early import early_sample, first_answer
from transfer_core.training.events import Event, Progressed
from transfer_core.training.setup import Setup

EARLY_FROM = 500  # images whose frozen part the first epoch waits for, from which a first answer pays


@dataclass(frozen=True)
class Needed:
    """The images that a run trains on, looks at after each epoch, and may learn from without their labels."""

    train: Sequence[str]
    judged: Sequence[str]
    unlabelled: Sequence[str]


def fill(
    setup: Setup, phase: Phase, needed: Needed, activations: Activations, emit: Callable[[Event], bool]
) -> bool:
    """Compute what the cache lacks for a phase; `emit` takes what is told, and where it returns False the answer is False."""
    if not _export(activations, emit):
        return False
    phases = setup.strategy.phases(setup.task)
    least = 1 if phase.batches == "full" else 0  # all at once, even where fresh views are drawn
    wanted = [(needed.train, max(least, setup.spec.views)), (needed.judged, 1)]
    if any(each.target != "none" or each.batches in ("target", "everything") for each in phases):
        # Their plain view is needed even where fresh ones are drawn.
        wanted.append((needed.unlabelled, max(1, setup.spec.views)))
    tested = [row.image for row in setup.manifest.rows]
    setup.frozen.expect(activations.count_lacking([*wanted, (tested, setup.spec.seen_views)]))
    waits = activations.count_lacking(wanted)  # before the first epoch

    def tell(done: int, total: int) -> bool:
        return emit(Progressed(FROZEN, done, total))

    # Where only a head trains, what is frozen decides the result, and a sample of it tells something.
    if waits > EARLY_FROM and all(each.batches == "full" for each in phases):
        train, val = early_sample(setup)
        if train and val:  # neither has groups beyond the size of a sample alone
            if not setup.frozen.fill(activations, [*train, *val], 1, tell):
                return False
            if not emit(first_answer(setup, activations, train, val)):
                return False
    return all(setup.frozen.fill(activations, images, views, tell) for images, views in wanted)


def _export(activations: Activations, emit: Callable[[Event], bool]) -> bool:
    """Make the graphs that are not there yet, and tell before and after: these seconds are none of the pass that follows."""
    lacking = [each for each in activations.prefixes if not each.is_ready]
    if not lacking:
        return True
    if not emit(Progressed(EXPORTING, 0, 1)):
        return False
    for each in lacking:
        each.make_ready()
    return emit(Progressed(EXPORTING, 1, 1))
