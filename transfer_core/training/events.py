"""What a run tells while it goes: one frozen dataclass per kind of event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Progressed:
    """Something before or after the epochs goes on: loading, caching, testing.

    `share` of the whole run that is done, and seconds `left` of it, as a `Course` tells them.
    """

    doing: str
    done: int
    total: int
    epoch: int = 0
    share: float | None = None
    left: float | None = None


@dataclass(frozen=True)
class PhaseStarted:
    """A phase begins; `epoch` epochs of the run are behind it."""

    name: str
    number: int
    phases: int
    cut: int
    parameters: int  # that train in this phase, of what is taken home
    epoch: int
    continues: bool = False  # what the phase before searched for: see `strategies.base.Phase`


@dataclass(frozen=True)
class Stepped:
    """Some steps of epoch `epoch` are done; told a few times a second at most. `share`, `left`: as of `Progressed`."""

    epoch: int
    step: int
    steps: int
    loss: float
    images_per_second: float
    load: Mapping[str, float] = field(default_factory=dict)
    share: float | None = None
    left: float | None = None


@dataclass(frozen=True)
class EpochEnded:
    """The figures of a whole epoch: loss terms and accuracy, of training and validation images."""

    epoch: int
    epochs: int
    train: Mapping[str, float]
    val: Mapping[str, float]
    lr: float
    seconds: float  # of training in this run so far
    best: bool
    target: Mapping[str, float] = field(
        default_factory=dict
    )  # what can be told of target images without labels
    facts: Mapping[str, float] = field(default_factory=dict)  # such as how often a discriminator is right

    def network(self, networks: int) -> int:
        """Return of which of a run's networks it was, from 0; `networks` where all answered together."""
        if networks == 1:
            return 0
        each = (self.epochs - 1) // networks
        return networks if self.epoch == self.epochs else (self.epoch - 1) // each


@dataclass(frozen=True)
class Noted:
    """Something the user should read, in a sentence."""

    text: str
    epoch: int = 0


@dataclass(frozen=True)
class Provisional:
    """A first answer from a sample, long before the first epoch: accuracy in 0..1 with its 95 % interval."""

    accuracy: float
    low: float
    high: float
    trained: int  # images that were learnt from
    tested: int  # validation images
    epoch: int = 0


@dataclass(frozen=True)
class Saving:
    """A checkpoint is about to be written; all that was told so far has to be safe before it is."""

    epoch: int


@dataclass(frozen=True)
class Ended:
    """Training is over; `reason` is finished, stopped, early or diverged."""

    reason: str
    epoch: int
    best: int


Event = Progressed | PhaseStarted | Stepped | EpochEnded | Noted | Provisional | Saving | Ended
KINDS: dict[str, type[Event]] = {
    each.__name__: each
    for each in (Progressed, PhaseStarted, Stepped, EpochEnded, Noted, Provisional, Saving, Ended)
}


def to_record(event: Event) -> tuple[str, dict[str, Any]]:
    """Return (kind, plain data that JSON can hold); `from_record` is the inverse, NaN and infinity apart."""
    return type(event).__name__, _finite(asdict(event))


def from_record(kind: str, data: Mapping[str, Any]) -> Event:
    """Return the event that `to_record` described."""
    return KINDS[kind](**data)


def _finite(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body with numbers that JSON cannot hold as None."""
    return {
        key: _finite(value)
        if isinstance(value, Mapping)
        else None
        if isinstance(value, float) and value - value != 0
        else value
        for key, value in body.items()
    }
