"""Every strategy by its name on the command line: what is trained on, and what is tested."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sample_data.shapes import draw_shapes
from tests.support import candidates
from transfer_core.cli import main
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.runs.lab import Lab
from transfer_core.strategies import STRATEGIES, Strategy
from transfer_core.training.spec import RunSpec


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with drawings of all classes in two domains, in the library as `drawn`; the tests only add splits."""
    home = tmp_path_factory.mktemp("place")
    ingest(candidates(draw_shapes(240, seed=1, size=40)), "drawn", Library(home))
    return home


@pytest.fixture
def drawn(place: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    monkeypatch.setenv("TRANSFER_LAB_HOME", str(place))
    library = Library(place)
    return library.get(library.datasets()[0].id)


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunSpec, Split]]:
    """The specs of the runs that would be started, with their splits."""
    specs: list[tuple[RunSpec, Split]] = []

    def start(lab: Lab, spec: RunSpec, **_: Any) -> None:
        specs.append((spec, lab.library.get_split(spec.manifest, spec.split)))
        raise UserError("Only looked at.")

    monkeypatch.setattr(Lab, "start", start)
    return specs


def domains(manifest: Manifest, images: Sequence[str]) -> set[str | None]:
    return {manifest.by_image[image].domain for image in images}


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: each.name)
def test_every_strategy_can_be_named_and_all_are_tested_on_the_same_target(
    drawn: Manifest, asked_for: list[tuple[RunSpec, Split]], strategy: type[Strategy]
) -> None:
    """Supervised ones too, where source and target are named: they train on the source alone."""
    for name in ("source_only", strategy.name):
        main(
            ["train", "--data", "drawn", "--source", "clean", "--target", "photographed", "--strategy", name]
        )
    (twin, _), (spec, split) = asked_for
    assert (spec.strategy, spec.source, spec.target) == (strategy.name, "clean", "photographed")
    assert spec.split == twin.split
    assert split.rule == "transfer"
    assert domains(drawn, split.part("train") + split.part("val")) == {"clean"}
    assert domains(drawn, split.part("test")) == {"photographed"}


def test_a_domain_can_be_left_out(drawn: Manifest, asked_for: list[tuple[RunSpec, Split]]) -> None:
    main(["train", "--data", "drawn", "--split-by", "domain", "--target", "photographed"])
    ((_, split),) = asked_for
    assert split.rule == "domain"
    left_out = {row.image for row in drawn.labelled if row.domain == "photographed"}
    assert left_out == set(split.part("test"))
