"""Nothing is lost, whoever is killed: 40 kills at random moments over worker, server, readers, and whoever predicts.

    uv run python benchmarks/kills.py [--kills 40] [--seed 0]

A share of the kills (SIGKILL) goes to each: workers that train (a run is resumed until it is done: weights, figures and predictions of the report
bit for bit those of the run that nobody disturbed); the server while a real browser sends it images or it reads them,
and the processes that read for it (in the end the data set is the one that a direct reading makes, after what a user
would do: choose the same again, or say that it be read); the helper and the process that predict (the rows of the
undisturbed job). Exits with 1 where anything is lost or another. Needs Chromium.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from common import Check, finish

sys.path.insert(0, str(Path(__file__).parents[1]))

from killed_uploads import Row, children, end, kill_servers, wait_until

from sample_data.shapes import draw_shapes
from tests.pages.screens import png
from tests.runs.workers import Site
from tests.support import candidates
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.runs.dispatch import dispatch
from transfer_core.runs.helper import Helper
from transfer_core.runs.prediction_job import Job
from transfer_core.runs.prediction_jobs import PredictionJobs
from transfer_core.runs.run import Run
from transfer_core.runs.uploads import make_token, open_upload, receive
from transfer_core.training.spec import RunSpec

ASKED, FEW = 120, 12  # images of a job for a process of its own, and for the helper
SHARES = {"worker": 0.3, "server": 0.3, "reader": 0.2, "predictions": 0.1, "helper": 0.1}


# -- runs ------------------------------------------------------------------------------------


def _spec(site: Site, strategy: str) -> RunSpec:
    return replace(site.spec(strategy), epochs=12) if strategy == "fine_tuning" else site.spec(strategy)


def kill_workers(site: Site, kills: int, chance: random.Random) -> Row:
    """Train through kills; return how many runs ended as the undisturbed ones."""
    reference: dict[str, tuple[dict[str, Any], float]] = {}
    for strategy in ("fine_tuning", "feature_extraction"):
        began = time.monotonic()
        run = site.start(_spec(site, strategy))
        site.wait_until_over(run)
        reference[strategy] = site.outcome(run), time.monotonic() - began
    done, runs, same = 0, 0, 0
    while done < kills:
        strategy = "feature_extraction" if runs % 4 == 3 else "fine_tuning"
        whole, seconds = reference[strategy]
        shutil.rmtree(site.home / "cache", ignore_errors=True)
        run = site.start(_spec(site, strategy))
        for _ in range(chance.randint(1, 4)):
            if done == kills or not _kill_worker(site, run, chance.uniform(0, seconds)):
                break
            done += 1
            print(f"worker {done}: killed, attempt {site.store.get(run.id).attempt}", flush=True)
        state = site.wait_until_over(run).state
        runs += 1
        same += state == "done" and site.outcome(run) == whole
    return {"killed": "worker", "kills": done, "of": "runs", "n": runs, "as undisturbed": same}


def _kill_worker(site: Site, run: Run, after: float) -> bool:
    """Kill the worker of a run so many seconds from now, and have the run resumed; False where it was over before."""
    began = time.monotonic()
    while time.monotonic() - began < after:
        if site.store.get(run.id).is_over:
            return False
        time.sleep(0.02)
    workers = site.workers(run)
    if not workers or not end(workers[0]) or site.store.get(run.id).is_over:
        return False
    if (
        site.store.get(run.id).state == "queued"
    ):  # killed before it claimed its run: that is told when somebody looks
        wait_until(lambda: _looked(site, run) == "failed", "nobody noticed")
    else:
        site.sweep_until_lost(run)
    site.resume(run)
    return True


def _looked(site: Site, run: Run) -> str:
    dispatch(site.store, site.executor)
    return site.store.get(run.id).state


# -- predictions -----------------------------------------------------------------------------


def kill_predictions(site: Site, run: Run, kills: dict[str, int], chance: random.Random) -> list[Row]:
    """Ask about images through kills; return how many jobs ended with the rows of the undisturbed one."""
    jobs, helper = PredictionJobs(site.home), Helper(site.home)
    drawn = [png(each) for each in draw_shapes(ASKED, seed=9, size=64)]
    rows = []
    try:
        for whom, number in kills.items():
            files = {
                f"{n:03d}.png": each for n, each in enumerate(drawn[: FEW if whom == "helper" else ASKED])
            }
            hand = helper if whom == "helper" else None
            began = time.monotonic()
            whole, _ = _ask(jobs, helper, run, files, hand, [])
            seconds = time.monotonic() - began
            if hand:
                helper.close()  # a killed one starts cold, too
            done = asked = same = 0
            while done < number:
                wanted = min(chance.randint(1, 3), number - done)
                answers, killed = _ask(
                    jobs, helper, run, files, hand, [chance.uniform(0, seconds) for _ in range(wanted)]
                )
                asked, done = asked + 1, done + killed
                same += _same(answers, whole)
                print(f"{whom} {done}: killed, job {asked}", flush=True)
            rows.append({"killed": whom, "kills": done, "of": "jobs", "n": asked, "as undisturbed": same})
    finally:
        helper.close()
    return rows


def _ask(
    jobs: PredictionJobs,
    helper: Helper,
    run: Run,
    files: dict[str, bytes],
    hand: Helper | None,
    after: list[float],
) -> tuple[list[Any], int]:
    """Ask a run about files, killing whoever works on it so many seconds after it began; return answers and kills."""
    upload = open_upload(jobs.home, make_token(jobs.home))
    for name, content in files.items():
        with receive(upload, name, len(content)) as out:
            out.write(content)
    job = jobs.add_upload(run.id, upload, "many")
    jobs.start(job, hand)
    killed = 0
    for each in after:
        began = time.monotonic()
        while time.monotonic() - began < each and not jobs.get(job.id).is_over:
            _begun_again(jobs, job)
            time.sleep(0.1)
        if not jobs.get(job.id).is_over:
            killed += _kill_whoever(jobs, job)
            wait_until(lambda: _begun_again(jobs, job), "nobody went on")
    wait_until(lambda: _begun_again(jobs, job) and jobs.get(job.id).is_over, "a job did not end")
    if jobs.get(job.id).state == "failed":  # given up: somebody says that it be tried again
        jobs.retry(jobs.get(job.id))
        wait_until(lambda: _begun_again(jobs, job) and jobs.get(job.id).is_over, "a job did not end")
    return [jobs.answers(job.id), jobs.get(job.id).state], killed


def _begun_again(jobs: PredictionJobs, job: Job) -> bool:
    """Look, as the page does; whoever died has to have let go of its lock."""
    jobs.look()
    return jobs.get(job.id).is_over or jobs._is_at_work(job)


def _kill_whoever(jobs: PredictionJobs, job: Job) -> bool:
    """Kill whoever works on a job, the helper or a process."""
    own = psutil.Process(os.getpid())
    modules = ("transfer_core.runs.helper", "transfer_core.runs.prediction_worker")
    for each in [found for module in modules for found in children(own, module)]:
        if str(jobs.home) in each.cmdline() and end(each):
            return True
    return False


def _same(one: list[Any], other: list[Any]) -> bool:
    (a, state), (b, _) = one, other
    return (
        state == "done"
        and [each.file for each in a] == [each.file for each in b]
        and all(np.allclose(x.probabilities, y.probabilities, atol=1e-6) for x, y in zip(a, b, strict=True))
        and all((x.p_value, x.problem) == (y.p_value, y.problem) for x, y in zip(a, b, strict=True))
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(SHARES), default=None, help="kill these alone")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    wanted = {each: round(share * options.kills) for each, share in SHARES.items()}
    if options.only:
        wanted = {each: options.kills * (each == options.only) for each in SHARES}
    chance = random.Random(options.seed)
    began = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "lab"
        home.mkdir()
        classes = ("disc-solid", "cross-outline", "star-dotted")
        ingest(candidates(draw_shapes(60, size=48, classes=classes)), "Shapes", Library(home))
        site = Site(home)
        try:
            print("begun", flush=True)
            if wanted["worker"]:
                rows.append(kill_workers(site, wanted["worker"], chance))
            if wanted["predictions"] or wanted["helper"]:
                run = site.start(site.spec("feature_extraction"))
                run = site.wait_until_over(run)
                asked = {each: wanted[each] for each in ("predictions", "helper") if wanted[each]}
                rows += kill_predictions(site, run, asked, chance)
        finally:
            site.close()
        served = {each: wanted[each] for each in ("server", "reader") if wanted[each]}
        if served:
            rows += kill_servers(Path(name), served, chance)
    print(f"{time.monotonic() - began:.0f} s")
    checks = [Check("kills", sum(row["kills"] for row in rows), sum(wanted.values()))]
    checks += [
        Check(f"{row['of']} as undisturbed ({row['killed']})", row["as undisturbed"], row["n"])
        for row in rows
    ]
    finish("kills", rows, checks)


if __name__ == "__main__":
    main()
