"""Predictions in the background: the same numbers as one by one, whole rows or none, and nothing kept that was not said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import png
from tests.runs.sites import TORN, Site, make_site
from tests.support import Lab as Bench
from transfer_core.data.ingest import Candidate
from transfer_core.errors import UserError
from transfer_core.evaluation import unknown
from transfer_core.evaluation.report import load_features
from transfer_core.runs import prediction_jobs, prediction_worker
from transfer_core.runs.housekeeping import delete_run
from transfer_core.runs.intake import Intake
from transfer_core.runs.predict_many import predict_many
from transfer_core.runs.prediction_jobs import PredictionJobs, held
from transfer_core.runs.prediction_worker import work_off


@pytest.mark.parametrize("views", [False, True])
def test_a_batch_says_what_each_image_by_itself_and_the_report_say(
    lab: Bench, monkeypatch: pytest.MonkeyPatch, views: bool
) -> None:
    site = make_site(lab, monkeypatch, augment="flips", test_views=views)
    report = site.lab.report(site.run)
    paths = [lab.library.image_path(image) for image in report.images]
    items = [Candidate(path.name, path.read_bytes) for path in paths]
    found = [answer for _, latest in predict_many(site.predictor, items, None) for answer, _ in latest]
    together = np.array([each.probabilities for each in found])
    alone = [site.predictor.predict_bytes(path.name, path.read_bytes()).probabilities for path in paths[:20]]
    np.testing.assert_allclose(together[:20], [list(each.values()) for each in alone], atol=1e-6)
    np.testing.assert_allclose(together, report.probabilities, atol=1e-5)
    pixels = [
        site.predictor.preparation.make_views(site.predictor.preparation.read_bytes(path.read_bytes()))
        for path in paths
    ]
    features = np.asarray(load_features(site.lab.store.folder(site.run.id)), np.float32)
    seen = np.asarray(site.predictor.look(np.stack(pixels)).features, np.float32)
    np.testing.assert_allclose(seen, features, atol=2e-3 * np.abs(features).max())


def test_a_job_has_a_row_and_a_picture_for_each_image_and_forgets_the_files(
    site: Site, files: dict[str, bytes]
) -> None:
    job = site.work(site.send(files))
    assert (job.state, job.done, job.total, job.problems) == ("done", len(files), len(files), 2)
    answers = site.jobs.answers(job.id)
    assert sorted(each.file for each in answers) == sorted(files)
    assert {each.file for each in answers if each.problem} == {"a/" + TORN, "notes.txt"}
    for row, each in enumerate(answers):
        assert site.jobs.picture(job.id, row).exists() is not bool(each.problem)
        if not each.problem:
            alone = site.predictor.predict_bytes(each.file, files[each.file]).probabilities
            np.testing.assert_allclose(each.probabilities, list(alone.values()), atol=1e-6)
    left = {
        path.read_bytes()
        for path in site.lab.home.rglob("*")
        if path.is_file() and path.stat().st_size < 50_000
    }
    assert not left & set(files.values())
    assert not list((site.lab.home / "uploads").glob("*"))


def test_what_is_dropped_here_never_becomes_a_data_set(site: Site, files: dict[str, bytes]) -> None:
    job = site.send(files)
    assert Intake(site.lab.library).recover() == []
    assert site.work(job).state == "done"
    assert len(site.lab.library.datasets()) == 1


def test_p_values_are_those_of_the_features(
    site: Site, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written beside a row is what the run's validation images say of that very image."""
    monkeypatch.setattr(unknown, "FEWEST", 10)
    job = site.work(site.send(files))
    validation = sum(part == "val" for part in site.lab.report(site.run).parts)
    assert job.fitted_on == validation > 0
    familiar = site.lab.familiar(site.run)
    preparation = site.predictor.preparation
    for each in site.jobs.answers(job.id):
        if not each.problem:
            pixels = preparation.make_views(preparation.read_bytes(files[each.file]))
            features = site.predictor.to_compare(pixels[None], site.predictor.look(pixels[None]))
            distances = familiar.distances(features)
            assert each.p_value == pytest.approx(familiar.p_values(distances)[0], abs=1.5 / validation)


