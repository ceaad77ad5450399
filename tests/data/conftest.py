"""A zip of good images and others, brought in under guard."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pictures import GOOD, Told, pack

from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.sources import open_source


@pytest.fixture
def bring(home: Path, tmp_path: Path) -> Iterator[Callable[..., tuple[Manifest, Told]]]:
    """Bring a zip of the good images and others; nothing may appear beside the home and the zip."""
    arena = tmp_path / "arena"
    arena.mkdir()

    def do(
        *entries: tuple[str | zipfile.ZipInfo, bytes], change: Callable[[bytes], bytes] = bytes
    ) -> tuple[Manifest, Told]:
        path = pack(arena / "set.zip", [*GOOD, *entries])
        path.write_bytes(change(path.read_bytes()))
        candidates, problems = open_source(path)
        manifest, problems = ingest(candidates, "set", Library(home), problems=problems)
        assert {name for name, _ in GOOD} <= {row.path for row in manifest.rows}
        return manifest, {each.file: each.kind for each in problems}

    yield do
    assert sorted(path.name for path in arena.iterdir()) == ["set.zip"]
    assert not Path("/tmp/evil.txt").exists()
    stored = [path for path in home.rglob("*") if path.is_file()]
    assert all(path.resolve().is_relative_to(home.resolve()) and not path.is_symlink() for path in stored)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: that writing is durable is for the tests of files."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
