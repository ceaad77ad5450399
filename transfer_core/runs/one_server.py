"""One server for a home: two would start the same runs and read the same uploads. The command line is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from transfer_core.errors import UserError
from transfer_core.files import read_json, write_json


@contextmanager
def only_server(home: Path, address: str) -> Iterator[None]:
    """Be the one server of a home; UserError, which names the other one, where there is another.

    The system takes the lock from a process that ends, however it does. Where none can be had (a full disk, a home
    that can only be read), it is served without.
    """
    lock = FileLock(home / "server.lock", blocking=False)
    told = home / "server.json"
    try:
        lock.acquire()
    except Timeout:
        raise UserError(_describe(home, told), "second-server") from None
    except OSError:
        yield
        return
    try:
        with suppress(UserError):  # a full disk: then the second is told less
            write_json(told, {"address": address, "process": os.getpid()})
        yield
    finally:
        with suppress(OSError):  # in a home that can only be read by now
            told.unlink(missing_ok=True)
        lock.release()


def _describe(home: Path, told: Path) -> str:
    try:
        first = read_json(told)
        which = f"it is at {first['address']} (process {first['process']})"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun, or could not write
        which = "it has just begun"
    return (
        f"Transfer Lab already serves {home}: {which}. Open that address; for a second server, "
        "set TRANSFER_LAB_HOME to another folder."
    )
