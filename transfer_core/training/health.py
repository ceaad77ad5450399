"""Whether an adaptation is in good health, in words: collapse, a discriminator that wins or does not learn.

Seen from what the epochs tell; no label of the target is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from transfer_core.training.events import EpochEnded

WINS, BLIND = 0.97, 0.55  # domain accuracies: told apart entirely; hardly at all
FEW = 0.1  # of the unlabelled images learnt from
RARE = 0.1  # of a class's share in the source, below which it is called vanished


PARTS = {  # of a loss, and what is watched beside it -> what it is, and where it should go
    "cross-entropy": "Mistakes on labelled images; should fall.",
    "domain": "The discriminator's mistakes: 0.69 is guessing, and the nearer to that, the better the domains mix.",
    "lambda": "How strongly features are pulled together; grows towards 1 by itself.",
    "distance": "How far apart the features of the two domains lie; should fall.",
    "confusion": "How undecided the answers on the target are; should fall.",
    "class shares": "How far the classes called on the target are from the source's shares; should stay near 0.",
    "pseudo-labels": "Disagreement with its own sure answers; 0 until they count, then small.",
    "cross-entropy again": "Mistakes on labelled images while the two judges are set apart; should fall.",
    "disagreement": "How far the two judges differ on the target, as a negative number; should come near 0.",
    "agreement": "The same after the features were brought together; should come near 0.",
}


@dataclass(frozen=True)
class Part:
    """A part of the loss, or what is watched beside it: in the first epoch that had it, and now."""

    name: str
    first: float
    now: float
    meaning: str


@dataclass(frozen=True)
class Finding:
    """One sentence on a run's health; "warning" says what to do."""

    level: Literal["good", "note", "warning"]
    text: str


def of_latest_network(ends: Sequence[EpochEnded], networks: int) -> Sequence[EpochEnded]:
    """Return the epochs of the network that trains, or trained last: each begins anew, and then comes that of all together."""
    if networks == 1 or not ends:
        return ends
    each = (ends[0].epochs - 1) // networks
    own = [end for end in ends if end.epoch <= networks * each]
    return [end for end in own if (end.epoch - 1) // each == (own[-1].epoch - 1) // each]


def check_health(
    ends: Sequence[EpochEnded], shares: Mapping[str, float], *, adapts: bool = True
) -> list[Finding]:
    """Return what there is to say after some epochs; `shares` of the classes among the source's images.

    `adapts`: whether the run adapts at all; a baseline gets no advice on adaptation.
    """
    if not ends or not (ends[-1].target or ends[-1].facts):
        return []
    return [*_domains(ends), *_classes(ends[-1], shares, adapts), *_pseudo_labels(ends[-1])]


def list_parts(ends: Sequence[EpochEnded]) -> list[Part]:
    """Return each part of the loss of the phase that is on, and lambda, with what it means."""
    now = {**ends[-1].train, **ends[-1].facts}
    first: dict[str, float] = {}
    for each in reversed(ends):
        first |= {**each.train, **each.facts}
    return [Part(name, first[name], now[name], told) for name, told in PARTS.items() if name in now]


def called(last: EpochEnded, shares: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return (share of the target's images called so, share in the source) by class; empty where nothing was told."""
    said = {name: last.target.get(f"share {name}") for name in shares}
    return {name: (share, shares[name]) for name, share in said.items() if share is not None}


def _domains(ends: Sequence[EpochEnded]) -> list[Finding]:
    seen = [each.facts["domain accuracy"] for each in ends if "domain accuracy" in each.facts]
    if not seen:
        return []
    now = f"The discriminator, which guesses the domain from the features, is right {_percent(seen[-1])} of the time"
    strength = ends[-1].facts.get("lambda", 0.0)
    if len(seen) >= 3 and min(seen[-3:]) >= WINS and strength > 0.5:
        text = f"{now}: it wins, and the features do not mix. Freeze fewer stages, or raise the weight of the domain loss."
        return [Finding("warning", text)]
    if len(seen) >= 2 and max(seen) <= BLIND:
        text = f"{now}: it has not learnt anything, so nothing is adapted. Raise the learning rate, or lower the dropout."
        return [Finding("warning", text)]
    if seen[-1] < seen[0]:
        return [
            Finding("good", f"{now}, {_percent(seen[0])} at first. It should go on falling towards 50 %.")
        ]
    text = f"{now}. That it rises at first is usual: it learns faster than the features mix. Then it should fall towards 50 %."
    return [Finding("note", text)]


def _classes(last: EpochEnded, shares: Mapping[str, float], adapts: bool) -> list[Finding]:
    said = called(last, shares)
    if not said:
        return []
    gone = {name: each for name, each in said.items() if each[0] < RARE * each[1]}
    if gone:
        words = ", ".join(
            f"{name} ({_percent(now, 1)}, in the source {_percent(own)})" for name, (now, own) in gone.items()
        )
        cure = " Raise the weight of equal class shares, or lower that of the adaptation." if adapts else ""
        text = f"Hardly any image of the target is called {words}: a collapse.{cure}"
        return [Finding("warning", text)]
    return [Finding("good", "Every class of the source is called on the target too.")]


def _pseudo_labels(last: EpochEnded) -> list[Finding]:
    used = last.facts.get("images learnt from")
    if used is None:
        return []
    if used < 0.02:
        few = (
            f"Only {_percent(used, 1)} of the unlabelled images are"
            if used >= 0.0005
            else "No unlabelled image is"
        )
        text = f"{few} sure enough to be learnt from: lower the threshold."
        return [Finding("warning", text)]
    text = f"{_percent(used)} of the unlabelled images are sure enough to be learnt from"
    if used < FEW:
        return [Finding("note", f"{text}: few as yet. The share should grow.")]
    return [Finding("good", f"{text}.")]


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"
