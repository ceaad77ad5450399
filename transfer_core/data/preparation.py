"""From a file nobody has seen to the pixels a model is shown: the same way as in training, and without torch.

What is here can be pickled, so that many files are read in processes of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from transfer_core.data.augment import make_view
from transfer_core.data.images import make_thumbnail, to_pixels, to_rgb
from transfer_core.data.ingest import Candidate
from transfer_core.data.keep import keep
from transfer_core.data.manifest import Problem, Reading
from transfer_core.errors import UserError

SHOWN = 448  # pixels of the longer side of the picture that is kept to be looked at
QUALITY = 95  # of that JPEG: a model is also asked why, of it


@dataclass(frozen=True)
class Prepared:
    """One picture of a file. `pixels` [views, 3, size, size]; `shown`: a JPEG to look at, of at most SHOWN pixels, or nothing."""

    file: str
    pixels: npt.NDArray[np.uint8]
    shown: bytes


@dataclass(frozen=True)
class Preparation:
    """All that decides which pixels a model sees of a file: how a data set is read, and how a run looks at it."""

    reading: Reading
    size: int
    interpolation: str
    geometry: str
    augment: str
    views: int
    seed: int
    shows: bool = True  # whether a picture to look at is made of each

    def make_views(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Return the views [views, 3, size, size] over which a run averages, of an RGB image."""
        whole = to_pixels(image, self.size, self.geometry, self.interpolation)
        return np.stack([make_view(whole, self.augment, view, "", self.seed) for view in range(self.views)])

    def read_bytes(self, data: bytes) -> Image.Image:
        """Return a file's first picture as RGB; UserError where it has none."""
        return to_rgb(keep(data)[0].image, self.reading)

    def read(self, candidate: Candidate) -> Sequence[Prepared | Problem]:
        """Return the pictures of a file (one, or each frame where the data set was read so), or what is wrong with it."""
        try:
            pictures = keep(candidate.read(), each_frame=self.reading.frames == "each")
            found = [
                (f"{candidate.path}#{each.frame}" if len(pictures) > 1 else candidate.path, each.image)
                for each in pictures
            ]
            images = [(name, to_rgb(image, self.reading)) for name, image in found]
            return [
                Prepared(
                    name,
                    self.make_views(image),
                    make_thumbnail(image, SHOWN, QUALITY) if self.shows else b"",
                )
                for name, image in images
            ]
        except UserError as error:
            return [Problem(candidate.path, error.kind, str(error))]
        except OSError as error:
            return [Problem(candidate.path, "unreadable", f"the file cannot be read ({error.strerror})")]
        except Exception:  # one odd file must not take the others with it
            return [Problem(candidate.path, "damaged", "the file is damaged and cannot be read")]


def lost(candidate: Candidate) -> Sequence[Prepared | Problem]:
    """Return what becomes of a file over which the process that read it died."""
    return [Problem(candidate.path, "damaged", "reading the image ended in a crash, or would not end")]
