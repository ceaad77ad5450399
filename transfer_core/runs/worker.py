"""The worker process: claims one run, trains it, tests it once, and says how it ended.

    python -m transfer_core.runs.worker HOME RUN

Everything is put together here. The run is claimed before torch is imported, which takes seconds, so
that whoever watches sees at once that it has begun.
"""

from __future__ import annotations

import platform
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from transfer_core.errors import UserError
from transfer_core.files import read_kept, sweep_parts, write_json
from transfer_core.runs.dispatch import dispatch
from transfer_core.runs.executors import SubprocessExecutor
from transfer_core.runs.liveness import end_earlier, lock_path
from transfer_core.runs.store import Run, RunStore, Superseded
from transfer_core.runs.telling import Heart, Teller, log_error, twice
from transfer_core.training.course import FROZEN, TESTING, TRYING
from transfer_core.training.events import Ended, Noted, Progressed

if TYPE_CHECKING:
    from transfer_core.training.checkpoint import Standing
    from transfer_core.training.setup import Setup

ASK_EVERY = 0.2  # seconds between looks at the stop flag
PATIENCE = 1e6  # seconds: whoever locks the store will let go of it, and training has the time
AGAIN = 0.5  # seconds until the end is noted again where the store could not take it
FULL = "The disk is full: free some space, then resume the run."
Outcome = tuple[str, str | None, dict[str, Any] | None]  # state, error, result


def work(home: Path, run_id: str) -> None:
    """Claim a run and see it through; returns at once where there is nothing to claim."""
    store = RunStore(home, PATIENCE)
    run = twice(lambda: store.claim(run_id))
    if run is None:
        return
    folder = store.folder(run.id)
    teller = Teller(store, run)
    heart = Heart(store, run, teller)
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(lock_path(folder, run.attempt)))
            held.callback(heart.stop)
            heart.start()
            outcome = _try(store, run, teller)
        except OSError as error:
            outcome = "failed", _explain(error), None
        except Superseded:
            return
        heart.is_last = True
        try:
            _finish(store, run, outcome)
        except Superseded:
            return
    with suppress(UserError):  # whoever looks next starts what waits
        dispatch(store, SubprocessExecutor())


def _finish(store: RunStore, run: Run, outcome: Outcome) -> None:
    """Note how it ended, as soon as the store takes it: with the disk full, that is what is noted."""
    said = ""
    while store.path.exists():  # else the whole home was deleted, and nobody asks any more
        state, error, result = outcome
        best = result["val"].get("accuracy") if result else None
        try:
            store.finish(run.id, run.attempt, state, error=error, best=best, result=result)
        except UserError as problem:
            if str(problem) != said:  # not twice a second in a log without end
                log_error()
            said = str(problem)
            if problem.kind == "disk-full":
                outcome = "failed", FULL, None
            time.sleep(AGAIN)
        else:
            return


def _try(store: RunStore, run: Run, teller: Teller) -> Outcome:
    """Return (state, error, result) of an attempt; only Superseded escapes."""
    try:
        end_earlier(store.folder(run.id), run)
        return _train_and_test(store, run, teller)
    except Superseded:
        raise
    except UserError as error:
        return "failed", FULL if error.kind == "disk-full" else str(error), None
    except MemoryError:
        return "failed", "The memory is used up: choose a smaller batch size or a smaller backbone.", None
    except Exception as error:
        log_error()
        return "failed", _explain(error), None


def _explain(error: Exception) -> str:
    text = str(error)
    if "out of memory" in text.lower():
        return "The memory of the device is used up: choose a smaller batch size or freeze more stages."
    if "enforce fail" in text or "inline_container" in text or "No space left" in text:
        return FULL
    return f"Training ended with an unexpected error ({type(error).__name__}); output.log has the details."


