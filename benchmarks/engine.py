"""What the processor is used for: frozen pass, training, prediction and the first answer, beside an earlier commit.

    uv run python benchmarks/engine.py [--only frozen|train|click|predict] [--rounds 3] [--against 9fcc83e]

The earlier commit stands in a worktree beside this one and is started as a user starts it; both sides take turns, each
time in a process of their own, and their medians are compared. Random weights stand in for those of ResNet-50: the
time is the same. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Check, finish

sys.path.insert(0, str(Path(__file__).parents[1]))

from sample_data.shapes import draw_shapes

ROOT = Path(__file__).parents[1]
IMAGES = 2000  # that are predicted
SIDE = Path(__file__).parent / "engine_side.py"
# name -> (kind, its values, the figure that is compared, ratio to reach)
MEASURES: dict[str, tuple[str, dict[str, Any], str, float]] = {
    "frozen pass, lite0, 9 stages": ("frozen", {"backbone": "lite0", "cut": 9}, "images a second", 2.3),
    "frozen pass, lite0, 6 stages": ("frozen", {"backbone": "lite0", "cut": 6}, "images a second", 2.7),
    "frozen pass, ResNet-50": ("frozen", {"backbone": "resnet50", "cut": 6}, "images a second", 1.2),
    "training, lite0, all free": (
        "train",
        {"backbone": "lite0", "cut": 0, "epochs": 4},
        "images a second",
        1.4,
    ),
    "training, ResNet-50, all free": (
        "train",
        {"backbone": "resnet50", "cut": 0, "epochs": 3},
        "images a second",
        1.8,
    ),
    "from the click to the first answer": ("click", {}, "seconds", 2.0),
    "predict 2,000 images": ("predict", {}, "images a second", 2.0),
}


def measure(tree: Path, home: Path, kind: str, values: dict[str, Any]) -> dict[str, float]:
    """Return what one side says, in a process of its own that finds its code in `tree`."""
    given = [f"{name}={value}" for name, value in values.items()]
    done = subprocess.run(
        [sys.executable, str(SIDE), kind, str(home), *given],
        env=os.environ | {"PYTHONPATH": str(tree), "TRANSFER_LAB_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        cwd=tree,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(name: str, trees: dict[str, Path], folder: Path, rounds: int) -> dict[str, Any]:
    """Return the medians of both sides, which take turns, and the median ratio of the turns."""
    kind, values, figure, _ = MEASURES[name]
    found: dict[str, list[dict[str, float]]] = {side: [] for side in trees}
    if kind == "predict":
        for side, tree in trees.items():
            measure(tree, folder / f"{side}-predict", "click", {})
        values = {"images": str(draw(folder / "images"))}
    for turn in range(rounds):
        for side, tree in trees.items():
            home = folder / (f"{side}-{kind}-{turn}" if kind == "click" else f"{side}-{kind}")
            home.mkdir(exist_ok=True)
            found[side].append(measure(tree, home, kind, values))
            print(name, side, found[side][-1], flush=True)
    row: dict[str, Any] = {"what": name}
    for side, turns in found.items():
        for each in turns[0]:
            row[f"{each} ({side})"] = statistics.median(turn[each] for turn in turns)
    pairs = zip(found["today"], found["now"], strict=True)
    ratios = [now[figure] / today[figure] for today, now in pairs]
    row["ratio"] = statistics.median(1 / each if figure == "seconds" else each for each in ratios)
    return row


def draw(folder: Path) -> Path:
    """Return a folder with images to be predicted, as large as the sample's."""
    if not folder.exists():
        folder.mkdir()
        for number, each in enumerate(
            draw_shapes(IMAGES, seed=5, size=300, classes=("disc-solid", "star-dotted"))
        ):
            each.image.save(folder / f"{number:04d}.png")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="measures whose name holds this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", default="9fcc83e", help="a commit, or a folder with its files")
    options = parser.parse_args()
    rows, checks = [], []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder, old = Path(name), Path(options.against)
        if not old.is_dir():
            old = folder / "today"
            subprocess.run(["git", "worktree", "add", "--detach", old, options.against], cwd=ROOT, check=True)
        try:
            for what, (_, _, _, wanted) in MEASURES.items():
                if options.only in what:
                    row = compare(what, {"today": old, "now": ROOT}, folder, options.rounds)
                    checks.append(Check(what, row["ratio"], wanted))
                    rows.append({"what": what, "ratio": row["ratio"], "wanted": wanted, "found": row})
        finally:
            if old.is_relative_to(folder):
                subprocess.run(["git", "worktree", "remove", "--force", old], cwd=ROOT, check=True)
    print(f"{time.monotonic() - began:.0f} s")
    for row in rows:
        print(
            {
                key: round(value, 4) if isinstance(value, float) else value
                for key, value in row["found"].items()
            }
        )
    finish(
        f"engine-{options.only}" if options.only else "engine",
        [{key: row[key] for key in ("what", "ratio", "wanted")} | {"figures": row["found"]} for row in rows],
        checks,
    )


if __name__ == "__main__":
    main()
