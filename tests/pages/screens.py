"""A home in any state a page may find, built without training; and pages as a user without a browser sees them."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from sample_data.shapes import Drawing, draw_shapes
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split, make_split
from transfer_core.evaluation.report import Report
from transfer_core.files import write_json
from transfer_core.runs.answers import Answer
from transfer_core.runs.lab import Lab
from transfer_core.runs.prediction_job import Job
from transfer_core.runs.prediction_jobs import PredictionJobs
from transfer_core.runs.store import Run, RunStore
from transfer_core.training.events import EpochEnded, Event, Noted, PhaseStarted, Stepped
from transfer_core.training.rules import make_spec

MAIN = Path(__file__).parents[2] / "pages" / "main.py"
PAGES = (
    "study/home.py", "study/data.py", "study/split.py", "train/new_run.py", "train/live.py", "results/runs.py",
    "results/report.py", "results/explain.py", "results/decide.py", "results/compare.py", "results/predict.py",
    "results/take_home.py",
)  # fmt: skip
CALLS_OUT = "![x](http://evil.example/p.png)"  # a name that would fetch a picture, were it taken for markdown


@dataclass
class Study:
    """One home folder, with what a test puts into it."""

    home: Path
    choices: dict[str, Any] = field(default_factory=lambda: {"rule": "image"})  # of the split of new runs
    started: list[str] = field(default_factory=list)  # runs for which a worker would have been started
    drawn: bool = False  # whether reports hold probabilities as various as real ones
    silent: str = ""  # a class that is never said then

    @property
    def library(self) -> Library:
        return Library(self.home)

    @property
    def store(self) -> RunStore:
        return RunStore(self.home)

    @property
    def lab(self) -> Lab:
        return Lab(self.home)

    @property
    def manifest(self) -> Manifest:
        return self.library.get(self.library.datasets()[0].id)

    def images(self) -> set[str]:
        """The names of the image files that are there."""
        return {path.name for path in (self.home / "images").glob("*/*")}

    def split(self, **choices: Any) -> Split:
        """The split of the newest data set that these choices make, stored."""
        return self.library.add_split(make_split(self.manifest, **choices))

    def queued(self, name: str = "", **wishes: Any) -> Run:
        """A run that waits."""
        split = self.split(**self.choices)
        spec = make_spec(self.manifest, split, {"device": "cpu", "epochs": 4} | wishes)
        return self.store.add_run(spec, name=name)

    def running(self, name: str = "", epochs: int = 2, **wishes: Any) -> Run:
        """A run whose worker has done some epochs."""
        run = self.store.claim(self.queued(name, **wishes).id)
        assert run is not None
        events: list[Event] = [PhaseStarted("linear probe", 1, 1, run.spec.cut, 3843, 0)]
        for epoch in range(1, epochs + 1):
            figures = {"loss": 1.0 / epoch, "accuracy": 1 - 0.5 / epoch}
            target = {f"share {name}": 1 / len(self.manifest.classes) for name in self.manifest.classes}
            told: dict[str, Any] = {}
            trained = dict(figures)
            if self.choices["rule"] == "transfer":
                told = {
                    "target": target,
                    "facts": {"domain accuracy": 0.9 - 0.1 * epoch, "lambda": 0.4 * epoch},
                }
                trained |= {"cross-entropy": 1.0 / epoch, "domain": 0.3 * epoch}
            events.append(
                Stepped(
                    epoch, 2, 2, 1.0 / epoch, 321.0, {"cpu_percent": 42.0, "memory_mb": 900.0}, epoch / 5, 9.0
                )
            )
            events.append(EpochEnded(epoch, 4, trained, figures, 1e-3, 2.0 * epoch, best=True, **told))
        self.store.add_events(run.id, run.attempt, events)
        return self.store.get(run.id)

    def stopping(self, name: str = "") -> Run:
        """A run that was asked to stop."""
        run = self.running(name)
        self.store.request_stop(run.id)
        return self.store.get(run.id)

    def ended(self, state: str = "done", name: str = "", *, error: str | None = None, wrong: int = 3,
              val: float = 0.75, result: bool = True, **wishes: Any) -> Run:  # fmt: skip
        """A run that is over, with a report that has `wrong` mistakes unless `result` is False; `val`: validation accuracy."""
        run = self.running(name, **wishes)
        figures = self.report(run, wrong, val) if result else None
        if state == "lost":
            assert self.store.mark_lost(run.id, run.attempt, run.beat)
        else:
            self.store.finish(run.id, run.attempt, state, error=error, best=val, result=figures)
        return self.store.get(run.id)

    def finish(self, run: Run, test: dict[str, Any]) -> None:
        """End a run that waits, with these figures on its unseen images."""
        claimed = self.store.claim(run.id)
        assert claimed is not None
        self.store.finish(run.id, claimed.attempt, "done", best=0.5, result={"test": test})

    def predicted(self, run: Run, answers: Sequence[Answer], state: str = "done", **facts: Any) -> Job:
        """What came, or so far, of images that somebody asked a run about."""
        jobs = PredictionJobs(self.home)
        job = Job(uuid.uuid4().hex[:12], run.id, facts.pop("name", "Line 3"), time.time())
        (jobs.place(job.id) / "pictures").mkdir(parents=True)
        write_json(
            jobs.place(job.id) / "job.json",
            {"id": job.id, "run": job.run, "name": job.name, "created": job.created},
        )
        lines = [json.dumps(each.to_json()) + "\n" for each in answers]
        (jobs.place(job.id) / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
        picture = png(draw_shapes(1, size=32)[0])
        for row in range(len(answers)):
            jobs.picture(job.id, row).write_bytes(picture)
        problems = sum(bool(each.problem) for each in answers)
        told = {
            "done": len(answers),
            "total": len(answers),
            "problems": problems,
            "fitted_on": 400,
            "tried": 1,
        } | facts
        jobs.write(replace(job, state=state, **told))
        return jobs.get(job.id)

    def note(self, run: Run, text: str) -> None:
        """Something the worker says."""
        self.store.add_events(run.id, run.attempt, [Noted(text)])

    def _draw(self, chances: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(7)
        mixed = 0.35 * chances + 0.65 * rng.dirichlet(np.ones(chances.shape[1]), len(chances))
        if self.silent:
            mixed[:, self.manifest.classes.index(self.silent)] *= 1e-3
        return np.asarray(mixed / mixed.sum(1, keepdims=True), np.float32)

    def report(self, run: Run, wrong: int, val: float = 0.75) -> dict[str, Any]:
        manifest = self.library.get(run.manifest)
        split = self.library.get_split(run.manifest, run.spec.split)
        numbers = {name: index for index, name in enumerate(manifest.classes)}
        images = tuple(row.image for row in manifest.rows)
        parts = tuple(split.assignment.get(image, "unlabelled") for image in images)
        chances = np.full((len(images), len(numbers)), 0.1 / (len(numbers) - 1), np.float32)
        for index, (row, part) in enumerate(zip(manifest.rows, parts, strict=True)):
            said = numbers.get(row.label or "", 0)
            if part == "test" and wrong > 0:
                said, wrong = (said + 1) % len(numbers), wrong - 1
            chances[index, said] = 0.9
        if self.drawn:
            chances = self._draw(chances)
        about = {
            "selection_rule": "lowest validation loss, ties to the earlier epoch",
            "best_epoch": 2, "epoch": 2, "epochs": 4, "reason": "finished", "stored": 9,
            "val": {"loss": 0.5, "accuracy": val, "balanced_accuracy": val},
            "environment": {"python": "3", "device": "cpu"},
        }  # fmt: skip
        report = Report(manifest, images, parts, chances, split.keeps_groups(manifest), about)
        folder = self.store.folder(run.id)
        folder.mkdir(parents=True, exist_ok=True)
        report.save(folder)
        seconds = {"total": 12.0, "cache": 6.0, "train": 4.0}
        figures = {**about, "seconds": seconds, "test": report.metrics().to_json()}
        if split.rule == "transfer":
            figures["test_transductive"] = report.metrics("test", "target_train").to_json()
            shares = {f"share {name}": 1 / len(numbers) for name in numbers}
            figures["target"] = {
                "information_maximisation": 0.31,
                "soft_neighbourhood_density": 3.2,
                "class_share_agreement": 0.9,
                **shares,
            }
            figures["oracle"] = {"epoch": 1, "balanced_accuracy": 0.8, "chosen": 0.7, "images": 20}
        return figures


def bring(home: Path, drawings: Sequence[Drawing], name: str = "Shapes") -> Manifest:
    """Put drawings into the library as if they had been uploaded."""

    candidates = [
        Candidate(f"{each.name}.png", partial(png, each), each.label, each.domain, each.group)
        for each in drawings
    ]
    return ingest(candidates, name, Library(home))[0]


def png(drawing: Drawing) -> bytes:
    """A drawing as a file's content."""
    out = io.BytesIO()
    drawing.image.save(out, "PNG")
    return out.getvalue()


