"""What there is to choose from: the commands that list backbones and strategies."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from transfer_core.cli_house import Answer
from transfer_core.files import get_home


def backbones(options: argparse.Namespace) -> Answer:
    """List the backbones and whether their weights are here."""
    from transfer_core.models.backbones import BACKBONES
    from transfer_core.models.weights import find_weights

    home = get_home()
    rows = []
    for each in BACKBONES:
        facts = asdict(each) | {"parameters": each.parameters, "gflops": each.gflops}
        rows.append(facts | {"here": find_weights(each, home) is not None})
    lines = [
        f"{row['key']:<20}{row['parameters'] / 1e6:7.1f} M{row['gflops']:7.2f} GFLOPs{row['top1']:7.1f} %  "
        f"{'here' if row['here'] else 'not here'}"
        for row in rows
    ]
    return {"backbones": rows}, "\n".join(lines), 0


def strategies(options: argparse.Namespace) -> Answer:
    """List the strategies, what they need and their knobs."""
    from transfer_core.knobs import get_knobs
    from transfer_core.strategies import STRATEGIES

    rows: list[dict[str, Any]] = []
    lines = []
    for each in STRATEGIES:
        knobs = [asdict(knob) | {"type": knob.type.__name__} for knob in get_knobs(each)]
        rows.append(
            {
                "name": each.name,
                "title": each.title,
                "about": each.about,
                "group": each.group,
                "cost": each.costs(),
                "needs": list(each.needs),
                "knobs": knobs,
            }
        )
        lines += [f"{each.name}: {each.about}", f"  needs {each.in_need_of()}; cost: {each.costs()}"]
        lines += [
            f"  --set {knob['name']}={knob['default']}  {knob['label']}. {knob['help']}" for knob in knobs
        ]
    return {"strategies": rows}, "\n".join(lines), 0