def _train_and_test(store: RunStore, run: Run, teller: Teller) -> Outcome:
    started = time.monotonic()
    folder = store.folder(run.id)
    sweep_parts(folder)
    teller.tell(Progressed("Loading the software", 0, 1))
    from transfer_core.data.library import Library
    from transfer_core.models.cache import ActivationCache
    from transfer_core.training.checkpoint import load_best
    from transfer_core.training.estimate import make_course
    from transfer_core.training.networks import count_done, make_loop
    from transfer_core.training.precision import find_precision
    from transfer_core.training.setup import make_setup

    if gone := run.spec.outdated:
        settings = ", ".join(gone)
        raise UserError(
            f"This run was set up by an earlier version, with settings that are no more ({settings}): set it up anew."
        )
    teller.tell(Progressed("Loading the backbone", 0, 1))
    cache = ActivationCache(store.home / "cache")
    plan: dict[str, Any] = read_kept(folder / "plan.json", {})
    cache.budget = plan.get("budget", cache.budget)
    setup = make_setup(
        run.spec, Library(store.home), cache, engine=plan.get("engine", "torch" if plan else None)
    )
    # A resumed run must store what its first attempt stored, computed as there, and train in the same precision.
    setup.precision = plan.get("precision") or (
        "fp32" if plan else find_precision(setup, lambda: teller.tell(Progressed(TRYING, 0, 1)))
    )
    plan = {"budget": cache.budget, "engine": setup.engine, "precision": setup.precision}
    write_json(folder / "plan.json", plan)
    done = count_done(setup, folder)
    teller.course = make_course(setup, done)
    twice(lambda: store.drop_events_after(run.id, run.attempt, done))
    if done:
        teller.tell(Noted(f"Resumed after epoch {done}.", done))
    loop = make_loop(setup, folder, teller.tell, _make_should_stop(store, run))
    ended = loop.run()
    teller.flush()
    if not ended.best:
        if ended.reason == "diverged":
            text = "The loss stopped being a number in the first epoch: choose a lower learning rate."
            return "failed", text, None
        return "stopped", "Stopped before there was a model to keep.", None
    setup.model.load_trained(load_best(folder, ended.best))
    seconds = {"cache": loop.cache_seconds, "train": loop.standing.seconds}
    result = _test(setup, folder, ended, loop.standing, seconds, teller)
    if run.spec.networks > 1:
        result["networks"] = loop.trained
    result["seconds"] = {"total": time.monotonic() - started, **seconds}
    teller.flush()
    if ended.reason == "diverged":
        text = (
            f"The loss stopped being a number after epoch {ended.epoch}; the best epoch before, "
            f"{ended.best}, is kept. Choose a lower learning rate."
        )
        return "failed", text, result
    return ("stopped" if ended.reason == "stopped" else "done"), None, result


def _test(
    setup: Setup, folder: Path, ended: Ended, standing: Standing, seconds: dict[str, float], teller: Teller
) -> dict[str, Any]:
    """Predict every image once with the chosen weights; the test part is read here for the first time."""
    import numpy as np
    import torch

    from transfer_core.data.manifest import TARGET_TRAIN
    from transfer_core.evaluation.report import UNSPLIT, Report
    from transfer_core.training.domains import predict_domains
    from transfer_core.training.estimate import remember
    from transfer_core.training.spec import RULES

    images = tuple(row.image for row in setup.manifest.rows)
    parts = tuple(setup.split.assignment.get(image, UNSPLIT) for image in images)
    with setup.activations(setup.spec.cut) as activations:

        def tell(done: int, total: int, doing: str = TESTING) -> bool:
            teller.tell(Progressed(doing, done, total, ended.epoch))
            return True

        setup.frozen.fill(activations, images, setup.spec.seen_views, partial(tell, doing=FROZEN))
        seen = predict_domains(setup, activations, list(images), tell)
    about = {
        "selection_rule": f"{RULES[setup.spec.select]}, ties to the earlier epoch",
        "best_epoch": ended.best,
        "epoch": ended.epoch,
        "epochs": setup.spec.total_epochs,
        "reason": ended.reason,
        "val": standing.best_val,
        "target": standing.best_target,
        "stored": setup.stored_stage(setup.spec.cut),
        "weights": setup.weights,
        "engine": setup.engine,
        "environment": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "device": setup.spec.device,
            "threads": torch.get_num_threads(),
            "frozen part": "ONNX Runtime" if setup.engine == "onnx" else "torch",
            "precision": "bfloat16" if setup.precision == "mixed" else "float32",
        },
    }
    if setup.task.tasks and not setup.asked:
        about["second_question"] = dict(setup.task.tasks)
    if setup.asked:
        about["asked"] = [setup.manifest.classes[number] for number in setup.asked]
    if standing.mended:
        about["mended"] = standing.mended
    if setup.has_target:
        from transfer_core.runs.oracle import about_target

        about |= about_target(setup, folder, ended)
    report = Report(
        setup.manifest, images, parts, seen.probabilities, setup.split.keeps_groups(setup.manifest), about
    )
    report.save(folder, seen.features)
    try:
        remember(setup, seconds)
    except Exception:  # an estimate is never needed
        log_error()
    result = {**about, "test": report.metrics().to_json()}
    if setup.has_target:
        unused = replace(report, parts=tuple(
            "train" if image in setup.picked else part for image, part in zip(images, parts, strict=True)
        ))  # fmt: skip
        result["test_transductive"] = unused.metrics("test", TARGET_TRAIN).to_json()
    return result


def _make_should_stop(store: RunStore, run: Run) -> Callable[[], bool]:
    """Return a cheap question: the flag in the store is looked at a few times a second."""
    asked = 0.0
    wanted = False

    def on_signal(_number: int, _frame: object) -> None:
        nonlocal wanted
        wanted = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_signal)

    def should_stop() -> bool:
        nonlocal asked, wanted
        if not wanted and time.monotonic() - asked >= ASK_EVERY:
            wanted = twice(lambda: store.get(run.id)).stop_requested
            asked = time.monotonic()
        return wanted

    return should_stop


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2])
