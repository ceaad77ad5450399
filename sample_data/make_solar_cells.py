"""Write `solar_cells.csv` anew from the installed package elpv-dataset (group `samples`).

The set supplies an image, a defect probability and a crystal type. This script adds the two-class label and
the module each cell was cut from, which the set does not supply: it is inferred from the file order (see
`MODULE_RUNS` and the README beside this file). No image is copied.

    python sample_data/make_solar_cells.py [FILE]
"""

import csv
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

COLUMNS = ("image", "label", "domain", "group", "probability")
TARGET = Path(__file__).with_name("solar_cells.csv")

# One entry for each contiguous run of one crystal type in file order: the type, and the cells of every module in
# it. A module has 60 cells (6 x 10) except where the run's length says otherwise:
# - 72 (6 x 12) and 48 (6 x 8): whole runs, one module each, because the set has 44 modules in all.
# - 714 = 11 x 60 + 54 (6 x 9): the print on the cells changes at the 354th cell of the run and the exposure at
#   the 414th, and the multiples of 60 fit up to 300, so the short module is the sixth.
# - 530 = 8 x 60 + 50 (5 x 10): the bottom row of several modules is dark, which puts module ends after cells 120
#   and 230 of the run and at every 60 from there; 110 = 60 + 50 or 50 + 60 is all that stays open.
MODULE_RUNS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("mono", (60,)),
    ("poly", (60,) * 5),
    ("mono", (60,) * 3),
    ("poly", (60,) * 6),
    ("mono", (60,) * 5 + (54,) + (60,) * 6),
    ("poly", (60,) * 3 + (50,) + (60,) * 5),
    ("mono", (72,)),
    ("poly", (60,) * 3),
    ("mono", (48,)),
    ("poly", (60,) * 3),
)


def data_folder() -> Path | None:
    """Folder with `labels.csv` and `images`, or None where elpv-dataset is not installed."""
    # Found without importing it: the package's own loader reads all pixels into memory.
    spec = find_spec("elpv_dataset")
    return None if spec is None or spec.origin is None else Path(spec.origin).with_name("data")


def read_source(folder: Path) -> list[tuple[str, str, str]]:
    """(image file name, probability as written, crystal type) of every cell in file order."""
    lines = (folder / "labels.csv").read_text(encoding="utf-8").splitlines()
    fields = [line.split() for line in lines if line.strip()]
    return [(Path(path).name, probability, domain) for path, probability, domain in fields]


def make_groups(domains: list[str]) -> list[str]:
    """Name of the inferred module for every cell. ValueError where the file order is not the known one."""
    found = [(domain, len(list(run))) for domain, run in groupby(domains)]
    if found != [(domain, sum(sizes)) for domain, sizes in MODULE_RUNS]:
        raise ValueError(
            f"the runs of one crystal type are not those the modules were inferred from: {found}"
        )
    sizes = [size for _, run in MODULE_RUNS for size in run]
    return [f"module-{number:02d}" for number, size in enumerate(sizes, start=1) for _ in range(size)]


def make_rows(source: list[tuple[str, str, str]]) -> Iterator[tuple[str, ...]]:
    """Rows of `solar_cells.csv` without the header."""
    groups = make_groups([domain for _, _, domain in source])
    for (image, probability, domain), group in zip(source, groups, strict=True):
        label = "defective" if float(probability) > 0.5 else "functional"
        yield image, label, domain, group, probability


def write_solar_cells(folder: Path, target: Path = TARGET) -> Path:
    """Write the table of the set in `folder` to `target`; the same set gives the same bytes."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(make_rows(read_source(folder)))
    return target


def main(arguments: list[str]) -> int:
    """Command line: one optional argument, the file to write."""
    folder = data_folder()
    if folder is None:
        print("elpv-dataset is not installed: uv sync --group samples", file=sys.stderr)
        return 1
    print(write_solar_cells(folder, Path(arguments[0]) if arguments else TARGET))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
