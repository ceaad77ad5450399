"""Health in words: each sickness is named, and a healthy run is not."""

from __future__ import annotations

import pytest

from tests.strategies.test_contract import FACTS, TERMS
from transfer_core.strategies import STRATEGIES
from transfer_core.training.events import EpochEnded
from transfer_core.training.health import check_health, list_parts, of_latest_network

SHARES = {"sound": 0.7, "broken": 0.3}


def epochs(
    domain: list[float] | None = None, broken: float = 0.28, used: float | None = None, reversal: float = 0.9
) -> list[EpochEnded]:
    target = {"share sound": 1 - broken, "share broken": broken}
    rows: list[dict[str, float]] = [
        {"domain accuracy": each, "lambda": reversal} for each in domain or []
    ] or [{}]
    rows = [row | ({} if used is None else {"images learnt from": used}) for row in rows]
    return [
        EpochEnded(n, 9, {}, {}, 0.1, 1.0, best=False, target=target, facts=row) for n, row in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("ends", "sickness"),
    [
        (epochs([1.0, 0.99, 0.98, 0.99]), "it wins"),
        (epochs([0.5, 0.51, 0.49]), "not learnt anything"),
        (epochs([0.95, 0.8, 0.7], broken=0.01), "a collapse"),
        (epochs(used=0.01), "lower the threshold"),
    ],
)
def test_each_sickness_is_named(ends: list[EpochEnded], sickness: str) -> None:
    warnings = [each for each in check_health(ends, SHARES) if each.level == "warning"]
    assert len(warnings) == 1
    assert sickness in warnings[0].text


def test_a_healthy_run_is_not_alarming() -> None:
    for ends in (epochs([0.95, 0.8, 0.7]), epochs(), epochs(used=0.6), epochs([1.0, 1.0, 1.0], reversal=0.1)):
        assert all(each.level != "warning" for each in check_health(ends, SHARES))


def test_every_part_of_an_adaptations_loss_is_told_with_what_it_means() -> None:
    for name in (
        each.name for each in STRATEGIES if each.group == "adaptation" or each.name == "self_training"
    ):
        terms = TERMS[name][-1] | FACTS.get(name, set()) - {"domain accuracy", "images learnt from"}
        ends = [
            EpochEnded(n, 9, dict.fromkeys(terms, value) | {"loss": 1.0}, {}, 0.1, 1.0, best=False)
            for n, value in enumerate((3.0, 2.0))
        ]
        parts = list_parts(ends)
        assert {each.name for each in parts} == terms, name
        assert all((each.first, each.now) == (3.0, 2.0) and each.meaning.endswith(".") for each in parts)


def test_a_run_without_a_target_has_no_health() -> None:
    assert check_health([], SHARES) == []
    assert check_health([EpochEnded(1, 9, {}, {}, 0.1, 1.0, best=False)], SHARES) == []


def test_of_several_networks_the_latest_is_looked_at() -> None:
    """Two of three epochs each, and the seventh of both together."""
    ends = [EpochEnded(n, 7, {}, {}, 0.1, 1.0, best=False) for n in range(1, 8)]
    told = [[each.epoch for each in of_latest_network(ends[:n], 2)] for n in range(8)]
    assert told == [[], [1], [1, 2], [1, 2, 3], [4], [4, 5], [4, 5, 6], [4, 5, 6]]
    assert of_latest_network(ends, 1) == ends
