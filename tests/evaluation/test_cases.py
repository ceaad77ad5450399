"""The images behind a figure are those that the figure counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from transfer_core.data.manifest import Manifest, Row
from transfer_core.evaluation.cases import Cases, make_cases, metrics_of_domains
from transfer_core.evaluation.decision import Wishes, fit_decision
from transfer_core.evaluation.metrics import exact
from transfer_core.evaluation.report import Report

CLASSES = ("a", "b", "c")


def made(n: int = 400, seed: int = 0, grouped: bool = False) -> tuple[Report, Cases]:
    rng = np.random.default_rng(seed)
    rows = tuple(
        Row(f"{i:064x}", f"{i:064x}", f"{i}.png", 9, 9, CLASSES[rng.integers(3)] if i % 7 else None,
            domain=f"d{i % 3}" if i % 5 else None, group=f"g{i // 20}")
        for i in range(n)
    )  # fmt: skip
    parts = tuple("test" if i % 2 else "val" for i in range(n))
    chances = rng.dirichlet([1, 1, 1], n).astype(np.float32)
    report = Report(Manifest("set", CLASSES, rows), tuple(r.image for r in rows), parts, chances, grouped, {})
    return report, make_cases(report)


def test_images_of_classes_that_are_not_asked_about_fit_no_temperature() -> None:
    report, _ = made()
    report.probabilities[:, 2] = 0  # the source's class, which is never said
    report = replace(report, about={"asked": ["a", "b"]})
    assert {row.label for row in make_cases(report, "val").rows} == {"a", "b"}
    of_source = replace(
        report, parts=tuple("val" if row.label == "c" else "test" for row in report.manifest.rows)
    )
    decision = fit_decision(make_cases(of_source, "val"), Wishes(), shifted=True, grouped=False)
    assert (decision.temperature, decision.images) == (1.0, 0)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_domain_has_one_interval_in_chart_and_table(grouped: bool) -> None:
    report, cases = made(grouped=grouped)
    table = metrics_of_domains(report, cases)
    for part in cases.by("domain", grouped=grouped):
        assert part.accuracy_ci == table[part.name].accuracy_ci


def test_every_cell_opens_as_many_images_as_it_says() -> None:
    report, cases = made()
    confusion = report.metrics().confusion
    for true, row in enumerate(confusion):
        for said, count in enumerate(row):
            places = cases.find(label=CLASSES[true], said=CLASSES[said])
            assert len(places) == count
            assert (cases.truth[places] == true).all()
            assert (cases.said[places] == said).all()
    assert len(cases.find(wrong=True)) == report.metrics().n - report.metrics().correct


def test_the_most_surprising_comes_first() -> None:
    report, cases = made()
    order = cases.find()
    given = {row.image: p[CLASSES.index(row.label or "")] for row, _, p in report.rows("test") if row.label}
    told = [given[cases.rows[place].image] for place in order]
    assert told == sorted(told)
    assert len(order) == report.metrics().n


@pytest.mark.parametrize("what", ["domain", "group"])
def test_parts_hold_each_image_once(what: str) -> None:
    _, cases = made()
    for part in cases.by(what):
        own = cases.find(**{what: part.name})
        assert part.n == len(own)
        assert part.correct == (cases.truth[own] == cases.said[own]).sum()
        assert part.accuracy_ci == exact(part.correct, part.n)
    named = [row for row in cases.rows if getattr(row, what)]
    assert sum(part.n for part in cases.by(what)) == len(named)


def test_a_part_is_called_worse_by_a_test_that_counts_the_parts() -> None:
    _, cases = made()
    parts = cases.by("group")
    share = sum(part.correct for part in parts) / sum(part.n for part in parts)
    for part in parts:
        p = binomtest(part.correct, part.n, share, alternative="less").pvalue
        assert part.is_worse == (p * len(parts) < 0.05)


def test_by_chance_hardly_any_part_is_called_worse() -> None:
    called = [any(part.is_worse for part in made(seed=seed)[1].by("group")) for seed in range(100)]
    assert np.mean(called) <= 0.07


def test_a_part_that_is_worse_is_called_so() -> None:
    _, cases = made(n=1000)
    spoilt = np.array([row.group == "g3" for row in cases.rows])
    said = np.where(spoilt, (cases.truth + 1) % 3, cases.truth)
    worse = Cases(cases.rows, cases.classes, cases.truth, said, cases.probabilities)
    assert [part.name for part in worse.by("group") if part.is_worse] == ["g3"]


def test_domains_of_few_groups_are_hardly_called_worse_by_chance() -> None:
    """Groups are right or wrong as a whole, alike in all domains: image by image one domain would often stand out."""
    told, naive = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        lucky = rng.random(30) < 0.8
        rows = tuple(
            Row(
                f"{i:064x}", f"{i:064x}", f"{i}.png", 9, 9, "a", domain=f"d{i // 20 % 3}", group=f"g{i // 20}"
            )
            for i in range(600)
        )
        said = np.where(lucky[np.arange(600) // 20], 0, 1)
        cases = Cases(rows, CLASSES, np.zeros(600, np.int64), said, np.eye(3)[said])
        told.append(any(part.is_worse for part in cases.by("domain", grouped=True)))
        naive.append(any(part.is_worse for part in cases.by("domain")))
    assert np.mean(told) < 0.2 < np.mean(naive)


@pytest.mark.parametrize("grouped", [False, True])
def test_the_figures_of_domains_add_up(grouped: bool) -> None:
    report, cases = made(grouped=grouped)
    each = metrics_of_domains(report, cases)
    for name, metrics in each.items():
        own = cases.find(domain=name)
        assert (metrics.n, metrics.correct) == (len(own), (cases.truth[own] == cases.said[own]).sum())
        assert metrics.resampled == ("groups" if grouped else "images")
