"""One side of `engine.py`: measures one thing with whichever `transfer_core` stands first in PYTHONPATH, says it as JSON.

python benchmarks/engine_side.py frozen|train|click|predict HOME [name=value ...]
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.data.library import Library
from transfer_core.data.samples import add_solar_cells
from transfer_core.data.split import make_split
from transfer_core.models.cache import ActivationCache
from transfer_core.runs.lab import Lab
from transfer_core.training.events import Event, Stepped
from transfer_core.training.loop import Loop
from transfer_core.training.rules import make_spec
from transfer_core.training.setup import Setup, make_setup

PARTS = {"frozen": (0.2, 0.02, 0.78), "train": (0.04, 0.01, 0.95)}


def setup_for(home: Path, fractions: tuple[float, ...], stages: Any = None, **wishes: Any) -> Setup:
    """Put the parts of a run on the solar cells together, with an empty cache."""
    library = Library(home)
    manifest = library.get(library.datasets()[0].id) if library.datasets() else add_solar_cells(library)[0]
    split = library.add_split(make_split(manifest, fractions=fractions))
    spec = make_spec(manifest, split, {"device": "cpu", "patience": 0} | wishes)
    return make_setup(spec, library, ActivationCache(home / "cache"), stages=stages)


def drawn(backbone: str, stages: Any = None) -> Any:
    """Return random weights where a backbone's file is not here: the time is the same."""
    from transfer_core.models.backbones import get_backbone
    from transfer_core.models.loading import make_stages

    return None if backbone == "lite0" else make_stages(get_backbone(backbone))


def frozen(home: Path, backbone: str, cut: int) -> dict[str, float]:
    """Return the images a second of one pass over a fifth of the solar cells, read from the disk, into an empty cache."""
    strategy = {"strategy": "fine_tuning", "cut": cut} if cut < 9 and backbone == "lite0" else {}
    setup = setup_for(home, PARTS["frozen"], drawn(backbone), backbone=backbone, **strategy)
    engine(setup)
    images = setup.split.part("train")[: 512 if backbone == "lite0" else 192]
    for path in (home / "cache").glob("*/key.json"):
        shutil.rmtree(path.parent)
    with setup.activations(setup.spec.cut) as activations:
        activations.fill(images[-32:], 1)  # the first pass of a process sets up its kernels
        began = time.perf_counter()
        activations.fill(images[:-32], 1)
        seconds = time.perf_counter() - began
    return {"images a second": (len(images) - 32) / seconds}


def engine(setup: Setup) -> None:
    """Let given weights run as those from a file do."""
    from transfer_core.models import prefix

    if hasattr(prefix, "choose_engine"):
        setup.engine = prefix.choose_engine(setup.backbone, setup.device)


def train(home: Path, backbone: str, cut: int, epochs: int) -> dict[str, float]:
    """Return the images a second of training steps, and the memory after the first and the last epoch and at its peak."""
    setup = setup_for(
        home,
        PARTS["train"],
        drawn(backbone),
        backbone=backbone,
        strategy="fine_tuning",
        cut=cut,
        epochs=epochs,
    )
    engine(setup)
    told: list[Stepped] = []

    def emit(event: Event) -> None:
        if isinstance(event, Stepped):
            told.append(event)

    with tempfile.TemporaryDirectory() as folder:
        Loop(setup, Path(folder), emit, lambda: False).run()
    ends = [each for each in told if each.step == each.steps]
    return {
        "images a second": float(np.median([each.images_per_second for each in ends[1:]])),
        "MB after the first epoch": ends[0].load["memory_mb"],
        "MB after the last epoch": ends[-1].load["memory_mb"],
        "MB at the peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def click(home: Path) -> dict[str, float]:
    """Return the seconds from a click on the sample to a report, in an empty home: reading, splitting, a run of its own."""
    began = time.perf_counter()
    lab = Lab(home)
    manifest, _ = add_solar_cells(lab.library)
    split = lab.library.add_split(make_split(manifest))
    read = time.perf_counter() - began
    run = lab.start(make_spec(manifest, split, {"device": "cpu"}))
    while not lab.store.get(run.id).is_over:
        time.sleep(0.1)
    done = lab.store.get(run.id)
    assert done.state == "done", done.error
    assert done.result is not None
    return {
        "seconds": time.perf_counter() - began,
        "reading": read,
        "frozen part": done.result["seconds"]["cache"],
        "accuracy": done.result["test"]["accuracy"],
    }


def predict(home: Path, images: str) -> dict[str, float]:
    """Return the images a second of `transfer-lab predict` with the home's run."""
    from transfer_core.cli import main

    lab = Lab(home)
    out = io.StringIO()
    began = time.perf_counter()
    with contextlib.redirect_stdout(out):
        code = main(["predict", lab.store.runs()[0].id, images, "--json"])
    seconds = time.perf_counter() - began
    assert code == 0, out.getvalue()[:500]
    return {"images a second": len(list(Path(images).iterdir())) / seconds, "seconds": seconds}


KINDS: dict[str, Callable[..., dict[str, float]]] = {
    "frozen": frozen,
    "train": train,
    "click": click,
    "predict": predict,
}


def main() -> None:
    kind, home, *rest = sys.argv[1:]
    given = dict(each.split("=", 1) for each in rest)
    values = {name: int(value) if value.isdigit() else value for name, value in given.items()}
    print(json.dumps(KINDS[kind](Path(home), **values)))


if __name__ == "__main__":
    main()
