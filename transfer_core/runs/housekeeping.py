"""Deleting so that it is gone: what depends on it first, then files, thumbnails, cache and rows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from transfer_core.data.library import Library
from transfer_core.errors import UserError
from transfer_core.files import folder_bytes
from transfer_core.models.cache import ActivationCache
from transfer_core.runs.prediction_jobs import PredictionJobs
from transfer_core.runs.store import ACTIVE, Run, RunStore


@dataclass(frozen=True)
class Receipt:
    """What was removed. `images` are files that no other data set needed."""

    what: str
    runs: tuple[str, ...]
    images: int
    bytes: int


@dataclass(frozen=True)
class DiskUse:
    """Bytes below the home folder, by what they are for."""

    images: int
    datasets: int
    runs: int
    cache: int
    weights: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.images + self.datasets + self.runs + self.cache + self.weights


def dependents(store: RunStore, dataset: str) -> list[Run]:
    """Return the runs that would go with a data set."""
    return store.runs(manifest=dataset)


def delete_run(store: RunStore, run_id: str) -> Receipt:
    """Remove a run's events, checkpoints, weights, predictions, and what was asked of it."""
    run = store.get(run_id)
    if run.state in ACTIVE:
        raise UserError(f"Run {run.id} is still {run.state}: stop it first.", "active")
    folder = store.folder(run.id)
    size = folder_bytes(folder) if folder.exists() else 0
    size += PredictionJobs(store.home).delete_of_run(run.id)
    store.delete(run.id)
    shutil.rmtree(folder, ignore_errors=True)
    return Receipt(f"run {run.name or run.id}", (run.id,), 0, size)


def delete_dataset(store: RunStore, library: Library, dataset: str) -> Receipt:
    """Remove a data set with its runs, its images and thumbnails, and what the cache knows of them."""
    about = library.about(dataset)
    runs = dependents(store, about.id)
    active = [run.id for run in runs if run.state in ACTIVE]
    if active:
        raise UserError(f"Run {active[0]} still trains on {about.name}: stop it first.", "active")
    freed = sum(delete_run(store, run.id).bytes for run in runs)
    size, images = library.delete(about.id)
    freed += size + ActivationCache(store.home / "cache").forget(images)
    return Receipt(f"data set {about.name}", tuple(run.id for run in runs), len(images), freed)


def disk_use(store: RunStore) -> DiskUse:
    """Return what takes how much room."""

    def size(*names: str) -> int:
        return sum(folder_bytes(store.home / name) for name in names if (store.home / name).exists())

    return DiskUse(
        size("images", "thumbs"),
        size("datasets"),
        size("runs", "predictions"),
        size("cache"),
        size("weights"),
    )
