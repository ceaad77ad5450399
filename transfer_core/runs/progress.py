"""How far a run is: one share and one time left for the whole of it, and what it does now."""

from __future__ import annotations

from typing import Any

from transfer_core.runs.run import Run
from transfer_core.runs.store import RunStore
from transfer_core.training.course import TESTING
from transfer_core.training.events import Ended, EpochEnded, PhaseStarted, Progressed, Provisional, Stepped


def standing(store: RunStore, run: Run) -> dict[str, Any]:
    """Return how far a run is, in plain data.

    `share` of the whole that is done, in 0..1, and seconds `left` of it, None where that cannot be told; `doing`: what it
    does now, with `done` of `total`; `epoch` of `epochs` that are over.
    """
    end = store.last_event(run.id, "EpochEnded")
    epoch = end[2].epoch if end and isinstance(end[2], EpochEnded) else 0
    epochs = end[2].epochs if end and isinstance(end[2], EpochEnded) else run.spec.total_epochs
    facts: dict[str, Any] = {"doing": "", "done": 0, "total": 0, "epoch": epoch, "epochs": epochs}
    found = filter(None, (store.last_event(run.id, kind) for kind in ("Progressed", "Stepped")))
    told = [
        each
        for _, _, each in sorted(found, key=lambda each: -each[0])
        if isinstance(each, (Progressed, Stepped))
    ]
    # While a resumed run loads, nothing is told of the whole: it is as far as it was.
    share = next((each.share for each in told if each.share is not None), epoch / max(epochs, 1))
    facts |= {"share": share, "left": told[0].left if told else None}
    last = store.last_event(run.id)
    event = last[2] if last else None
    if isinstance(event, Provisional):  # said in between
        event = told[0] if told else None
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
