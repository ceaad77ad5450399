"""Which version of the code a row of a benchmark was made with: what its numbers depend on beside the spec."""

from __future__ import annotations

import ast
import hashlib
import inspect
from pathlib import Path

from transfer_core.strategies import Strategy

CORE = Path(__file__).parents[1] / "transfer_core"
SHARED = (
    *(f"strategies/{name}" for name in ("base", "tuning", "adaptation")),
    *(f"models/{name}" for name in ("model", "heads", "statistics", "prefix", "stages", "activations", "cache", "ensemble")),
    *(f"training/{name}" for name in ("loop", "feed", "judge", "choice", "optimise", "average", "setup", "domains", "labels", "places", "networks")),
    *("data/augment", "data/views", "data/batches", "data/images", "evaluation/validators", "evaluation/metrics", "evaluation/predict"),
)  # fmt: skip


def code_version(strategy: type[Strategy]) -> str:
    """Return a hash of the code that a run of a strategy goes through; comments, docstrings and cards do not count."""
    bases = [each for each in strategy.__mro__ if each.__module__.startswith("transfer_core")]
    paths = {CORE / f"{name}.py" for name in SHARED} | {Path(inspect.getfile(each)) for each in bases}
    paths |= {other for path in paths for other in _strategies_of(path)}  # LP-FT begins with a probe
    text = "".join(_CODE[path] for path in sorted(paths | {*(CORE / "losses").glob("*.py")}))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _strategies_of(path: Path) -> set[Path]:
    """Return the files of the strategies that a strategy's file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {each.module for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    found = {CORE / "strategies" / f"{str(name).rpartition('.')[2]}.py" for name in names}
    return {each for each in found if path.parent == each.parent and each.exists()}


def _is_card(line: ast.stmt) -> bool:
    """Tell whether a line of a class is text of its card."""
    return isinstance(line, ast.AnnAssign) and ast.unparse(line.target) in ("title", "about", "cost")


def _code(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
        if isinstance(node, ast.ClassDef):
            node.body = [each for each in node.body if not _is_card(each)]
    return ast.dump(tree)


_CODE = {path: _code(path) for path in CORE.rglob("*.py")}  # as it was when this program started
