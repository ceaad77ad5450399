"""Homes for the pages' tests: empty, or with a small drawn data set. No page ever starts a worker here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from sample_data.shapes import draw_shapes
from tests.pages.bringing import picture, png
from tests.pages.screens import Study, bring
from transfer_core.data.alike import get_alike
from transfer_core.data.health import measure_all
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.manifest import Manifest
from transfer_core.runs.executors import SubprocessExecutor
from transfer_core.runs.helper import Helper
from transfer_core.runs.prediction_jobs import PredictionJobs

CLASSES = ("disc-solid", "cross-outline", "star-dotted")


@pytest.fixture(scope="session")
def _shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with 60 drawings of three classes, two domains and six groups; never written to again."""
    home = tmp_path_factory.mktemp("shapes")
    bring(home, draw_shapes(60, seed=3, size=48, classes=CLASSES, groups=6))
    return home


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """A home with nothing in it. No worker is ever started from a page."""
    study = Study(tmp_path / "home")
    study.home.mkdir()
    monkeypatch.setenv("TRANSFER_LAB_HOME", str(study.home))
    monkeypatch.setattr(SubprocessExecutor, "start", lambda _, home, run, attempt: study.started.append(run))
    # Nor the helper's process, which takes ten seconds.
    monkeypatch.setattr(
        Helper, "explain", lambda _, run, wanted: dict.fromkeys(wanted, np.ones((7, 7), np.float32))
    )
    monkeypatch.setattr(Helper, "try_out", lambda *_: None)
    monkeypatch.setattr(PredictionJobs, "_start_process", lambda _: study.started.append("predictions"))
    st.cache_resource.clear()
    st.cache_data.clear()
    yield study
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def study(empty: Study, _shapes: Path) -> Study:
    """A home with the drawn data set."""
    shutil.copytree(_shapes, empty.home, dirs_exist_ok=True)
    return empty


@pytest.fixture
def manifest(empty: Study) -> Manifest:
    """Twelve sound pictures, a black one, and one nearly the same as another."""
    pictures = {f"{'ab'[seed % 2]}/{seed:02d}.png": picture(seed) for seed in range(12)}
    pictures["a/black.png"] = picture(50) // 16
    pictures["b/nearly.png"] = picture(1) + 1
    candidates = [Candidate(path, partial(png, values), path[0]) for path, values in pictures.items()]
    found, _ = ingest(candidates, "Cells", empty.library)
    measure_all(empty.library, found)
    get_alike(empty.library, found)
    return found
