"""Where each phase stands in its run, and over which epochs rates and strengths move."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from transfer_core.strategies import Phase


@dataclass(frozen=True)
class Place:
    """Where a phase stands in its run: epochs first + 1 .. last of `total`.

    `start` and `end` frame the phases that carry on one search, over which rates and strengths move.
    """

    number: int
    phases: int
    first: int
    last: int
    total: int
    start: int
    end: int

    def progress(self, epochs: float) -> float:
        """Return how far the search is, in 0..1, after so many epochs of the run."""
        return (epochs - self.start) / (self.end - self.start)

    def within(self, epochs: float) -> float:
        """Return how far the phase itself is, in 0..1, after so many epochs of the run."""
        return (epochs - self.first) / (self.last - self.first)


def make_places(phases: list[Phase]) -> list[Place]:
    """Return the place of each phase."""
    ends = list(accumulate(phase.epochs for phase in phases))
    places = []
    for index, phase in enumerate(phases):
        start = index
        while phases[start].continues:
            start -= 1
        end = index
        while end + 1 < len(phases) and phases[end + 1].continues:
            end += 1
        first, begin = ends[index] - phase.epochs, ends[start] - phases[start].epochs
        places.append(Place(index + 1, len(phases), first, ends[index], ends[-1], begin, ends[end]))
    return places
