"""Fifty thousand images: in bounded memory, on all cores, and to be looked at without waiting.

    uv run python benchmarks/ingest.py

Draws 50,000 different PNGs of 160 px as class folders, then ingests them in a fresh process and reports its peak
memory, with that of the processes that help it, over that of the same process before the first image. In turn with it, three times, because a machine's pace
changes within minutes: a plain loop in a process of its own over a tenth of them that does the same work (read, hash, decode, thumbnail, store) with the
same functions, one image after the other. Both are timed from the first image on, when the folder has been listed; ours to the end of its manifest on the
disk, the loop without waiting for the disk. Then the Data page with them, in a fresh process too: how long the server takes until it is there.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import Check, finish
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

N = 50_000
EDGE = 160
TENTH = 10
TURNS = 3
MEMORY = "memory over baseline MB"


def draw(folder: Path) -> None:
    """Write N noisy pictures in two class folders."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 64, (EDGE, EDGE, 3), dtype=np.uint8)
    for number in range(N):
        target = folder / f"site{number % 3}" / "abcde"[number % 5] / f"part{number // 10}_{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        rough = rng.integers(0, 192, (10, 10, 3), dtype=np.uint8)  # no two look alike
        picture = np.kron(rough, np.ones((EDGE // 10, EDGE // 10, 1), np.uint8)) + noise
        Image.fromarray(picture).save(target, compress_level=1)


def child(source: Path, home: Path) -> None:
    """Ingest and print what it took; runs in a process of its own."""
    from transfer_core.data.crew import MOST, count_cores
    from transfer_core.data.ingest import ingest
    from transfer_core.data.library import Library
    from transfer_core.data.sources import open_source

    ticks: list[int] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    candidates, problems = open_source(source)
    started = time.perf_counter()
    manifest, _ = ingest(
        candidates, "many", Library(home), problems=problems, progress=lambda n, _: ticks.append(n)
    )
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hand = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest process that helped
    result = {
        "images": len(manifest.rows),
        "seconds": time.perf_counter() - started,
        MEMORY: (after - before + hand * min(count_cores(), MOST)) / 1024,  # kilobytes on Linux
        "progress calls": len(ticks),
    }
    print(json.dumps(result))


def check(_: Path, home: Path) -> None:
    """Look through the images as the server does beside everything else once they are there."""
    from transfer_core.data.alike import get_alike
    from transfer_core.data.health import get_findings, measure_all
    from transfer_core.data.library import Library

    library = Library(home)
    manifest = library.get(library.datasets()[0].id)
    measure_all(library, manifest)
    get_alike(library, manifest)
    get_findings(library, manifest)
    print("{}")


def look(_: Path, home: Path) -> None:
    """Open the Data page from Start, for the first time since the server is up, and use it: the seconds it took."""
    import os

    from streamlit.testing.v1 import AppTest

    os.environ["TRANSFER_LAB_HOME"] = str(home)
    page = AppTest.from_file(str(Path(__file__).parents[1] / "pages" / "main.py"), default_timeout=300)
    page.run()  # Start, where everybody comes from
    page.switch_page("study/data.py")
    found = {}

    def timed(what: str, act: Callable[[], AppTest]) -> None:
        started = time.perf_counter()
        shown = act()
        found[f"{what}, s"] = time.perf_counter() - started
        assert not shown.exception, shown.exception

    timed("first opening", page.run)
    timed("opening again", page.run)
    timed("another class", lambda: page.selectbox[0].set_value("c").run())
    page.switch_page("study/split.py")
    timed("split", page.run)
    print(json.dumps(found))


def meanwhile(source: Path, home: Path) -> None:
    """Open Start again and again while the same process, as the server does, reads a part of the images."""
    import os

    from streamlit.testing.v1 import AppTest

    from transfer_core.data.library import Library
    from transfer_core.runs.intake import Intake

    home.mkdir()
    os.environ |= {"TRANSFER_LAB_HOME": str(home), "TRANSFER_LAB_FOLDERS": str(source)}
    page = AppTest.from_file(str(Path(__file__).parents[1] / "pages" / "main.py"), default_timeout=300)

    def open_start() -> float:
        started = time.perf_counter()
        assert not page.run().exception
        return time.perf_counter() - started

    open_start()
    before = statistics.median(open_start() for _ in range(20))
    arrival = Intake(Library(home)).add_folder(source / "site0")
    took = []
    while not arrival.is_over:
        took.append(open_start())
        time.sleep(0.2)
    assert arrival.dataset, arrival.error
    found = {"page, s": before, "while reading, s": statistics.median(took), "slowest, s": max(took)}
    print(json.dumps(found))


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
        {"child": child, "loop": loop, "check": check, "look": look, "meanwhile": meanwhile}[sys.argv[1]](
            Path(sys.argv[2]), Path(sys.argv[3])
        )
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "source")

        def run(what: str, home: str) -> dict[str, float]:
            command = [sys.executable, __file__, what, str(folder / "source"), str(folder / home)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found: dict[str, float] = json.loads(told)
            return found

        loops, turns = [run("loop", "loop0")], []
        for turn in range(TURNS):
            turns.append(run("child", f"home{turn}"))
            loops.append(run("loop", f"loop{turn + 1}"))
        paces = [each["loop, images per second"] for each in loops]
        ours = [each["images"] / each["seconds"] for each in turns]
        row = turns[0] | {"images": min(each["images"] for each in turns)}
        row[MEMORY] = max(each[MEMORY] for each in turns)
        row |= {"loop, images per second": statistics.mean(paces), "images per second": statistics.mean(ours)}
        for turn, pace in enumerate(ours):
            row[f"times faster, turn {turn + 1}"] = pace / statistics.mean(paces[turn : turn + 2])
        row["times faster"] = row["images per second"] / row["loop, images per second"]
        run("check", "home0")
        row |= run("look", "home0") | run("meanwhile", "again")
    checks = [
        Check("images taken in", row["images"], N),
        Check("memory over baseline, MB", row[MEMORY], 1500, at_least=False),
        Check("times faster than a loop", row["times faster"], 1.5),
        Check("progress calls", row["progress calls"], N),
        Check("slowest page while images are read, seconds", row["slowest, s"], 2.0, at_least=False),
        Check("Data page, first opening, seconds", row["first opening, s"], 2.0, at_least=False),
    ]
    finish("ingest", [row], checks)


if __name__ == "__main__":
    main()
