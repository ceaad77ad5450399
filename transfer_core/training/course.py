"""How far a run is as a whole, and how long the rest of it takes, whatever it does now.

A run has parts, each with the seconds that it is expected to take. The expectation divides the bar and never changes,
so that the bar never goes back; the pace that is measured corrects what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from transfer_core.training.events import Ended, EpochEnded, Event, Progressed, Stepped

EXPORTING = "Fitting the frozen part to this processor"
TRYING = "Finding out which precision trains fastest here"
MEASURING = "Measuring brightness and contrast of each domain"
FROZEN = "Computing the frozen part once"
TESTING = "Testing on unseen images"
PARTS = {MEASURING: "measure", FROZEN: "frozen", TESTING: "test"}  # everything else that is told is loading
SOON = 2.0  # seconds after which a pace can be told


class Course:
    """Follows the events of one attempt. `seconds`: what "load", "measure", "frozen", "train", "test" may take.

    `done` of the `epochs` were trained by attempts before.
    """

    def __init__(
        self,
        seconds: Mapping[str, float],
        epochs: int,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._weights = dict(seconds)
        self._far = dict.fromkeys(self._weights, 0.0)
        self._took = dict.fromkeys(self._weights, 0.0)
        self._began: dict[str, float] = {}  # how far a part was when this attempt came to it
        if done:
            self._far["train"] = self._began["train"] = done / epochs
        self._epochs, self._clock, self._last = epochs, clock, clock()

    @property
    def share(self) -> float:
        """How much of the whole is done, in 0..1; never less than before."""
        done = sum(weight * self._far[part] for part, weight in self._weights.items())
        return min(1.0, done / sum(self._weights.values()))

    @property
    def left(self) -> float | None:
        """Seconds left of the whole; None before any pace can be told."""
        paces = {part: pace for part in self._weights if (pace := self._pace(part)) is not None}
        known = [part for part in ("train", "frozen") if part in paces]
        if not known and self._far["train"] < 1:
            return None
        usual = paces[known[0]] if known else 1.0
        return sum(
            weight * (1 - self._far[part]) * paces.get(part, usual) for part, weight in self._weights.items()
        )

    def _pace(self, part: str) -> float | None:
        """Return how many times as long as expected a part takes; None where that cannot be told yet."""
        further = self._far[part] - self._began.get(part, 0.0)
        if further <= 0 or not self._weights[part] or self._took[part] < SOON:
            return None
        return self._took[part] / (self._weights[part] * further)

    def mark(self, event: Event) -> Event:
        """Return the event, with the share that is done and the seconds left of the whole where it tells of progress."""
        part, far = self._place(event)
        if part is None:
            return event
        now = self._clock()
        self._took[part] += max(0.0, now - self._last)
        self._last = now
        if part not in ("load", "measure"):
            self._finish("load", "measure")
        if part == "train" and not self._took["frozen"]:
            self._finish("frozen")  # all of it was there
        if part == "test":
            self._finish("frozen", "train")
        begun = (event.epoch - 1) / self._epochs if isinstance(event, (Stepped, EpochEnded)) else 0.0
        self._began.setdefault(part, begun)
        if isinstance(event, Ended):  # what is left out took no time, and tells nothing of the pace
            self._began[part] += 1 - self._far[part]
        self._far[part] = max(self._far[part], min(far, 1.0))
        if isinstance(event, (Progressed, Stepped)):
            return replace(event, share=self.share, left=self.left)
        return event

    def _finish(self, *parts: str) -> None:
        self._far |= dict.fromkeys(parts, 1.0)

    def _place(self, event: Event) -> tuple[str | None, float]:
        """Return the part that an event tells of, and how far that part is."""
        if isinstance(event, Progressed):
            return PARTS.get(event.doing, "load"), event.done / event.total if event.total else 0.0
        if isinstance(event, Stepped):
            return "train", (event.epoch - 1 + event.step / max(event.steps, 1)) / self._epochs
        if isinstance(event, EpochEnded):
            return "train", event.epoch / self._epochs
        if isinstance(event, Ended):
            return "train", 1.0
        return None, 0.0
