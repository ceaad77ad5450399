"""The freeze-depth sweep: the same run once for every number of frozen stages (Yosinski et al. 2014)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.models.backbones import get_backbone
from transfer_core.runs.recipes import recipe_key
from transfer_core.strategies import get_strategy
from transfer_core.training.rules import make_spec
from transfer_core.training.spec import RunSpec

ALL = "all"


def sweep_specs(
    manifest: Manifest, split: Split, wishes: Mapping[str, Any], cuts: Sequence[int] | None = None
) -> list[RunSpec]:
    """Return a spec for each cut, all possible ones where none are named; fine-tuning where no strategy is.

    All else is equal: the learning rate and epochs of the wishes, not those that would suit each cut best.
    """
    strategy = get_strategy(wishes.get("strategy") or "fine_tuning")
    if strategy.freezes != "chosen":
        raise UserError(
            f"{strategy.title} leaves no choice of frozen stages: sweep fine-tuning (fine_tuning)."
        )
    stages = len(get_backbone(wishes.get("backbone") or "lite0").stages)
    deepest = stages - strategy.trains_stages
    wanted = sorted(set(range(deepest + 1) if cuts is None else cuts))
    if not wanted or wanted[0] < 0 or wanted[-1] > deepest:
        raise UserError(
            f"The numbers of frozen stages must be from 0 to {deepest}, such as 0,{deepest // 2},{deepest}."
        )
    own = {**wishes, "strategy": strategy.name}
    return [make_spec(manifest, split, {**own, "cut": cut}) for cut in wanted]


def parse_cuts(text: str) -> list[int] | None:
    """Return the cuts that a text such as "0,3,5" names; None for "all"."""
    if text.strip() == ALL:
        return None
    try:
        return [int(each) for each in text.split(",")]
    except ValueError:
        raise UserError(
            f"Cuts are numbers of frozen stages such as 0,3,5, or all, not {text[:40]!r}."
        ) from None


def is_sweep(specs: Sequence[RunSpec]) -> bool:
    """Tell whether specs differ in the number of frozen stages alone, three or more of them."""
    alike = {recipe_key(replace(spec, cut=0)) for spec in specs}
    return len(alike) == 1 and len({spec.cut for spec in specs}) == len(specs) >= 3
