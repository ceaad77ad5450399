"""Values of more than 8 bits: read as they are, and brought to 8 bits by one range for the whole data set.

A range of its own for every image would hide how bright they are beside each other, and the plain conversion
of Pillow puts nearly all 16-bit values at white. So black and white are found once, over all images, kept with
the data set (`Reading`), and used in training, prediction and export alike.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
MAX_PIXELS = 50_000_000  # 150 MB as RGB; beyond that decoding one image can exhaust a small machine
MAX_SERIES = 4 * MAX_PIXELS  # pixels of all frames of one file, which are in memory together
FULL = 2**14  # an image that reaches this value uses its 16 bits
MARK = "transfer-lab"  # in the description of files that we wrote ourselves


@dataclass(frozen=True)
class Values:
    """An image of more than 8 bits. `values` is [height, width] or [height, width, 3 or 4]."""

    values: npt.NDArray[Any]
    window: tuple[float, float] | None = None  # what the file itself wants to be black and white
    inverted: bool = False  # small values are bright (MONOCHROME1)
    empty: float | None = None  # the number that stands where there is no picture: no value, shown as black

    @property
    def is_finite(self) -> bool:
        """Whether every value is a number."""
        return bool(np.isfinite(self.values).all())

    @property
    def colours(self) -> npt.NDArray[Any]:
        """The values [height, width] or [height, width, 3], without opacity."""
        return self.values[..., :3] if self.values.ndim == 3 else self.values

    @property
    def blank(self) -> npt.NDArray[np.bool_]:
        """Where there is no picture [height, width]: every channel has the number that says so."""
        found = np.asarray(self.colours == self.empty)
        return found if found.ndim == 2 else np.asarray(found.all(axis=2))

    def known(self) -> npt.NDArray[Any]:
        """Return the values that are numbers and belong to the picture, in a row; UserError where there is none."""
        seen = self.colours if self.empty is None else self.colours[~self.blank]
        found: npt.NDArray[Any] = seen[np.isfinite(seen)]
        if not found.size:
            raise UserError("the image holds no numbers, or all of it is declared to be empty", "damaged")
        return found


def too_large() -> str:
    """Return what is said of a giant."""
    return f"the image has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller"


def check_series(frames: int, pixels: int) -> None:
    """Raise UserError where so many frames of so many pixels are more than can be taken in at once."""
    if frames * pixels > MAX_SERIES:
        most = max(1, MAX_SERIES // max(pixels, 1))
        message = f"the file has {frames:,} frames, and at most {most:,} of this size can be taken in at once: bring it in parts"
        raise UserError(message, "too-large")


def to_8_bit(image: Values, reading: Reading) -> Image.Image:
    """Return the image as 8-bit RGB, black and white where the reading says."""
    low, high = _black_and_white(image, reading)
    known = np.nan_to_num(image.colours.astype(np.float64), nan=low, posinf=high, neginf=low)
    grey = np.rint(np.clip((known - low) / max(high - low, 1e-30), 0, 1) * 255).astype(np.uint8)
    grey = 255 - grey if image.inverted else grey
    if image.empty is not None:
        grey[image.blank] = 0
    shown = Image.fromarray(grey).convert("RGB")
    if image.values.ndim == 3 and image.values.shape[2] == 4:
        top = np.iinfo(image.values.dtype).max if image.values.dtype.kind == "u" else 1.0
        alpha = np.rint(np.clip(image.values[..., 3] / top, 0, 1) * 255).astype(np.uint8)
        paper = Image.new("RGB", shown.size, reading.background)
        return Image.composite(shown, paper, Image.fromarray(alpha))
    return shown


def share_outside(image: Values, reading: Reading) -> float:
    """Return the share of an image's values that lie beyond black and white."""
    low, high = _black_and_white(image, reading)
    seen = image.known()
    return float(np.mean((seen < low) | (seen > high)))


def _black_and_white(image: Values, reading: Reading) -> tuple[float, float]:
    if image.window and reading.depth != "range":
        return image.window
    if reading.low is not None and reading.high is not None:
        return reading.low, reading.high
    # Sixteen bits that are used mean what 8 bits mean; 10 to 14 of a sensor in them would be nearly black.
    if image.values.dtype == np.uint16 and image.values.max(initial=0) >= FULL:
        return 0.0, 65535.0
    message = (
        "the model was trained on images of 8 bits and this one has more, so its black and white would be guessed; "
        "save it with 8 bits, or train on images like it"
    )
    raise UserError(message, "depth")


