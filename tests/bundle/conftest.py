"""One real bundle for all tests: the smallest backbone, trained on drawings whose names are hostile and private."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import PngImagePlugin

from sample_data.shapes import Drawing, draw_shapes
from transfer_core.bundle.subject import Options
from transfer_core.bundle.verify import hash_file
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.split import make_split
from transfer_core.evaluation.decision import Wishes
from transfer_core.runs.executors import InProcessExecutor
from transfer_core.runs.lab import Lab
from transfer_core.runs.store import Run
from transfer_core.runs.take_home import export_bundle
from transfer_core.training.rules import make_spec

PATIENT = "Jane Roe"  # in paths, groups and metadata: it must not leave
CLASSES = ("<img src=http://evil.test/a.png>", "=HYPERLINK(1)|`x` [a](http://evil.test)", "肺")
DRAWN = ("disc-solid", "cross-outline", "star-dotted")


@dataclass(frozen=True)
class Made:
    """A finished run and its bundle, never written to again."""

    lab: Lab
    run: Run
    folder: Path

    @property
    def about(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "bundle.json").read_text(encoding="utf-8"))
        return found


def _named(drawing: Drawing) -> Callable[[], bytes]:
    def read() -> bytes:
        out, words = io.BytesIO(), PngImagePlugin.PngInfo()
        words.add_text("Patient", PATIENT)
        drawing.image.save(out, "PNG", pnginfo=words)
        return out.getvalue()

    return read


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Made once for all processes of a test run: making it takes as long as fifty tests."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made"
    home, folder = place / "home", place / "bundle"
    with FileLock(f"{place}.lock"):
        if not folder.exists():
            _make(home, folder)
    lab = Lab(home, InProcessExecutor())
    return Made(lab, lab.store.runs()[0], folder)


def _make(home: Path, folder: Path) -> None:
    home.mkdir(parents=True)
    drawings = draw_shapes(60, seed=4, size=64, classes=DRAWN, groups=12)
    names = dict(zip(DRAWN, CLASSES, strict=True))
    candidates = [
        Candidate(
            f"{PATIENT}/{each.name}.png",
            _named(each),
            names[each.label],
            each.domain,
            f"{PATIENT} {each.group}",
        )
        for each in drawings
    ]
    lab = Lab(home, InProcessExecutor())
    manifest, problems = ingest(candidates, "Shapes", lab.library)
    assert not problems
    split = lab.library.add_split(make_split(manifest, "group", fractions=(0.5, 0.25, 0.25)))
    wishes = {"device": "cpu", "epochs": 3, "augment": "mirror", "test_views": True}
    run = lab.store.get(lab.start(make_spec(manifest, split, wishes), name="Shapes <b>by hand</b>").id)
    assert run.state == "done", run.error
    Wishes(thresholds={CLASSES[0]: 0.2}, refer_below=0.6, coverage=0.7).save(lab.store.folder(run.id))
    verdict = export_bundle(lab, run, folder, Options(images=True, int8=True), lambda *_: None)
    assert verdict.passed


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """A copy of the bundle, to be spoilt."""
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    """Change bundle.json, and let it list the files as they are now: damage that hashes do not tell."""
    path = folder / "bundle.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    about["files"] = {name: hash_file(folder / name) for name in about["files"]}
    change(about)
    path.write_text(json.dumps(about), encoding="utf-8")


def load_expected(folder: Path) -> np.ndarray:
    """The expected probabilities [n, classes] of a bundle."""
    cases = json.loads((folder / "golden" / "expected.json").read_text(encoding="utf-8"))["cases"]
    return np.array([each["probabilities"] for each in cases])
