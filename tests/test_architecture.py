"""The rules of the house: who may import whom, what stays in one place, how large a file may grow."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "transfer_core"
PAGES = [path for path in (ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))) if path.exists()]
MODULES = sorted(CORE.rglob("*.py"))
SOURCES = [*MODULES, *PAGES, *sorted((ROOT / "benchmarks").rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAY_IMPORT = {  # part -> the parts of ours that it may import besides itself
    "errors": set(),
    "files": {"errors"},
    "knobs": {"errors"},
    "terminal": set(),
    "losses": set(),
    "figures": {"evaluation"},  # how a figure is written: the same rule as everywhere
    "figures_compare": {"figures", "evaluation"},
    "data": {"files", "errors"},
    "models": {"data", "files", "errors"},
    "strategies": {"losses", "models", "data", "knobs", "errors"},
    "evaluation": {"models", "data", "files", "errors"},
    "bundle": {"evaluation", "models", "data", "files", "errors"},
    "training": {"strategies", "models", "data", "evaluation", "knobs", "files", "errors"},
    "advice": {"evaluation", "models", "data", "errors"},
    "runs": {"training", "strategies", "evaluation", "data", "models", "advice", "bundle", "files", "errors"},
}
ENTRIES = (
    "cli",
    "cli_catalogue",
    "cli_compare",
    "cli_data",
    "cli_home",
    "cli_house",
    "cli_options",
    "cli_predict",
    "cli_prepare",
    "cli_results",
    "cli_watch",
    "__main__",
    "__init__",
)  # these may import everything
ONE_PLACE = {
    "sqlite3": tuple(f"transfer_core/runs/{each}" for each in ("store", "database", "records")),
    "plotly": "transfer_core/figures",
}  # where names begin so
LONGEST = 320  # lines


def imports(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{each.name}" for each in node.names)


def part(name: str) -> str:
    """The part of the core that a dotted name lies in, "" for the core itself."""
    return [*name.split("."), ""][1]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_part_imports_only_what_it_may(path: Path) -> None:
    own = path.relative_to(CORE).parts[0].removesuffix(".py")
    if own in ENTRIES:
        return
    ours = {part(each) for each in imports(path) if each.split(".")[0] == "transfer_core"} - {"", own}
    assert ours <= MAY_IMPORT[own]


def test_the_table_is_acyclic() -> None:
    """Whoever is imported knows nothing of who imports it."""
    below = {own: set(others) for own, others in MAY_IMPORT.items()}
    while free := {own for own, others in below.items() if not others & below.keys()}:
        below = {own: others for own, others in below.items() if own not in free}
    assert not below


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_what_belongs_in_one_place_stays_there(path: Path) -> None:
    roots = {each.split(".")[0] for each in imports(path)}
    assert "streamlit" not in roots
    assert "pages" not in roots
    assert not {each for each, place in ONE_PLACE.items() if not name(path).startswith(place)} & roots


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_pages_ask_the_core_and_compute_nothing(path: Path) -> None:
    roots = {each.split(".")[0] for each in imports(path)}
    assert not roots & {"torch", "torchvision", "timm", "sklearn", "sqlite3", "plotly"}
    assert "tests" not in roots
    assert "benchmarks" not in roots


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name)
def test_no_file_grows_beyond_reading(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_tests_are_no_package() -> None:
    """tests/sample_data would stand before sample_data."""
    assert not (ROOT / "tests" / "__init__.py").exists()


@pytest.mark.parametrize(
    "module",
    [
        "transfer_core.cli",
        "transfer_core.runs.store",
        "transfer_core.runs.dispatch",
        "transfer_core.runs.lab",
        "transfer_core.runs.worker",
        "transfer_core.training.rules",
        "transfer_core.strategies",
    ],
)
def test_starts_without_what_takes_seconds_to_import(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip("not there yet")
    heavy = ("torch", "timm", "torchvision", "sklearn", "pandas", "plotly")
    code = f"import sys, {module}; print([each for each in {heavy} if each in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "[]"
