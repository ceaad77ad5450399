"""How long the Report and Decide pages take with 50,000 unseen images: server time, without a browser.

Run: uv run python benchmarks/report.py
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import Check, finish

from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Row
from transfer_core.data.split import make_split
from transfer_core.evaluation.report import Report
from transfer_core.runs.store import RunStore
from transfer_core.training.rules import make_spec

sys.path.insert(0, str(Path(__file__).parents[1]))

N, TESTED = 60_000, 50_000
CLASSES = ("crack", "good", "scratch", "stain")
GROUPS = 2_000


def make_run(home: Path) -> str:
    """Put a run with a report into a home: rows without images, probabilities that are right in 85 of 100 cases."""
    rng = np.random.default_rng(0)
    truth = rng.choice(4, N, p=[0.1, 0.6, 0.2, 0.1])
    rows = tuple(
        Row(f"{i:064x}", f"{i:064x}", f"part-{i}.png", 640, 480, CLASSES[truth[i]], domain=f"line {i % 3}",
            group=f"batch-{i % GROUPS}")
        for i in range(N)
    )  # fmt: skip
    library, store = Library(home), RunStore(home)
    manifest = library.add(Manifest("Parts", CLASSES, rows))
    drawn = make_split(manifest, "group", fractions=(0.1, 0.07, 0.83))
    split = library.add_split(drawn)
    said = np.where(rng.random(N) < 0.85, truth, rng.integers(0, 4, N))
    logits = rng.normal(0, 1, (N, 4))
    logits[np.arange(N), said] += 3
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    run = store.add_run(replace(make_spec(manifest, split, {"device": "cpu"})), name="Parts")
    claimed = store.claim(run.id)
    assert claimed is not None
    about = {
        "selection_rule": "lowest validation loss", "best_epoch": 2, "epoch": 2, "epochs": 4, "reason": "finished",
        "stored": 9, "val": {"loss": 0.5, "accuracy": 0.85}, "environment": {"device": "cpu"},
    }  # fmt: skip
    images = tuple(row.image for row in manifest.rows)
    place = {row.image: index for index, row in enumerate(rows)}
    report = Report(
        manifest, images, tuple(split.assignment[image] for image in images),
        chances[[place[image] for image in images]].astype(np.float32), split.keeps_groups(manifest), about,
    )  # fmt: skip
    folder = store.folder(run.id)
    folder.mkdir(parents=True, exist_ok=True)
    report.save(folder)
    seconds = {"total": 12.0, "cache": 6.0, "train": 4.0}
    result = {**about, "seconds": seconds, "test": report.metrics().to_json()}
    store.finish(run.id, claimed.attempt, "done", best=0.85, result=result)
    return run.id


def note_headline() -> list[float]:
    """Return a list that gets the time at which the Report page has shown its headline: its first content."""
    from pages.ui import headline

    shown: list[float] = []
    show = headline.show_headline

    def noted(*of: Any) -> None:
        show(*of)
        shown.append(time.perf_counter())

    headline.show_headline = noted  # type: ignore[assignment]
    return shown


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        run = make_run(home)
        os.environ["TRANSFER_LAB_HOME"] = str(home)
        for module in (
            "pandas",
            "plotly.graph_objects",
        ):  # what any page with a table or a chart imports, once a server
            importlib.import_module(module)
        from streamlit.testing.v1 import AppTest

        page = AppTest.from_file(str(Path(__file__).parents[1] / "pages" / "main.py"), default_timeout=300)
        page.run()

        def timed(what: str) -> float:
            started = time.perf_counter()
            page.run()
            assert not page.exception, (what, [each.value for each in page.exception])
            return time.perf_counter() - started

        page.query_params["run"] = run
        page.switch_page("results/report.py")
        began, shown = time.perf_counter(), note_headline()
        row = {"images": TESTED, "report, first, s": timed("report")}
        row["report, headline, s"] = shown[0] - began
        row["report, again, s"] = timed("again")
        interactions = {
            "a cell": {"label": "crack", "said": "good"}, "a class": {"label": "good"},
            "a group": {"group": "batch-7"}, "a domain": {"domain": "line 1"},
        }  # fmt: skip
        for what, which in interactions.items():
            page.session_state[f"opened-{run}"] = which
            row[f"report, {what}, s"] = timed(what)
        page.session_state["ranking"] = True
        page.switch_page("results/decide.py")
        row["decide, first, s"] = timed("decide")
        slider = next(each for each in page.slider if each.label.startswith("Sent to a person"))
        slider.set_value(0.6)
        row["decide, slider, s"] = timed("slider")
    slowest = max(
        value
        for key, value in row.items()
        if key.endswith(", s") and "first" not in key and "headline" not in key
    )
    checks = [
        Check("report, first content, seconds", row["report, headline, s"], 2.0, at_least=False),
        Check("slowest interaction, seconds", slowest, 1.0, at_least=False),
    ]
    finish("report", [row], checks)


if __name__ == "__main__":
    main()
