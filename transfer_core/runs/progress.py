"""How far a run is: one share and one time left for the whole of it, and what it does now."""

from __future__ import annotations

from typing import Any

from transfer_core.runs.run import Run
from transfer_core.runs.store import RunStore
from transfer_core.training.course import TESTING
from transfer_core.training.events import Ended, EpochEnded, PhaseStarted, Progressed, Stepped


def standing(store: RunStore, run: Run) -> dict[str, Any]:
    """Return how far a run is, in plain data.

    `share` of the whole that is done, in 0..1, and seconds `left` of it, None where that cannot be told; `doing`: what it
    does now, with `done` of `total`; `epoch` of `epochs` that are over.
    """
    end = store.last_event(run.id, "EpochEnded")
    epoch = end[2].epoch if end and isinstance(end[2], EpochEnded) else 0
    epochs = end[2].epochs if end and isinstance(end[2], EpochEnded) else run.spec.total_epochs
    facts: dict[str, Any] = {"doing": "", "done": 0, "total": 0, "epoch": epoch, "epochs": epochs}
    told = [store.last_event(run.id, kind) for kind in ("Progressed", "Stepped")]
    _, _, latest = max((each for each in told if each), default=(0, 0.0, None), key=lambda each: each[0])
    share, left = (latest.share, latest.left) if isinstance(latest, (Progressed, Stepped)) else (None, None)
    facts |= {"share": share if share is not None else epoch / max(epochs, 1), "left": left}
    last = store.last_event(run.id)
    event = last[2] if last else None
    if isinstance(event, Progressed):
        facts |= {"doing": event.doing, "done": event.done, "total": event.total}
    elif isinstance(event, Stepped):
        doing = f"Epoch {event.epoch} of {epochs}"
        facts |= {"doing": doing, "done": event.step, "total": event.steps}
    elif isinstance(event, PhaseStarted):
        facts["doing"] = f"Phase {event.number} of {event.phases}: {event.name}"
    elif isinstance(event, Ended):
        facts["doing"] = TESTING
    elif event is not None:
        facts["doing"] = f"Epoch {epoch} of {epochs} done"
    return facts
