"""What a study of a run's data found, as the run's folder keeps it; apart from the making of it, which needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from transfer_core.files import read_kept, write_json

Study = Literal["labels", "curve"]


def get_study(folder: Path, what: str) -> dict[str, Any] | None:
    """Return what a study found; None where nobody asked for it yet."""
    return read_kept(_path(folder, what), {}) or None


def keep_study(folder: Path, what: Study, found: dict[str, Any]) -> None:
    """Keep what a study found."""
    write_json(_path(folder, what), found)


def _path(folder: Path, what: str) -> Path:
    return folder / f"study_{what}.json"
