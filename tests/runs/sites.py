"""A home with a finished run, and what is asked of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import Lab as Bench
from tests.support import make_tiny
from transfer_core.runs import worker
from transfer_core.runs.lab import Lab
from transfer_core.runs.prediction_job import Job
from transfer_core.runs.prediction_jobs import PredictionJobs
from transfer_core.runs.prediction_worker import work_off
from transfer_core.runs.predictor import Predictor
from transfer_core.runs.run import Run
from transfer_core.runs.uploads import make_token, open_upload, receive
from transfer_core.training import setup

TORN = "torn.png"


class Site:
    """A home with a finished run of the tiny backbone, and what is asked of it."""

    def __init__(self, bench: Bench, **wishes: Any) -> None:
        self.lab = Lab(bench.home)
        self.jobs = PredictionJobs(bench.home)
        strategy = wishes.pop("strategy", "fine_tuning")
        run = self.lab.store.add_run(bench.spec(strategy, **({"cut": 2} | wishes)))
        worker.work(bench.home, run.id)
        self.run: Run = self.lab.store.get(run.id)
        assert self.run.state == "done", self.run.error
        self.predictor = Predictor(self.lab.store, self.run)

    def send(self, files: dict[str, bytes], name: str = "Line 3") -> Job:
        """Files as a browser sends them, and the question."""
        upload = open_upload(self.lab.home, make_token(self.lab.home))
        for path, data in files.items():
            with receive(upload, path, len(data)) as out:
                out.write(data)
        return self.jobs.add_upload(self.run.id, upload, name)

    def work(self, job: Job) -> Job:
        work_off(self.lab.home, job.id, lambda _: self.predictor)
        return self.jobs.get(job.id)


def make_site(lab: Bench, monkeypatch: pytest.MonkeyPatch, **wishes: Any) -> Site:
    monkeypatch.setattr(setup, "find_weights", lambda *_: None)
    monkeypatch.setattr(setup, "load_backbone", lambda *_: make_tiny())
    monkeypatch.setattr(PredictionJobs, "_start_process", lambda _: pytest.fail("a process was started"))
    monkeypatch.setattr(worker, "dispatch", lambda *_: None)
    return Site(lab, **wishes)
