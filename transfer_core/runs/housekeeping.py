"""Deleting so that it is gone: what depends on it first, then files, thumbnails, cache and rows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace

from transfer_core.data.library import Library
from transfer_core.errors import UserError
from transfer_core.files import folder_bytes, plain_words
from transfer_core.models.cache import ActivationCache
from transfer_core.runs.prediction_jobs import PredictionJobs
from transfer_core.runs.records import RECORD
from transfer_core.runs.store import ACTIVE, Run, RunStore


@dataclass(frozen=True)
class Receipt:
    """What would go, or went. `images` are files that no other data set needs; `shared` those that one does, which stay.

    `predictions`: how often images were asked of the runs; those answers go too. `bytes` on the disk, of all of it.
    """

    what: str
    runs: tuple[str, ...]
    images: int
    bytes: int
    shared: int = 0
    predictions: int = 0

    def __str__(self) -> str:
        """Say it in words, the same on a page and in a terminal."""
        parts = [_count(len(self.runs), "run")] if self.runs else []
        if not self.what.startswith("run "):
            parts.append(_count(self.images, "image"))
        if self.predictions:
            parts.append(_count(self.predictions, "set") + " of predictions")
        words = f"{', '.join(parts)}, {self.bytes / 1e6:.1f} MB"
        stay = (
            "stays, because another data set has it"
            if self.shared == 1
            else "stay, because other data sets have them"
        )
        return f"{words}; {_count(self.shared, 'image')} {stay}" if self.shared else words


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


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


def weigh_run(store: RunStore, run: Run) -> Receipt:
    """Return what deleting a run would remove."""
    jobs = PredictionJobs(store.home)
    asked = jobs.jobs(run.id)
    size = folder_bytes(store.folder(run.id)) + sum(jobs.size(job.id) for job in asked)
    return Receipt(f"run {run.name or run.id}", (run.id,), 0, size, predictions=len(asked))


def weigh_dataset(store: RunStore, library: Library, dataset: str) -> Receipt:
    """Return what deleting a data set would remove."""
    about = library.about(dataset)
    runs = [weigh_run(store, run) for run in dependents(store, about.id)]
    own, shared = library.held(about.id)
    size = library.weigh(about.id, own) + ActivationCache(store.home / "cache").weigh(own)
    there = sum(library.image_path(image).exists() for image in own)
    return _with_runs(Receipt(f"data set {about.name}", (), there, size, len(shared)), runs)


def delete_run(store: RunStore, run_id: str) -> Receipt:
    """Remove a run's events, checkpoints, weights, predictions, and what was asked of it; return what went."""
    told = _remove_run(store, run_id)
    store.scrub()
    return told


def _remove_run(store: RunStore, run_id: str) -> Receipt:
    run = store.get(run_id)
    if run.state in ACTIVE:
        raise UserError(f"Run {run.id} is still {run.state}: stop it first.", "active")
    folder = store.folder(run.id)
    told = weigh_run(store, run)
    # The files before the row: on a full disk they make the room to delete it. The record first of all, or a list of
    # runs that has to be made again would bring the run back.
    with plain_words(folder):
        PredictionJobs(store.home).delete_of_run(run.id)
        (folder / RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    store.delete(run.id)
    return replace(told, bytes=told.bytes - folder_bytes(folder))


def delete_dataset(store: RunStore, library: Library, dataset: str) -> Receipt:
    """Remove a data set with its runs, its images and thumbnails, and what the cache knows of them; return what went."""
    about = library.about(dataset)
    runs = dependents(store, about.id)
    active = [run.id for run in runs if run.state in ACTIVE]
    if active:
        raise UserError(f"Run {active[0]} still trains on {about.name}: stop it first.", "active")
    own, shared = library.held(about.id)
    gone = [_remove_run(store, run.id) for run in runs]
    if runs:
        store.scrub()
    with plain_words(library.folder / about.id):
        size, images = library.delete(about.id)
    size += ActivationCache(store.home / "cache").forget(own)
    return _with_runs(Receipt(f"data set {about.name}", (), len(images), size, len(shared)), gone)


def _with_runs(told: Receipt, runs: list[Receipt]) -> Receipt:
    return replace(
        told,
        runs=tuple(name for each in runs for name in each.runs),
        bytes=told.bytes + sum(each.bytes for each in runs),
        predictions=sum(each.predictions for each in runs),
    )


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
