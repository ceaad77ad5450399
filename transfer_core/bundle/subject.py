"""What a bundle is made of: plain facts of a finished run, gathered by whoever knows the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transfer_core.data.images import Pixels, decode, to_pixels
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Row
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.evaluation.contest import Pair
from transfer_core.evaluation.decision import Decision
from transfer_core.evaluation.report import Report
from transfer_core.models.backbones import Backbone

Tell = Callable[[str, int, int], object]  # what is being done, how much of it is done, of how much


@dataclass(frozen=True)
class Options:
    """What else goes in. `images`: up to 8 test images; `names`: original file and group names; `int8`: a smaller model."""

    images: bool = False
    names: bool = False
    int8: bool = False


@dataclass(frozen=True)
class Epoch:
    """Loss and accuracy of an epoch's training and validation images."""

    number: int
    train: Mapping[str, float]
    val: Mapping[str, float]


@dataclass(frozen=True)
class Subject:
    """A finished run. `test`: its figures on unseen images; `verdict`: beside its twin without adaptation."""

    run: str
    name: str
    made: str  # date
    strategy: str  # in words
    spec: Mapping[str, Any]
    backbone: Backbone
    views: int
    library: Library
    split: Split
    report: Report
    decision: Decision
    result: Mapping[str, Any]
    test: Mapping[str, Any]
    epochs: Sequence[Epoch]
    note: str = ""  # where the data set comes from
    verdict: Pair | None = None
    cut_short: Sequence[str] = ()  # what the verdict says of a run that was stopped
    adapted: bool = False  # to images of the target domain
    caveats: Sequence[
        str
    ] = ()  # what makes its figures worth less than they look, such as that it was stopped

    @property
    def manifest(self) -> Manifest:
        """The data set."""
        return self.report.manifest

    def tested(self) -> list[Row]:
        """Return the labelled test images, in a canonical order."""
        rows = [row for row, _, _ in self.report.rows("test") if row.label is not None]
        return sorted(rows, key=lambda row: row.image)

    def picture(self, image: str) -> Any:
        """Return an image as 8-bit RGB, as training saw it before it was made square."""
        path = self.library.image_path(image)
        try:
            return decode(path.read_bytes(), self.manifest.reading)
        except FileNotFoundError:
            message = f"The stored image {path} is gone: bring the data set again, which puts it back."
            raise UserError(message, "missing-image") from None

    def prepare(self, picture: Any) -> Pixels:
        """Return a picture as the network takes it: [3, s, s]."""
        geometry = str(self.spec["geometry"])
        return to_pixels(picture, self.backbone.size, geometry, self.backbone.interpolation)
