"""Fifty thousand images in bounded memory, on all cores.

    uv run python benchmarks/ingest.py

Draws 50,000 different PNGs of 160 px as class folders, then ingests them in a fresh process and reports its peak
memory, with that of the processes that help it, over that of the same process before the first image. Beside it, in a process of its own, a plain loop over
a tenth of them that does the same work with the same functions, one image after the other.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Check, finish
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

N = 50_000
EDGE = 160
TENTH = 10


def draw(folder: Path) -> None:
    """Write N noisy pictures in two class folders."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (EDGE, EDGE, 3), dtype=np.uint8)
    for number in range(N):
        target = folder / ("a" if number % 2 else "b") / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        picture = np.roll(base, (number % EDGE, number // EDGE), axis=(0, 1))
        picture[0, :4, 0] = list(number.to_bytes(4, "little"))  # no two alike
        Image.fromarray(picture).save(target, compress_level=1)


def child(source: Path, home: Path) -> None:
    """Ingest and print what it took; runs in a process of its own."""
    from transfer_core.data.crew import MOST, count_cores
    from transfer_core.data.ingest import ingest
    from transfer_core.data.library import Library
    from transfer_core.data.sources import open_source

    ticks: list[int] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    candidates, problems = open_source(source)
    manifest, _ = ingest(
        candidates, "many", Library(home), problems=problems, progress=lambda n, _: ticks.append(n)
    )
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hand = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest process that helped
    result = {
        "images": len(manifest.rows),
        "seconds": time.perf_counter() - started,
        "memory over baseline MB": (after - before + hand * min(count_cores(), MOST))
        / 1024,  # kilobytes on Linux
        "progress calls": len(ticks),
    }
    print(json.dumps(result))


def loop(source: Path, home: Path) -> None:
    """Do the same with a tenth of the images, one after the other."""
    from transfer_core.data.ingest import take
    from transfer_core.data.library import Library
    from transfer_core.data.manifest import Reading
    from transfer_core.data.sources import open_source

    library, reading = Library(home), Reading()
    candidates = open_source(source)[0][::TENTH]
    started = time.perf_counter()
    for each in candidates:
        take(library, reading, each)
    print(json.dumps({"loop, images per second": len(candidates) / (time.perf_counter() - started)}))


def main() -> None:
    if len(sys.argv) == 4:
        {"child": child, "loop": loop}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "source")
        row = {}
        for what in ("loop", "child"):
            command = [sys.executable, __file__, what, str(folder / "source"), str(folder / what)]
            row |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        row["images per second"] = row["images"] / row["seconds"]
        row["times faster"] = row["images per second"] / row["loop, images per second"]
    checks = [
        Check("images taken in", row["images"], N),
        Check("memory over baseline, MB", row["memory over baseline MB"], 1500, at_least=False),
        Check("times faster than a loop", row["times faster"], 1.5),
        Check("progress calls", row["progress calls"], N),
    ]
    finish("ingest", [row], checks)


if __name__ == "__main__":
    main()
