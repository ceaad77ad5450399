"""What tests of the store share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from transfer_core.runs.store import Run, RunStore
from transfer_core.training.spec import RunSpec

SPEC = RunSpec("0123456789abcdef", "fedcba9876543210", cut=9)
T = TypeVar("T")


def claimed(store: RunStore, run: str) -> Run:
    found = store.claim(run)
    assert found is not None
    return found


def at_once(count: int, do: Callable[[int], T]) -> list[T]:
    """What `do(0..count-1)` return, all let loose at the same moment in threads."""
    gate, results, errors = threading.Barrier(count), [None] * count, []

    def run(number: int) -> None:
        try:
            gate.wait()
            results[number] = do(number)  # type: ignore[call-overload]
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not errors
    return results  # type: ignore[return-value]
