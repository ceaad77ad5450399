"""A real process that predicts, really killed: another goes on, and every image is there once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import png
from tests.support import candidates
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.split import make_split
from transfer_core.runs.executors import InProcessExecutor
from transfer_core.runs.helper import Helper
from transfer_core.runs.lab import Lab
from transfer_core.runs.prediction_job import Job
from transfer_core.runs.prediction_jobs import PredictionJobs
from transfer_core.runs.predictor import Predictor
from transfer_core.runs.run import Run
from transfer_core.runs.uploads import make_token, open_upload, receive
from transfer_core.training.rules import make_spec

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")]
LONGEST = 200.0  # seconds
MODULE = "transfer_core.runs.prediction_worker"


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.fixture
def run(home: Path) -> Run:
    drawings = draw_shapes(60, seed=3, size=48, classes=("disc-solid", "cross-outline"))
    manifest, _ = ingest(candidates(drawings), "Shapes", Library(home))
    split = Library(home).add_split(make_split(manifest))
    lab = Lab(home, InProcessExecutor())
    run = lab.start(make_spec(manifest, split, {"device": "cpu", "epochs": 2}))
    return lab.store.get(run.id)


def send(home: Path, run: Run, files: dict[str, bytes]) -> Job:
    upload = open_upload(home, make_token(home))
    for name, data in files.items():
        with receive(upload, name, len(data)) as out:
            out.write(data)
    return PredictionJobs(home).add_upload(run.id, upload, "many")


def workers(home: Path) -> list[psutil.Process]:
    return [
        each for each in psutil.process_iter(["cmdline"])
        if MODULE in (each.info["cmdline"] or []) and str(home) in each.info["cmdline"]
    ]  # fmt: skip


def test_a_killed_process_is_followed_by_another(home: Path, run: Run) -> None:
    files = {f"{n:03d}.png": png(each) for n, each in enumerate(draw_shapes(160, seed=5, size=64))}
    job = send(home, run, files)
    jobs = PredictionJobs(home)
    jobs.start(job)
    until(lambda: jobs.get(job.id).done >= 32, "it did not begin")
    (process,) = workers(home)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(jobs.answers(job.id))
    assert not jobs.get(job.id).is_over
    assert 32 <= before < len(files)
    later = PredictionJobs(home)  # as after the server was started anew
    until(lambda: (later.look(), bool(workers(home)))[1], "no other process was started")
    until(lambda: later.get(job.id).is_over, "it did not end")
    ended = later.get(job.id)
    assert (ended.state, ended.done, ended.problems, ended.tried) == ("done", 160, 0, 0)
    answers = later.answers(job.id)
    assert [each.file for each in answers] == sorted(files)
    predictor = Predictor(Lab(home).store, run)
    for each in answers[::13]:
        alone = predictor.predict_bytes(each.file, files[each.file]).probabilities
        np.testing.assert_allclose(each.probabilities, list(alone.values()), atol=1e-5)
    assert not (later.place(job.id) / "upload").exists()
    until(lambda: not workers(home), "the process did not end")


def test_the_helper_works_off_a_few_and_answers_others(home: Path, run: Run) -> None:
    files = {f"{n}.png": png(each) for n, each in enumerate(draw_shapes(3, seed=5, size=64))}
    job = send(home, run, files)
    jobs, helper = PredictionJobs(home), Helper(home)
    try:
        jobs.start(job, helper)
        until(lambda: jobs.get(job.id).is_over, "it did not end")
        said = helper.predict(run.id, files)["predictions"]
        for each, alone in zip(jobs.answers(job.id), said, strict=True):
            np.testing.assert_allclose(each.probabilities, list(alone["probabilities"].values()), atol=1e-6)
        assert workers(home) == []
    finally:
        helper.close()
