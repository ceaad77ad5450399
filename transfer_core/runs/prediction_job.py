"""One set of images that somebody asked a run about, as it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

SEEN_THROUGH = ("done", "stopped")
OVER = (*SEEN_THROUGH, "failed")
ASKED = ("id", "run", "name", "created", "files", "folder")


@dataclass(frozen=True)
class Job:
    """One set of images somebody asked a run about.

    `state`: waiting, running, done, stopped or failed. `done` of `total` files, `problems` of them could not be read;
    `left` seconds, None where it cannot be told. `fitted_on`: how many validation images tell what is unlike the training
    images, 0 where that is not told, because of `silent`. `error` says in a sentence why it failed. `tried`: how often
    somebody began with it since it last got further.
    """

    id: str
    run: str
    name: str
    created: float
    files: Mapping[str, str] = field(default_factory=dict)  # the user's path -> name in upload/
    folder: str = ""  # of this machine, where the files are not sent
    state: str = "waiting"
    doing: str = ""
    done: int = 0
    total: int = 0
    problems: int = 0
    left: float | None = None
    fitted_on: int = 0
    silent: str = ""
    error: str = ""
    tried: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in OVER

    def asked(self) -> dict[str, object]:
        """Return what was asked, which never changes, as plain data."""
        told = asdict(self)
        return {name: told[name] for name in ASKED}
