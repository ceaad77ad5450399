"""Fixtures that tests share: a home folder, a small drawn data set, a tiny backbone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from sample_data.shapes import draw_shapes
from tests.support import CLASSES, TINY, Lab, candidates
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split, make_split
from transfer_core.models import backbones
from transfer_core.models.backbones import Backbone

# The same examples every time, and no limit of time: the machine may be busy.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """For tensors this small a second thread costs more than it brings, on a busy machine a hundred times."""
    torch.set_num_threads(1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("TRANSFER_LAB_HOME", str(folder))
    return folder


@pytest.fixture
def library(home: Path) -> Library:
    return Library(home)


@pytest.fixture(scope="session")
def _drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, Split]:
    """60 drawings, 3 classes, 2 domains, 6 groups, and a few without a label; never written to again."""
    home = tmp_path_factory.mktemp("drawn")
    drawings = candidates(draw_shapes(66, seed=3, size=48, classes=CLASSES, groups=6))
    mixed = drawings[:60] + [replace(each, label=None) for each in drawings[60:]]
    manifest, problems = ingest(mixed, "Shapes", Library(home))
    assert not problems
    return home, manifest, Library(home).add_split(make_split(manifest, fractions=(0.5, 0.25, 0.25)))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """The tiny backbone, known by its key; its stages come from `make_tiny`."""
    monkeypatch.setattr(backbones, "BACKBONES", (*backbones.BACKBONES, TINY))
    return TINY


@pytest.fixture
def lab(home: Path, _drawn: tuple[Path, Manifest, Split], tiny: Backbone) -> Iterator[Lab]:
    """A copy of the drawn data set in the test's own home, and the tiny backbone."""
    shutil.copytree(_drawn[0], home, dirs_exist_ok=True)
    return Lab(home, _drawn[1], _drawn[2])
