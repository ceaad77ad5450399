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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from transfer_core.errors import UserError
from transfer_core.evaluation.heat import Heat, read_heat
from transfer_core.runs.likeness import Likeness
from transfer_core.training.spec import RunSpec

IDLE = 600.0  # seconds


@dataclass(frozen=True)
class Explained:
    """Why a class may be said of a file.

    `heat` [h, w] in 0..1 and `overlay`, a PNG of it over the picture, show where the score is sensitive, which does not
    make the reason right. `similar`: training images most like it, the most alike first; none for a run of an older
    version. `known`: the very same picture was used in training.
    """

    label: str
    heat: Heat
    overlay: bytes
    similar: tuple[Likeness, ...]
    known: bool


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

    def explain(self, run: str, wanted: dict[str, str]) -> dict[str, Heat]:
        """Return the map [h, w] in 0..1 of what speaks for a class in images of the run's data set; image -> class."""
        found = self._ask({"do": "explain", "run": run, "wanted": wanted})["heat"]
        return {image: read_heat(rows) for image, rows in found.items()}

    def explain_bytes(self, run: str, name: str, content: bytes, wanted: str | None = None) -> Explained:
        """Explain what is said of a file's content, or another class; UserError where it is no readable image."""
        packed = base64.b64encode(content).decode()
        found = self._ask(
            {"do": "explain-file", "run": run, "file": name, "content": packed, "class": wanted}
        )
        similar = tuple(Likeness(**each) for each in found["similar"])
        overlay = base64.b64decode(found["overlay"])
        return Explained(found["class"], read_heat(found["heat"]), overlay, similar, found["known"])

    def fill_pretrained(self, run: str, images: list[str]) -> None:
        """Compute what the run's backbone made of images before training, a few at a time; it is kept in the cache."""
        self._ask({"do": "pretrained", "run": run, "images": images})

    def lay_out(self, run: str, method: str, features_of: str) -> None:
        """Make a run's feature map ("pca" or "tsne") and keep it at `map_path`; see `mapping.lay_out`."""
        self._ask({"do": "map", "run": run, "method": method, "features_of": features_of})

    def work_off(self, job: str) -> None:
        """See predictions of a few images through, that somebody asked for as a job."""
        self._ask({"do": "job", "job": job})

    def pack(self, run: str, options: dict[str, bool]) -> None:
        """Make a run's bundle and keep it, packed, with the run."""
        self._ask({"do": "pack", "run": run, "options": options})

    def study(self, run: str, what: str) -> dict[str, Any]:
        """Study a run's data set, its "labels" or its learning "curve"; what is found is kept with the run."""
        return self._ask({"do": "study", "run": run, "what": what})

    def try_out(self, spec: RunSpec, stored: int) -> None:
        """Measure, for some two seconds, how fast this machine is for a run; what is found is kept with the timings.

        Not while a run is under way: it would be disturbed, and half a machine measured. `stored` as `choose_stored` says.
        """
        self._ask({"do": "try", "spec": spec.to_json(), "stored": stored})

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
    from transfer_core.runs.answering import Answering

    answering = Answering(home)
    for line in requests:
        answers.write(json.dumps(answering.answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin, sys.stdout)
