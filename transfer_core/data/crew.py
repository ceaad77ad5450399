"""Work on many files at once, each piece in a process beside this one.

Decoding holds the interpreter most of the time, so threads bring nothing and a server that decodes answers nobody.
Beside that, a file that brings its decoder down, or keeps it busy for ever, takes one process with it and no more.

`multiprocessing` would do, were it not that it runs the main module again in each process: under a server that is
the app itself, in somebody's own script whatever stands there.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MANY = 100  # pieces of work from which starting processes pays
MOST = 8  # processes: beyond, the disk is what one waits for
CHUNK = 16  # pieces that a process is given at once, so that it need not wait for its next
TELL = 0.1  # seconds: answers that come faster are told together, because each wakes the one who asked
PATIENCE = 120.0  # seconds for one piece; the largest image that is let in takes a tenth of that


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """As many processes as pay for this many pieces of work; none where there is little to do."""

    def __init__(self, pieces: int) -> None:
        self._hands = min(count_cores(), MOST) if pieces >= MANY else 0
        self._idle: deque[subprocess.Popen[bytes]] = deque()
        self._started: list[subprocess.Popen[bytes]] = []
        self._since: dict[subprocess.Popen[bytes], float] = {}  # when those at work began with their piece
        self._hung: set[subprocess.Popen[bytes]] = set()  # that were too long over their piece
        self._over = threading.Event()

    def __enter__(self) -> Self:
        if self._hands:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for process in self._started:
            process.kill()
            process.communicate()  # closes its pipes and takes it off the list of processes

    def each(self, work: Callable[[T], R], things: Iterable[T], died: Callable[[T], R]) -> Iterator[R]:
        """Yield what becomes of each thing, in their order, a few at a time.

        `work`, the things and what becomes of them travel between processes and have to be such that they can be
        pickled. `died` says what becomes of a thing that the process did not survive.
        """
        if not self._hands:
            yield from map(work, things)
            return
        waiting: deque[Future[list[R]]] = deque()
        with ThreadPoolExecutor(self._hands) as pool:
            try:
                for chunk in _batched(things):
                    waiting.append(pool.submit(self._do, work, chunk, died))
                    if len(waiting) > 2 * self._hands:
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
            finally:
                for rest in waiting:
                    rest.cancel()

    def _watch(self) -> None:
        """Stop whoever is too long over a piece."""
        while not self._over.wait(PATIENCE / 100):
            for process, since in list(self._since.items()):
                if time.monotonic() - since > PATIENCE:
                    self._hung.add(process)
                    process.kill()

    def _do(self, work: Callable[[T], R], things: Sequence[T], died: Callable[[T], R]) -> list[R]:
        """Return what becomes of things, in one process, or in the next where that one dies."""
        done: list[R] = []
        # After a death: some of what was done had perhaps not been told, so nobody knows which piece it was.
        singly = False
        fatal = 0  # deaths over the next piece, given alone: one may have had another cause
        while rest := things[len(done) :]:
            asked = rest[:1] if singly else rest
            request = pickle.dumps((work, asked), pickle.HIGHEST_PROTOCOL)
            process = self._idle.pop() if self._idle else self._start()
            try:
                done += self._ask(process, request, len(asked))
            except DiedError as end:
                hung = process in self._hung
                process.kill()
                done += end.done
                fatal += singly
                if fatal == 2 or (singly and hung):
                    done.append(died(asked[0]))
                    fatal = 0
                singly = True
            else:
                fatal = 0
                self._idle.append(process)
        return done

    def _ask(self, process: subprocess.Popen[bytes], request: bytes, count: int) -> list[Any]:
        """Return the answers to a request for so many; what the work raised, where it raised."""
        assert process.stdin is not None
        assert process.stdout is not None
        answers: list[Any] = []
        answer: Any = None
        try:
            self._since[process] = time.monotonic()
            process.stdin.write(request)
            process.stdin.flush()
            while len(answers) < count:
                answer = pickle.load(process.stdout)
                self._since[process] = time.monotonic()
                if isinstance(answer, Exception):
                    break
                answers.append(answer)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise DiedError(answers) from None
        finally:
            self._since.pop(process, None)
        if isinstance(answer, Exception):
            raise answer
        return answers

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "transfer_core.data.crew"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
            start_new_session=os.name != "nt",  # Ctrl+C is for the one who asked, not for its hands
        )
        self._started.append(process)
        return process


class DiedError(Exception):
    """A process died, or was too long, over a piece of work; `done` is what it had done before."""

    def __init__(self, done: list[Any]) -> None:
        super().__init__()
        self.done = done


def _batched(things: Iterable[T]) -> Iterator[tuple[T, ...]]:
    rest = iter(things)
    while chunk := tuple(islice(rest, CHUNK)):
        yield chunk


def serve() -> None:
    """Do what is asked for until nobody asks any more: whoever did may have been killed."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints must not come between the answers
    if hasattr(os, "nice"):
        os.nice(5)  # somebody may be waiting for a page
    with suppress(EOFError):
        while True:
            work, things = pickle.load(requests)
            told = time.monotonic()
            for answer in _answers(work, things):
                pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
                if time.monotonic() - told > TELL:
                    answers.flush()
                    told = time.monotonic()
            answers.flush()


def _answers(work: Callable[[Any], Any], things: Sequence[Any]) -> Iterator[Any]:
    for thing in things:
        try:
            yield work(thing)
        except Exception as error:
            yield error
            return


if __name__ == "__main__":
    serve()
