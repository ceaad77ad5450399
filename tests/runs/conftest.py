"""An empty store; a finished run and files to ask it about."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import png
from tests.runs.sites import TORN, Site, make_site
from tests.support import Lab as Bench
from transfer_core.runs.store import RunStore


@pytest.fixture
def store(home: Path) -> RunStore:
    return RunStore(home)


@pytest.fixture
def site(lab: Bench, monkeypatch: pytest.MonkeyPatch) -> Site:
    return make_site(lab, monkeypatch)


@pytest.fixture
def files() -> dict[str, bytes]:
    """Forty drawings in two folders, one of them torn, and a text."""
    found = {
        f"{'ab'[n % 2]}/{n:02d}.png": png(each) for n, each in enumerate(draw_shapes(40, seed=8, size=40))
    }
    found["a/" + TORN] = found["a/00.png"][:200]
    found["notes.txt"] = b"not an image"
    return found
