"""The warm helper: one process with torch that predicts and exports for the server, which has none.

It reads one JSON request a line from its standard input and answers each with one JSON line. It ends
when the server goes (its input closes) or after ten idle minutes, and starts again on need.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

from transfer_core.errors import UserError

IDLE = 600.0  # seconds
KEPT = 3  # models in memory


class Helper:
    """The server's side: starts the process on first need and asks it, one request at a time."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._timer: threading.Timer | None = None

    @property
    def is_warm(self) -> bool:
        """Whether the process is there, so that an answer takes no start."""
        return self._process is not None and self._process.poll() is None

    def predict(self, run: str, files: dict[str, bytes]) -> dict[str, Any]:
        """Return {"predictions": [...], "problems": [...]} for the contents of files by name."""
        packed = {name: base64.b64encode(content).decode() for name, content in files.items()}
        return self._ask({"do": "predict", "run": run, "files": packed})

    def pack(self, run: str, options: dict[str, bool]) -> None:
        """Make a run's bundle and keep it, packed, with the run."""
        self._ask({"do": "pack", "run": run, "options": options})

    def add_weights(self, backbone: str, path: Path) -> str:
        """Check a file with a backbone's weights and keep a copy; return a remark on it, mostly empty."""
        return str(self._ask({"do": "weights", "backbone": backbone, "path": str(path)})["note"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            process = self._get_process()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except (BrokenPipeError, OSError):
                line = ""
            self._sleep_later()
        if not line:
            raise UserError("The helper process ended; try again, it starts by itself.", "helper")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UserError(answer["error"]["message"], answer["error"]["kind"])
        return answer

    def _get_process(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "transfer_core.runs.helper", str(self._home)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
                start_new_session=os.name != "nt",
            )
        return self._process

    def _sleep_later(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(IDLE, self.close)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """End the process."""
        if self._timer:
            self._timer.cancel()
        if self._process:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            self._process.terminate()
            self._process.wait()
        self._process = None


def serve(home: Path, requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more."""
    from transfer_core.runs.predictor import Predictor
    from transfer_core.runs.store import RunStore

    store = RunStore(home)
    models: OrderedDict[str, Predictor] = OrderedDict()

    def get_model(run: str) -> Predictor:
        if run not in models:
            models[run] = Predictor(store, store.get(run))
            while len(models) > KEPT:
                models.popitem(last=False)
        models.move_to_end(run)
        return models[run]

    for line in requests:
        request = json.loads(line)
        try:
            if request["do"] == "pack":
                _pack(home, request["run"], request["options"])
                answer: dict[str, Any] = {}
            elif request["do"] == "weights":
                answer = {"note": _add_weights(home, request["backbone"], Path(request["path"]))}
            else:
                answer = _predict(get_model(request["run"]), request["files"])
        except UserError as error:
            answer = {"error": {"kind": error.kind, "message": str(error)}}
        except Exception as error:
            text = f"The helper failed with an unexpected error ({type(error).__name__})."
            answer = {"error": {"kind": "helper", "message": text}}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _add_weights(home: Path, backbone: str, path: Path) -> str:
    from transfer_core.models.backbones import get_backbone
    from transfer_core.models.weights import add_weights_file

    return add_weights_file(get_backbone(backbone), path, home)[1]


def _pack(home: Path, run: str, options: dict[str, bool]) -> None:
    from transfer_core.bundle.subject import Options
    from transfer_core.runs.lab import Lab
    from transfer_core.runs.take_home import pack_bundle

    lab = Lab(home)
    pack_bundle(lab, lab.store.get(run), Options(**options))


def _predict(model: Any, files: dict[str, str]) -> dict[str, Any]:
    predictions, problems = [], []
    for name, packed in files.items():
        try:
            predictions.append(model.predict_bytes(name, base64.b64decode(packed)).to_json())
        except UserError as error:
            problems.append({"file": name, "kind": error.kind, "message": str(error)})
    return {"predictions": predictions, "problems": problems}


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin, sys.stdout)
