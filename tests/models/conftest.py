"""Weights of the person who runs the tests are not looked at."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_shared_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRANSFER_LAB_WEIGHTS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
