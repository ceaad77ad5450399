"""A real server with a home of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from transfer_core.runs.store import RunStore

ROOT = Path(__file__).parents[2]
WATCHED = Path(__file__).parent / "watched"
PATIENCE = 150.0  # seconds; a busy machine with two cores may need them


class Server:
    """`streamlit run app.py` on a free port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://localhost:{self.port}"
        self.command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)]
        self.log = home.parent / f"{home.name}-server.log"
        self.watch = home.parent / f"{home.name}-watch.jsonl"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """With the home, and with a watch over every process (`watched/sitecustomize.py`)."""
        path = os.pathsep.join([str(WATCHED), *filter(None, [os.environ.get("PYTHONPATH")])])
        own = {"TRANSFER_LAB_HOME": str(self.home), "WATCHED": str(self.watch), "PYTHONPATH": path}
        return os.environ | own

    def told(self) -> list[dict[str, Any]]:
        """Return what the watch told so far: each process that began, and what must not be."""
        return [json.loads(line) for line in self.watch.read_text().splitlines()]

    def must_not_be(self) -> list[dict[str, Any]]:
        """Return sockets and look-ups that would have left this machine, and libraries half loaded before a page."""
        told = self.told()
        assert told, "nobody watched"
        return [each for each in told if each["event"] != "watched"]

    def open_to_others(self) -> list[str]:
        """Return what in the home others than its owner may read."""
        found = [path for path in (self.home, *self.home.rglob("*")) if path.lstat().st_mode & 0o077]
        return [f"{path} {path.lstat().st_mode:o}" for path in found]

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def store(self) -> RunStore:
        return RunStore(self.home)

    def start(self) -> None:
        """Start it, and return once it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self._process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/_stcore/health"):
                return
            time.sleep(0.1)
        raise AssertionError("the server did not answer")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None

    def end_workers(self) -> None:
        """End what still trains; workers outlive their server on purpose."""
        for process in psutil.process_iter(["cmdline"]):
            with contextlib.suppress(psutil.Error):
                words = process.info["cmdline"] or []
                ours = {"transfer_core.runs.worker", "transfer_core.runs.prediction_worker"} & set(words)
                if ours and str(self.home) in words:
                    process.kill()
