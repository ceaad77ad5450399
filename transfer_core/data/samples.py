"""The real sample images: solar cells seen by electroluminescence (the ELPV set)."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

from transfer_core.data.ingest import Candidate, Progress, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Problem
from transfer_core.errors import UserError

SOLAR_CELLS = "Solar cells"
NOTE = (
    "Solar cells seen by electroluminescence (Deitsch et al. 2019; CC BY-NC-SA 4.0). Domains are the kinds of "
    "cell. Groups are the modules the cells were cut from, inferred from the file order: the set does not name them."
)


def has_solar_cells() -> bool:
    """Tell whether the package with the images is installed."""
    return find_spec("elpv_dataset") is not None


def add_solar_cells(library: Library, progress: Progress | None = None) -> tuple[Manifest, list[Problem]]:
    """Put the 2,624 solar cells into the library (Deitsch et al. 2019; CC BY-NC-SA 4.0).

    Labels, domains (mono, poly) and groups (module, inferred from the file order) come from
    `sample_data/solar_cells.csv`.
    """
    spec = find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        message = "The sample images are not installed: run `uv sync --group samples` or `pip install elpv-dataset`."
        raise UserError(message, "no-samples")
    folder = Path(spec.origin).parent / "data" / "images"
    with _table().open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    candidates = [
        Candidate(
            row["image"],
            (folder / row["image"]).read_bytes,
            label=row["label"],
            domain=row["domain"],
            group=row["group"],
        )
        for row in rows
    ]
    return ingest(candidates, SOLAR_CELLS, library, progress=progress, note=NOTE)


def solar_cell_previews() -> list[bytes]:
    """Return the PNGs of four cells, sound and defective, of both kinds; none where not installed."""
    spec = find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "data" / "images"
    names = ("cell0004.png", "cell0014.png", "cell0082.png", "cell0125.png")
    return [(folder / name).read_bytes() for name in names if (folder / name).exists()]


def _table() -> Path:
    """Return the table's place: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    places = [package / "sample_data", package.parent / "sample_data"]
    return next((each for each in places if each.is_dir()), places[-1]) / "solar_cells.csv"
