"""One way from bytes to pixels, used by ingest, training, prediction and the galleries alike."""

from __future__ import annotations

import hashlib
import io
import re
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from transfer_core.data.depth import MAX_PIXELS, Values, count_pages, read_tiff, to_8_bit, too_large
from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError

Pixels = npt.NDArray[np.uint8]  # [3, height, width], RGB

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000", "AVIF", "PPM")
NAMES = "PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000, AVIF, HEIC, PGM or DICOM"
# What a file dialogue offers; a file that is called otherwise is told by its content.
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2", ".j2k", ".avif",
    ".heic", ".heif", ".pbm", ".pgm", ".ppm", ".dcm", ".dicom", ".ima",
)  # fmt: skip
GEOMETRIES = {
    "whole": "Whole image: resized to the square, nothing cut away",
    "pad": "Pad to square: keeps the proportions, grey bars at the sides",
    "centre": "Centre crop: the middle 87.5 %, borders are not seen",
}


def decode(data: bytes, reading: Reading) -> Image.Image:
    """Return the image in a file's bytes as 8-bit RGB, upright; UserError says what is wrong."""
    return to_rgb(open_image(data), reading)


def decode_pixels(data: bytes, reading: Reading, size: int, geometry: str, interpolation: str) -> Pixels:
    """Return what `to_pixels` makes of `decode`; of a grey image faster, its one channel being resized once."""
    opened = open_image(data)
    if isinstance(opened, Values) or opened.mode != "L" or "transparency" in opened.info:
        opened = to_rgb(opened, reading)
    return to_pixels(opened, size, geometry, interpolation)


def open_image(data: bytes, frame: int = 0) -> Image.Image | Values:
    """Return what a file holds, upright: an 8-bit image of any mode, or values of more than 8 bits.

    One frame or page of a file is read, counted from 0. Formats are limited to FORMATS, so that no
    rarely used decoder is reachable from an upload.
    """
    if not data:
        raise UserError("the file is empty", "empty")
    _hush_pillow()
    try:
        values = read_tiff(data, frame)
        if values is not None:
            return values
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            _refuse_giants(opened)
            if frame:
                opened.seek(frame)
            opened.load()  # verify() passes truncated files; only a full load does not
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I;16"):
                return Values(np.asarray(upright, dtype=np.uint16))
            return Values(np.asarray(upright)) if upright.mode in ("I", "F") else upright
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(too_large(), "too-large") from None
    except (UnidentifiedImageError, SyntaxError):
        raise UserError(f"not an image in {NAMES} format", "wrong-type") from None
    except Exception as error:  # decoders raise many kinds; each means that the file is damaged
        raise UserError(f"the image is damaged and cannot be read ({error})", "damaged") from None


def count_frames(data: bytes) -> int:
    """Return how many pages or frames an image file has."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return int(getattr(opened, "n_frames", 1))
    except Exception:  # a TIFF of a type that only tifffile reads
        return count_pages(data)


def _hush_pillow() -> None:
    """Ignore Pillow's warnings, which are of things that the checks here decide.

    For good: `catch_warnings` belongs to the whole process, and images are decoded in several threads.
    """
    if ("ignore", None, Warning, re.compile("PIL"), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module="PIL")


def _refuse_giants(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UserError(too_large(), "too-large")


def to_rgb(image: Image.Image | Values, reading: Reading) -> Image.Image:
    """Return an opened image as 8-bit RGB."""
    if isinstance(image, Values):
        return to_8_bit(image, reading)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        shown = image.convert("RGBA")
        paper = Image.new("RGBA", shown.size, reading.background)
        return Image.alpha_composite(paper, shown).convert("RGB")
    return image.convert("RGB")


def to_pixels(
    image: Image.Image, size: int, geometry: str = "whole", interpolation: str = "bicubic"
) -> Pixels:
    """Return an RGB or grey image as a square [3, size, size] uint8 array; `geometry` as in GEOMETRIES."""
    resample = Image.Resampling[interpolation.upper()]
    if geometry == "whole":
        square = image.resize((size, size), resample)
    elif geometry == "pad":
        middle = 128 if image.mode == "L" else (128, 128, 128)
        square = ImageOps.pad(image, (size, size), resample, color=middle)
    elif geometry == "centre":
        square = ImageOps.fit(image, (size, size), resample, bleed=0.0625)
    else:
        raise UserError(f"There is no geometry {geometry!r}; choose one of {', '.join(GEOMETRIES)}.")
    values = np.asarray(square)
    if values.ndim == 2:
        return np.repeat(values[None], 3, axis=0)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def hash_pixels(image: Image.Image) -> str:
    """Return the sha-256 of an RGB image's size and pixels: equal for re-saved copies."""
    content = f"{image.width}x{image.height}:".encode() + image.tobytes()
    return hashlib.sha256(content).hexdigest()


def get_look(image: Image.Image) -> str:
    """Return a 64-bit perceptual hash as 16 hex digits (DCT hash, as in Zauner 2010).

    The signs of the 8x8 lowest frequencies of a 32x32 grey thumbnail, against their median.
    """
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), dtype=np.float64)
    low = _DCT @ grey @ _DCT.T
    bits = (low > np.median(low)).ravel()
    return np.packbits(bits).tobytes().hex()


def _make_dct() -> npt.NDArray[np.float64]:
    frequency, position = np.meshgrid(np.arange(8), np.arange(32), indexing="ij")
    return np.cos(np.pi * (position + 0.5) * frequency / 32)


_DCT = _make_dct()


def make_thumbnail(image: Image.Image, edge: int = 192, quality: int = 85) -> bytes:
    """Return a small JPEG for galleries, without any of the original's metadata."""
    small = image.copy()
    small.info = {}  # Pillow would write a comment on
    small.thumbnail((edge, edge))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality)
    return out.getvalue()
