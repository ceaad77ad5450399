"""Watching from a terminal: a progress bar on stderr, and what Ctrl-C means."""

from __future__ import annotations

import sys
import time
from typing import Any

from transfer_core.evaluation.words import provisional
from transfer_core.runs.lab import Lab
from transfer_core.runs.progress import standing
from transfer_core.terminal import shown, tell
from transfer_core.training.events import EpochEnded, Noted, Provisional

POLL = 0.25  # seconds


class ProgressBar:
    """One line on stderr; nothing where stderr is not a terminal."""

    def __init__(self, title: str) -> None:
        self._title, self._shown = title, 0.0
        self._on = sys.stderr.isatty()

    def update(
        self, done: float, total: float, title: str = "", left: float | None = None, words: str = ""
    ) -> None:
        """Draw the bar, ten times a second at most; `words` stand beside it, the counts where there are none."""
        if not self._on or (time.monotonic() - self._shown < 0.1 and done < total):
            return
        self._shown = time.monotonic()
        filled = round(24 * done / total) if total else 0
        bar = "#" * filled + "." * (24 - filled)
        rest = f"  {_clock(left)} left" if left is not None else ""
        print(
            f"\r\033[K{shown(title or self._title)}  [{bar}] {words or f'{done}/{total}'}{rest}",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def clear(self) -> None:
        """Take the line away."""
        if self._on:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def watch(lab: Lab, run: str, *, stopping: bool = False) -> bool:
    """Follow a run to its end; False where a second Ctrl-C said not to wait for it."""
    seen = 0
    with ProgressBar("") as bar:
        while True:
            try:
                seen = _tell_new(lab, run, seen, bar)
                found = lab.store.get(run)
                if found.is_over:
                    _tell_new(lab, run, seen, bar)
                    return True
                lab.look()
                time.sleep(POLL)
            except KeyboardInterrupt:
                bar.clear()
                if stopping:
                    return False
                stopping = True
                lab.stop(lab.store.get(run))
                text = "Stopping; the best epoch is kept. Ctrl-C again leaves the run to end by itself."
                tell(text, sys.stderr)


def _tell_new(lab: Lab, run: str, seen: int, bar: ProgressBar) -> int:
    for seq, _, event in lab.store.events(run, after=seen, kinds=["EpochEnded", "Noted", "Provisional"]):
        seen = seq
        bar.clear()
        if isinstance(event, EpochEnded):
            tell(_epoch_line(event), sys.stderr)
        elif isinstance(event, Noted):
            tell(event.text, sys.stderr)
        elif isinstance(event, Provisional):
            bounds = event.low, event.high
            tell(provisional(event.accuracy, bounds, event.trained, event.tested), sys.stderr)
    now: dict[str, Any] = standing(lab.store, lab.store.get(run))
    count = f" ({now['done']:,} of {now['total']:,})" if now["total"] > 1 else ""
    percent = f"{100 * now['share']:.0f} %"
    bar.update(now["share"], 1.0, f"{now['doing'] or 'Starting'}{count}", now["left"], percent)
    return seen


def _epoch_line(event: EpochEnded) -> str:
    star = "  best so far" if event.best else ""
    # None where no labelled image was learnt from, and where a loss was no number.
    loss, right = (event.train.get(name) for name in ("loss", "accuracy"))
    return (
        f"epoch {event.epoch:>3} of {event.epochs}  train loss {'-     ' if loss is None else f'{loss:.4f}'} accuracy "
        f"{'-    ' if right is None else f'{right:.3f}'}  validation loss {event.val['loss']:.4f} accuracy "
        f"{event.val['accuracy']:.3f}{star}"
    )