def read_tiff(data: bytes, page: int = 0) -> Values | None:
    """Return the values of a TIFF of more than 8 bits; None where Pillow reads it just as well.

    tifffile knows the types that Pillow does not (16-bit colour becomes 8-bit there without a word).
    """
    from tifffile import TiffFile

    if not data.startswith(TIFF):
        return None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it would log, a refusal says
    try:
        file = TiffFile(io.BytesIO(data))
        found: Any = file.pages[page]
        kind, pixels = found.dtype, found.imagelength * found.imagewidth
    except Exception:  # Pillow then says what is wrong with it
        return None
    with file:
        if kind is None or kind.itemsize == 1 or kind.kind not in "uif":
            return None
        if pixels > MAX_PIXELS:  # before anything is unpacked
            raise UserError(too_large(), "too-large")
        window, inverted, empty = _own_words(found)
        inverted ^= int(found.photometric or 0) == 0  # MINISWHITE
        return Values(_upright(_channels_last(found), found), window, inverted, empty)


def count_pages(data: bytes) -> int:
    """Return how many pages a TIFF has; 1 for what is none."""
    from tifffile import TiffFile

    try:
        with TiffFile(io.BytesIO(data)) as file:
            return len(file.pages)
    except Exception:
        return 1


def _channels_last(page: Any) -> npt.NDArray[Any]:
    try:
        values = page.asarray()
    except Exception as error:
        if "imagecodecs" in str(error):
            how = str(page.compression.name)
            message = (
                f"the TIFF is packed in a way that is not read here ({how}); save it uncompressed or deflated"
            )
            raise UserError(message, "packing") from None
        raise
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif page.axes not in ("YX", "YXS"):
        raise UserError("the TIFF holds a volume, not a picture; save its slices one by one", "volume")
    if values.ndim == 3 and values.shape[2] in (1, 2):
        values = values[..., 0]
    if values.ndim == 3 and values.shape[2] > 4:
        message = f"the image has {values.shape[2]} channels; save one, three or four of them"
        raise UserError(message, "channels")
    return np.ascontiguousarray(values)


def _upright(values: npt.NDArray[Any], page: Any) -> npt.NDArray[Any]:
    """Turn and mirror as the orientation tag says (TIFF 6.0, tag 274)."""
    tag = page.tags.get(274)
    ways: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
        2: lambda v: v[:, ::-1], 3: lambda v: v[::-1, ::-1], 4: lambda v: v[::-1],
        5: lambda v: v.swapaxes(0, 1), 6: lambda v: np.rot90(v, -1), 7: lambda v: v[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90,
    }  # fmt: skip
    way = ways.get(int(tag.value) if tag else 1)
    return np.ascontiguousarray(way(values) if way else values)


def write_tiff(image: Values, facts: dict[str, Any]) -> bytes:
    """Return a TIFF of the values without loss, with window, inversion and some facts in its description."""
    from tifffile import imwrite

    about = {"by": MARK, "window": image.window, "inverted": image.inverted, **facts}
    if image.empty is not None:
        about["empty"] = image.empty
    out = io.BytesIO()
    colour = image.values.ndim == 3
    imwrite(
        out, image.values, photometric="rgb" if colour else "minisblack", compression="zlib", metadata=None,
        description=json.dumps(about, sort_keys=True), software=False,
    )  # fmt: skip
    return out.getvalue()


def is_ours(description: str) -> bool:
    """Tell whether a TIFF's description is one that `write_tiff` wrote."""
    return bool(_read_description(description))


def _own_words(page: Any) -> tuple[tuple[float, float] | None, bool, float | None]:
    """Return window, inversion and the mark of emptiness where the file is one that `write_tiff` wrote."""
    about = _read_description(page.description)
    window, empty = about.get("window"), about.get("empty")
    return (
        (float(window[0]), float(window[1])) if window else None,
        bool(about.get("inverted")),
        None if empty is None else float(empty),
    )


def _read_description(description: str) -> dict[str, Any]:
    try:
        about = json.loads(description)
        return about if about["by"] == MARK else {}
    except (ValueError, KeyError, TypeError):
        return {}