def named(drawings: Sequence[Drawing], names: Sequence[str]) -> list[Drawing]:
    """Drawings whose classes have other names."""
    old = sorted({each.label for each in drawings})
    after = dict(zip(old, names, strict=True))
    return [replace(each, label=after[each.label]) for each in drawings]


def show(page: str, state: dict[str, Any] | None = None, at: AppTest | None = None, **link: str) -> AppTest:
    """Open a page by a link, with something already in the session where a test needs it."""
    if at is None:
        at = AppTest.from_file(str(MAIN), default_timeout=60)
        if page in ("train/new_run.py", "results/take_home.py"):
            at.run()  # a page with an address of its own is known only after the first run
    # A reload or a link starts from the URL alone, without what was chosen before.
    for key in ("chosen-data", "chosen-split", "chosen-run"):
        if key in at.session_state:
            del at.session_state[key]
    at.query_params.clear()
    for key, value in (state or {}).items():
        at.session_state[key] = value
    for key, value in link.items():
        at.query_params[key] = value
    at.switch_page(page).run()
    assert not at.exception, [each.value for each in at.exception]
    return at


def link_of(at: AppTest, key: str) -> str:
    """What the address says of data, split or run; nothing where it is silent."""
    value = at.query_params.get(key, "")
    return value if isinstance(value, str) else value[0]


