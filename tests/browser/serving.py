"""A real server with a home of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from transfer_core.runs.store import RunStore

ROOT = Path(__file__).parents[2]
PATIENCE = 150.0  # seconds; a busy machine with two cores may need them


class Server:
    """`streamlit run app.py` on a free port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://localhost:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> RunStore:
        return RunStore(self.home)

    def start(self) -> None:
        """Start it, and return once it answers."""
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)],
                cwd=ROOT,
                env=os.environ | {"TRANSFER_LAB_HOME": str(self.home)},
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self._process.poll() is None, (self.home / "server.log").read_text()
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
