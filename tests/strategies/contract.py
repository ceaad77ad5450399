"""What the two halves of the contract share: every strategy, on data that it can learn from."""

from __future__ import annotations

import pytest

from transfer_core.strategies import STRATEGIES, Strategy

every = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: each.name)


def cuts(strategy: type[Strategy]) -> dict[str, int]:
    return {"cut": 2} if strategy.freezes == "chosen" else {}