def test_where_stages_were_trained_images_are_compared_by_what_they_were_before(
    lab: Bench, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs trained otherwise and one not at all say the same of how unlike the same images are."""
    monkeypatch.setattr(unknown, "FEWEST", 10)
    told = []
    for wishes in (
        {},
        {"strategy": "fine_tuning", "cut": 1},
        {"strategy": "fine_tuning", "cut": 2, "augment": "flips"},
    ):
        site = make_site(lab, monkeypatch, **wishes)
        answers = site.jobs.answers(site.work(site.send(files)).id)
        told.append([each.p_value for each in answers if not each.problem])
    assert told[0] == pytest.approx(
        told[1], abs=0.1
    )  # of those not trained features are kept in half precision
    assert told[1] == told[2]
    assert len(set(told[1])) > 1


def test_a_run_without_features_says_why_nothing_is_told_unlike(
    lab: Bench, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(lab, monkeypatch, strategy="feature_extraction", cut=4)
    (site.lab.store.folder(site.run.id) / "features.npy").unlink()
    job = site.work(site.send(files))
    assert (job.state, job.fitted_on) == ("done", 0)
    assert "run it again" in job.silent
    assert {each.p_value for each in site.jobs.answers(job.id)} == {None}


@pytest.mark.parametrize("cut", [1, 40, 700, 2500])
def test_a_killed_job_goes_on_where_it_stood(site: Site, files: dict[str, bytes], cut: int) -> None:
    """Whatever bytes a killed process left of the rows: in the end there is each file, once, with the same numbers."""
    whole = site.work(site.send(files))
    rows = (site.jobs.place(whole.id) / "rows.jsonl").read_bytes()
    job = site.send(files)
    (site.jobs.place(job.id) / "rows.jsonl").write_bytes(rows[:cut])
    done = rows[:cut].count(b"\n")
    site.jobs.write(replace(job, state="running", done=max(0, done - 1), tried=1))
    ended = site.work(job)
    assert (ended.state, ended.done, ended.problems) == ("done", len(files), 2)
    one, other = site.jobs.answers(whole.id), site.jobs.answers(job.id)
    assert [each.file for each in one] == [each.file for each in other]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-6)


def test_a_stop_keeps_what_was_found(
    site: Site, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = site.send(files)
    several = prediction_worker.predict_many

    def one_batch_then_stop(*arguments: Any) -> Iterator[Any]:
        for number, each in enumerate(several(*arguments)):
            assert number == 0, "it went on"
            site.jobs.stop(job.id)
            yield each

    monkeypatch.setattr(prediction_worker, "predict_many", one_batch_then_stop)
    ended = site.work(job)
    assert ended.state == "stopped"
    assert 0 < len(site.jobs.answers(job.id)) == ended.done < len(files)
    assert not (site.jobs.place(job.id) / "upload").exists()


def test_one_that_waits_is_stopped_at_once(site: Site, files: dict[str, bytes]) -> None:
    job = site.send(files)
    site.jobs.stop(job.id)
    assert site.jobs.get(job.id).state == "stopped"
    assert not (site.jobs.place(job.id) / "upload").exists()


def test_only_what_nobody_works_on_is_begun_again(
    site: Site, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    monkeypatch.setattr(site.jobs, "_start_process", lambda: started.append(1))
    site.work(site.send(files))
    site.jobs.look()
    assert not started
    job = site.send(files)
    with held(site.jobs.place(job.id), 1):
        site.jobs.look()
        assert not started
        assert not PredictionJobs(site.lab.home).get(job.id).is_over
        work_off(site.lab.home, job.id, lambda _: pytest.fail("two at one job"))
    site.jobs.look()
    assert started == [1]


def test_few_images_go_to_the_helper_and_what_it_drops_to_a_process(
    site: Site, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(site.jobs, "_start_process", lambda: started.append("process"))

    class Hand:
        def work_off(self, job: str) -> None:
            started.append("helper")
            raise UserError("The helper process ended.", "helper")

    few = site.send(dict(list(files.items())[:5]))
    site.jobs.start(few, Hand())
    site.jobs._threads[few.id].join()
    assert started == ["helper", "process"]
    site.jobs.start(site.send(files), Hand())
    assert started == ["helper", "process", "process"]


def test_deleted_is_gone(site: Site, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    job, other = site.work(site.send(files)), site.work(site.send(files))
    monkeypatch.setattr(prediction_jobs, "PATIENCE", 0.1)
    with held(site.jobs.place(job.id), 1), pytest.raises(UserError, match="still being made"):
        site.jobs.delete(job.id)
    assert site.jobs.delete(job.id) > 0
    assert not site.jobs.place(job.id).exists()
    with pytest.raises(UserError, match="deleted"):
        site.jobs.get(job.id)
    assert delete_run(site.lab.store, site.run.id).bytes > 0
    assert not site.jobs.place(other.id).exists()
    for wrong in ("../../etc", "", "x" * 12):
        with pytest.raises(UserError):
            site.jobs.get(wrong)


def test_only_allowed_folders_are_looked_at(
    site: Site, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root" / "line"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    with pytest.raises(UserError, match="not below a folder"):
        site.jobs.add_folder(site.run.id, root)
    monkeypatch.setenv("TRANSFER_LAB_FOLDERS", str(tmp_path / "root"))
    job = site.jobs.add_folder(site.run.id, root)
    assert site.work(job).done == len(files)
    assert len(list(root.rglob("*.*"))) == len(files)  # they stay where they are
    waiting = site.jobs.add_folder(site.run.id, root)
    monkeypatch.setenv("TRANSFER_LAB_FOLDERS", "")
    assert site.work(waiting).state == "failed"


def test_a_name_never_becomes_a_place(site: Site) -> None:
    image = png(draw_shapes(1, size=32)[0])
    before = {path for path in site.lab.home.parent.rglob("*") if site.lab.home not in path.parents}
    job = site.work(site.send({"../../../out.png": image, "/abs.png": image, "=1+1.png": image}))
    assert job.done == 3
    assert {path for path in site.lab.home.parent.rglob("*") if site.lab.home not in path.parents} == before