_PLAIN = {
    "selectbox", "multiselect", "dataframe", "text_input", "text_area", "plotly_chart", "image", "bidi_component",
}  # fmt: skip


def words(at: AppTest) -> str:
    """Everything on the screen that a user reads, charts and tables left out."""
    found: list[str] = []
    for node in [*at.main, *at.sidebar]:
        found += [
            str(getattr(node, name)) for name in ("label", "value", "body", "text") if hasattr(node, name)
        ]
    return "\n".join(found)


def curves(at: AppTest) -> list[dict[str, tuple[list[float | None], list[float | None]]]]:
    """Of every chart that grows, its curves by name: x and y."""
    charts = [json.loads(each.proto.json) for each in at.get("bidi_component") if each.proto.json]
    return [
        {each["name"]: (each["x"], each["y"]) for each in chart["lines"] if "markers" in each["mode"]}
        for chart in charts
    ]


def marked_up(at: AppTest) -> str:
    """Everything that the browser takes for markdown or HTML, as it is sent."""
    return "\n".join(
        str(node.proto) for node in [*at.main, *at.sidebar]
        if getattr(node, "proto", None) is not None and node.type not in _PLAIN
    )  # fmt: skip


def button(at: AppTest, label: str) -> Any:
    """The one button with this label."""
    found = [each for each in at.button if each.label == label]
    assert len(found) == 1, f"{len(found)} buttons {label!r} among {[each.label for each in at.button]}"
    return found[0]


def widget(kind: Any, label: str) -> Any:
    """The one widget with a label."""
    (found,) = [each for each in kind if each.label.partition(" (")[0] == label]
    return found


def tick(at: AppTest, row: int) -> AppTest:
    """Tick a row of the first table, as a click on it does."""
    at.session_state[at.dataframe[0].key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return at.run()


def labels(at: AppTest) -> list[str]:
    """The labels of all buttons."""
    return [each.label for each in at.button]


def follow(at: AppTest, label: str, page: str) -> None:
    """Click a button that leads to another page, and stay there, as a browser does."""
    button(at, label).click().run()
    assert not at.exception
    at.switch_page(page)
