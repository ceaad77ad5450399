"""How tests of the pages bring images as a browser does, and small pictures for it."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.ui import bring
from tests.pages.screens import Study, link_of, words
from transfer_core.data.manifest import Manifest
from transfer_core.runs.uploads import open_upload, receive


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def webp(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "WEBP", lossless=True)
    return out.getvalue()


def picture(seed: int) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(40, 216, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize((96, 96), Image.Resampling.NEAREST))


def opened(study: Study, at: AppTest) -> Manifest:
    """The data set that is open now."""
    return study.library.get(link_of(at, "data") or "")


def brought(empty: Study, at: AppTest, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """What the browser does when a folder is chosen."""
    told: list[tuple[str, str, int, int]] = []

    def sent(token: str, **_: Any) -> tuple[str, str, int, int] | None:
        if told:
            return None
        for path, content in files.items():
            with receive(open_upload(empty.home, token), path, len(content)) as out:
                out.write(content)
        told.append((token, "Scans", len(files), sum(map(len, files.values()))))
        return told[0]

    monkeypatch.setattr(bring, "uploader", sent)
    at.run()
    at.switch_page("study/data.py").run()  # AppTest itself does not follow


def wait(at: AppTest) -> None:
    """Wait until what was brought is there; not a run longer, because what is said of its coming is said once."""
    end = time.monotonic() + 30
    while "You may leave this page" in words(at):
        assert time.monotonic() < end
        time.sleep(0.02)
        at.run()
