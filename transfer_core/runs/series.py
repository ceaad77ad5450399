"""Several runs asked for at once, a sweep or a race: what is there already is used again, the rest is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.runs.lab import Lab
from transfer_core.runs.run import Run
from transfer_core.training.spec import RunSpec


@dataclass(frozen=True)
class Series:
    """Specs in the order asked, each with the run that has it where there is one."""

    specs: tuple[RunSpec, ...]
    runs: tuple[Run | None, ...]
    seconds: float | None  # that the missing runs will take, None where nobody knows yet

    @property
    def missing(self) -> list[RunSpec]:
        """What is not trained yet, nor on its way."""
        return [spec for spec, run in zip(self.specs, self.runs, strict=True) if run is None]

    @property
    def done(self) -> list[Run]:
        """The runs that are used again."""
        return [run for run in self.runs if run and run.is_over]

    @property
    def waiting(self) -> list[Run]:
        """The runs on their way."""
        return [run for run in self.runs if run and not run.is_over]


def look_up(lab: Lab, manifest: Manifest, split: Split, specs: Sequence[RunSpec]) -> Series:
    """Return what there is of a series, and what the rest would cost."""
    found: dict[str, Run] = {}
    for run in lab.store.runs(manifest=manifest.id):
        if run.state == "done" or not run.is_over:
            kept = found.setdefault(run.spec.id, run)
            if kept.state != "done":  # a finished run before one on its way
                found[run.spec.id] = run
    runs = tuple(found.get(spec.id) for spec in specs)
    costs = [
        lab.plan(spec, manifest, split).seconds for spec, run in zip(specs, runs, strict=True) if run is None
    ]
    known = [each for each in costs if each is not None]
    return Series(tuple(specs), runs, sum(known) if len(known) == len(costs) else None)


def start_missing(lab: Lab, series: Series, token: str, names: Sequence[str] = ()) -> list[Run]:
    """Start what is missing, under `names` where they are given; return all runs. The same token starts nothing twice."""
    called = names or [""] * len(series.specs)
    return [
        run or lab.start(spec, name=name, token=f"{token}-{number}")
        for number, (spec, run, name) in enumerate(zip(series.specs, series.runs, called, strict=True))
    ]
