"""Images that were sent to be looked at are kept until they were, whoever is killed on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runs.sites import Site
from transfer_core.runs import predict_many as predict_many_module
from transfer_core.runs import prediction_jobs, prediction_worker
from transfer_core.runs.prediction_jobs import TRIES, PredictionJobs
from transfer_core.runs.unread import find_unread, mark_whole
from transfer_core.runs.uploads import Upload, make_token, open_upload, receive


def test_only_starts_that_got_no_further_count_and_the_images_stay(
    site: Site, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever works on it dies as soon as it got further, then without; given up, it goes on when somebody says so."""

    class Killed(BaseException):
        """Stands for `kill -9`."""

    several, asked = prediction_worker.predict_many, site.send(files)

    def further_then_dead(*arguments: Any) -> Iterator[Any]:
        yield next(iter(several(*arguments)))
        raise Killed

    def dead(*_: Any) -> Iterator[Any]:
        raise Killed

    def die(how: Any) -> int:
        monkeypatch.setattr(prediction_worker, "predict_many", how)
        with pytest.raises(Killed):
            site.work(asked)
        return site.jobs.get(asked.id).tried

    monkeypatch.setattr(predict_many_module, "BATCH", 4)
    assert [die(dead) for _ in range(TRIES)] == [1, 2, 3]
    site.jobs.write(replace(site.jobs.get(asked.id), tried=TRIES - 1))
    assert [die(further_then_dead) for _ in range(TRIES + 2)] == [0] * (TRIES + 2)
    done = site.jobs.get(asked.id).done
    assert [die(dead) for _ in range(TRIES)] == [1, 2, 3]
    given_up = site.work(asked)
    assert (given_up.state, "The images are kept: try again" in given_up.error) == ("failed", True)
    PredictionJobs(site.lab.home).sweep()  # as at the start of a server
    started: list[str] = []
    monkeypatch.setattr(site.jobs, "_start_process", lambda: started.append("process"))
    site.jobs.retry(site.jobs.get(asked.id))
    assert (started, site.jobs.get(asked.id).done) == (["process"], done)
    monkeypatch.setattr(prediction_worker, "predict_many", several)
    ended = site.work(asked)
    assert (ended.state, ended.problems) == ("done", 2)
    assert sorted(each.file for each in site.jobs.answers(asked.id)) == sorted(files)
    assert not (site.jobs.place(asked.id) / "upload").exists()


def test_cut_off_between_an_upload_and_a_job_it_is_one_of_both(
    site: Site, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is killed before or after the files moved: they are still an upload, or become the job."""

    class Killed(BaseException):
        """Stands for `kill -9`."""

    def die(*_: Any) -> None:
        raise Killed

    def send(name: str) -> Upload:
        upload = open_upload(site.lab.home, make_token(site.lab.home))
        for path, data in files.items():
            with receive(upload, path, len(data)) as out:
                out.write(data)
        mark_whole(upload, len(files), sum(map(len, files.values())), {"for": "predict", "name": name})
        return upload

    for number, deadly in enumerate(("rename", "replace")):
        upload, real = send(deadly), getattr(Path, deadly)

        def move(self: Path, to: Path, real: Any = real) -> Any:
            return die() if "predictions" in str(to) else real(self, to)

        with monkeypatch.context() as patch:
            patch.setattr(Path, deadly, move)
            with pytest.raises(Killed):
                site.jobs.add_upload(site.run.id, upload, deadly)
        later, much_later = PredictionJobs(site.lab.home), time.time() + 3600
        with monkeypatch.context() as patch:
            patch.setattr(prediction_jobs.time, "time", lambda much_later=much_later: much_later)
            later.sweep()
        assert [each.name for each in find_unread(site.lab.home, "predict")] == ["rename"]
        assert [each.name for each in later.jobs()] == ["replace"] * number
    assert site.work(later.jobs()[0]).done == len(files)
