"""The data that a strategy under test needs."""

from __future__ import annotations

import pytest

from tests.support import Lab
from transfer_core.strategies import FURTHER_LABEL, TARGET, UNLABELLED


@pytest.fixture
def lab(lab: Lab, request: pytest.FixtureRequest) -> Lab:
    """The drawn set, split from one domain to the other and with a further label where a strategy needs it."""
    given = request.node.callspec.params.get("strategy") if hasattr(request.node, "callspec") else None
    strategy = given if isinstance(given, type) else None
    if strategy and FURTHER_LABEL in strategy.needs:
        lab = lab.with_further_label()
    if strategy and strategy.name == "meta_transfer":
        lab = lab.with_many_classes()
    return lab.across_domains() if strategy and {TARGET, UNLABELLED} & set(strategy.needs) else lab
