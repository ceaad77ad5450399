"""One way from bytes to pixels, used by ingest, training, prediction and the galleries alike."""

from __future__ import annotations

import hashlib
import io
import re
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError

Pixels = npt.NDArray[np.uint8]  # [3, height, width], RGB

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
MAX_PIXELS = 50_000_000  # 150 MB as RGB; beyond that decoding one image can exhaust a small machine
GEOMETRIES = {
    "whole": "Whole image: resized to the square, nothing cut away",
    "pad": "Pad to square: keeps the proportions, grey bars at the sides",
    "centre": "Centre crop: the middle 87.5 %, borders are not seen",
}


def decode(data: bytes, reading: Reading) -> Image.Image:
    """Return the image in a file's bytes as 8-bit RGB, upright; UserError says what is wrong.

    Only the first page of a multi-page file is read. Formats are limited to FORMATS, so that no
    rarely used decoder is reachable from an upload.
    """
    if not data:
        raise UserError("the file is empty", "empty")
    _hush_pillow()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            _refuse_giants(opened)
            opened.load()  # verify() passes truncated files; only a full load does not
            return _to_rgb(ImageOps.exif_transpose(opened), reading)
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(_too_large(), "too-large") from None
    except (UnidentifiedImageError, SyntaxError):
        raise UserError("not an image in PNG, JPEG, TIFF, BMP or WebP format", "wrong-type") from None
    except Exception as error:  # decoders raise many kinds; each means that the file is damaged
        raise UserError(f"the image is damaged and cannot be read ({error})", "damaged") from None


def _hush_pillow() -> None:
    """Ignore Pillow's warnings, which are of things that the checks here decide.

    For good: `catch_warnings` belongs to the whole process, and images are decoded in several threads.
    """
    if ("ignore", None, Warning, re.compile("PIL"), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module="PIL")


def _refuse_giants(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UserError(_too_large(), "too-large")


def _too_large() -> str:
    return f"the image has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller"


def _to_rgb(image: Image.Image, reading: Reading) -> Image.Image:
    if image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.uint16)
        return Image.fromarray((values // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        # Without a stated value range any scaling would be a guess that silently changes contrast.
        message = "32-bit images need a stated value range; save it as 8-bit or 16-bit"
        raise UserError(message, "depth")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        shown = image.convert("RGBA")
        paper = Image.new("RGBA", shown.size, reading.background)
        return Image.alpha_composite(paper, shown).convert("RGB")
    return image.convert("RGB")


def to_pixels(
    image: Image.Image, size: int, geometry: str = "whole", interpolation: str = "bicubic"
) -> Pixels:
    """Return an RGB image as a square [3, size, size] uint8 array; `geometry` as in GEOMETRIES."""
    resample = Image.Resampling[interpolation.upper()]
    if geometry == "whole":
        square = image.resize((size, size), resample)
    elif geometry == "pad":
        square = ImageOps.pad(image, (size, size), resample, color=(128, 128, 128))
    elif geometry == "centre":
        square = ImageOps.fit(image, (size, size), resample, bleed=0.0625)
    else:
        raise UserError(f"There is no geometry {geometry!r}; choose one of {', '.join(GEOMETRIES)}.")
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


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


def make_thumbnail(image: Image.Image, edge: int = 192) -> bytes:
    """Return a small JPEG for galleries, without any of the original's metadata."""
    small = image.copy()
    small.info = {}  # Pillow would write a comment on
    small.thumbnail((edge, edge))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return out.getvalue()
