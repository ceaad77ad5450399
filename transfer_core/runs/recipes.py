"""Runs that differ in their seed alone belong together: a recipe, trained several times."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from transfer_core.runs.lab import default_name
from transfer_core.runs.run import Run
from transfer_core.training.spec import RunSpec

LEAST_NAME = 4  # letters that names must share at their beginning to give the recipe its name


@dataclass(frozen=True)
class Recipe:
    """Runs of equal specification but for the seed, tested on the same images, in the order given."""

    name: str
    runs: tuple[Run, ...]

    @property
    def id(self) -> str:
        """The first run's id."""
        return self.runs[0].id

    @property
    def spec(self) -> RunSpec:
        """The first run's specification."""
        return self.runs[0].spec


def group_runs(runs: Sequence[Run], tested: Callable[[Run], str]) -> list[Recipe]:
    """Return the recipes of runs, in the order of their first runs; names tell those apart that were tested alike.

    `tested` gives the same text for runs tested on the same images. The same seed on the same split again is no
    further seed: it stands for itself. Runs that a study of the data started are none of somebody's own seeds.
    """
    groups: dict[tuple[str, str, int], list[Run]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for run in runs:
        key = (recipe_key(run.spec) + "of a study" * run.of_study, tested(run))
        again = (f"{run.spec.id} {run.of_study}", tested(run))
        times = seen[again]
        seen[again] += 1
        groups.setdefault((*key, times), []).append(run)
    recipes = {key: Recipe(_shared_name(each), tuple(each)) for key, each in groups.items()}
    beside: dict[str, list[Recipe]] = {}
    for (_, images, _), recipe in recipes.items():
        beside.setdefault(images, []).append(recipe)
    told = {each.id: each for found in beside.values() for each in _tell_apart(found)}
    return [told[each.id] for each in recipes.values()]


def recipe_key(spec: RunSpec) -> str:
    """Return what two runs share that differ at most in the seed, of training or of the split."""
    facts = {name: value for name, value in spec.to_json().items() if name not in ("seed", "split")}
    return json.dumps(facts, sort_keys=True)


def _shared_name(runs: Sequence[Run]) -> str:
    names = [run.name or default_name(run.spec) for run in runs]
    letters = zip(*names, strict=False)
    shared = "".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, letters))
    if len(set(names)) > 1:
        shared = shared.rstrip(" ,;:.-_(#").removesuffix("seed").rstrip(" ,;:.-_(#")
    return shared if len(shared) >= LEAST_NAME or len(set(names)) == 1 else default_name(runs[0].spec)


def name_apart(runs: Sequence[Run]) -> dict[str, str]:
    """Return a name for each run of a list, by its id: what tells it from others of its name stands behind it."""
    facts = [{**run.spec.settings(), "seed": run.spec.seed, "split": run.spec.split[:6]} for run in runs]
    names = [run.name or default_name(run.spec) for run in runs]
    # Runs of different data sets may be called the same: wherever they stand together, so does the data set.
    found = _apart(
        [(f"{run.manifest} {name}", each, run.id) for run, name, each in zip(runs, names, facts, strict=True)]
    )
    return {run.id: f"{name}{after}" for run, name, after in zip(runs, names, found, strict=True)}


def _tell_apart(recipes: list[Recipe]) -> list[Recipe]:
    """Return recipes whose equal names are followed by the settings they differ in, or by their first run's id."""
    found = _apart([(each.name, each.spec.settings(), each.id) for each in recipes])
    return [replace(each, name=each.name + after) for each, after in zip(recipes, found, strict=True)]


def _apart(items: Sequence[tuple[str, Mapping[str, Any], str]]) -> list[str]:
    """Return what to write behind each name, given with facts and an id: how it differs from others of that name."""
    same: dict[str, list[Mapping[str, Any]]] = {}
    for name, facts, _ in items:
        same.setdefault(name, []).append(facts)
    told = []
    for name, own, key in items:
        others = same[name]
        differing = [each for each in own if len({str(other.get(each)) for other in others}) > 1]
        words = ", ".join(f"{each} {'none' if own[each] is None else own[each]}" for each in differing[:3])
        unique = len({tuple(str(other.get(each)) for each in differing[:3]) for other in others}) == len(
            others
        )
        after = words if words and unique else ", ".join(filter(None, (words, key[:6])))
        told.append(f" ({after})" if len(others) > 1 else "")
    return told
