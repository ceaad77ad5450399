"""Whether an adaptation is in good health, in words: collapse, a discriminator that wins or does not learn.

Seen from what the epochs tell; no label of the target is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from transfer_core.training.events import EpochEnded

WINS, BLIND = 0.97, 0.55  # domain accuracies: told apart entirely; hardly at all
RARE = 0.1  # of a class's share in the source, below which it is called vanished


@dataclass(frozen=True)
class Finding:
    """One sentence on a run's health; "warning" says what to do."""

    level: Literal["good", "note", "warning"]
    text: str


def check_health(
    ends: Sequence[EpochEnded], shares: Mapping[str, float], *, adapts: bool = True
) -> list[Finding]:
    """Return what there is to say after some epochs; `shares` of the classes among the source's images.

    `adapts`: whether the run adapts at all; a baseline gets no advice on adaptation.
    """
    if not ends or not (ends[-1].target or ends[-1].facts):
        return []
    return [*_domains(ends), *_classes(ends[-1], shares, adapts), *_pseudo_labels(ends[-1])]


def _domains(ends: Sequence[EpochEnded]) -> list[Finding]:
    seen = [each.facts["domain accuracy"] for each in ends if "domain accuracy" in each.facts]
    if not seen:
        return []
    now = f"The discriminator tells the domains apart {seen[-1]:.0%} of the time"
    strength = ends[-1].facts.get("lambda", 0.0)
    if len(seen) >= 3 and min(seen[-3:]) >= WINS and strength > 0.5:
        text = f"{now}: it wins, and the features do not mix. Freeze fewer stages, or raise the weight of the domain loss."
        return [Finding("warning", text)]
    if len(seen) >= 2 and max(seen) <= BLIND:
        text = f"{now}: it has not learnt anything, so nothing is adapted. Raise the learning rate, or lower the dropout."
        return [Finding("warning", text)]
    return [
        Finding(
            "good" if seen[-1] < seen[0] else "note", f"{now}. It should fall from about 100 % towards 50 %."
        )
    ]


def _classes(last: EpochEnded, shares: Mapping[str, float], adapts: bool) -> list[Finding]:
    said = {name: last.target[f"share {name}"] for name in shares if f"share {name}" in last.target}
    if not said:
        return []
    gone = [name for name, share in said.items() if share < RARE * shares[name]]
    if gone:
        words = ", ".join(f"{name} ({said[name]:.1%}, in the source {shares[name]:.0%})" for name in gone)
        cure = " Raise the weight of equal class shares, or lower that of the adaptation." if adapts else ""
        text = f"Hardly any image of the target is called {words}: a collapse.{cure}"
        return [Finding("warning", text)]
    words = ", ".join(f"{name} {share:.0%} (source {shares[name]:.0%})" for name, share in said.items())
    return [Finding("good", f"Called on the target: {words}.")]


def _pseudo_labels(last: EpochEnded) -> list[Finding]:
    used = last.facts.get("images learnt from")
    if used is None:
        return []
    if used < 0.02:
        text = f"Only {used:.1%} of the unlabelled images are sure enough to be learnt from: lower the threshold."
        return [Finding("warning", text)]
    return [Finding("good", f"{used:.0%} of the unlabelled images are sure enough to be learnt from.")]
