"""Start what waits. Called when a run is added, when a worker ends and whenever somebody looks."""

from __future__ import annotations

from transfer_core.runs.executors import Executor
from transfer_core.runs.liveness import Watcher
from transfer_core.runs.store import ACTIVE, RunStore


def dispatch(store: RunStore, executor: Executor) -> None:
    """Start a worker for the oldest queued run of every device that is free."""
    busy = {run.device for run in store.runs(states=ACTIVE)}
    for run in reversed(store.runs(states=("queued",))):
        if run.device in busy:
            continue
        # In this order: one that dies between the two questions is seen by the second.
        if executor.is_busy(run.id, run.attempt):
            busy.add(run.device)
        elif executor.could_not_start(run.id, run.attempt):
            store.mark_unstartable(run.id)
        else:
            busy.add(run.device)
            executor.start(store.home, run.id, run.attempt)


def reconcile(store: RunStore, executor: Executor, watcher: Watcher) -> None:
    """Bring the store in line with what is alive, then start what waits."""
    watcher.sweep(store)
    dispatch(store, executor)
