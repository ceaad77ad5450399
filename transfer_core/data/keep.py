"""What is kept of a file: its picture or pictures, without loss, and nothing about a person.

A photograph's place and camera, the header of a DICOM file, comments: none of it reaches the disk. A file
that says nothing but its picture is kept byte for byte.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from transfer_core.data.content import HEAD, is_dicom, is_heic
from transfer_core.data.depth import MAX_PIXELS, TIFF, Values, check_series, is_ours, too_large, write_tiff
from transfer_core.data.dicom import read_dicom
from transfer_core.data.images import count_frames, open_image
from transfer_core.errors import UserError

# What a TIFF needs to be read; any other tag may name a person, a place or a device.
_STRUCTURE = {
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 296,
    301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 332, 338, 339, 340, 341, 347, 529, 530, 531, 532,
}  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """One picture of a file. `data` are the bytes to store; `frame` counts from 1 where each frame is kept."""

    data: bytes
    image: Image.Image | Values
    frame: int | None = None
    patient: str = ""  # as the file has it: for a salted hash, never to be stored
    notices: Sequence[tuple[str, str]] = field(default=())


def keep(data: bytes, *, each_frame: bool = False) -> list[Kept]:
    """Return the pictures of a file; UserError says in a sentence why there are none."""
    if is_dicom(data[:HEAD]):
        study = read_dicom(data, all_frames=each_frame)
        numbers = [None] if len(study.frames) == 1 else list(range(1, len(study.frames) + 1))
        return [
            Kept(*_pack(frame, study.facts), number, study.patient, study.notices if first else ())
            for frame, number, first in zip(
                study.frames, numbers, [True] + [False] * len(numbers), strict=False
            )
        ]
    if is_heic(data[:HEAD]):
        return [Kept(*_pack(_read_heic(data)))]
    # A JPEG with another picture behind it is a phone's photograph, not a series.
    count = 1 if data.startswith(b"\xff\xd8") else count_frames(data)
    if count > 1 and each_frame:
        first = open_image(data)
        check_series(count, first.values.size if isinstance(first, Values) else first.width * first.height)
        return [Kept(*_pack(open_image(data, number)), number + 1) for number in range(count)]
    image = open_image(data)
    notices = (
        [("frames", f"the file has {count} pages or frames; the first one is used")] if count > 1 else []
    )
    if isinstance(image, Values) and not image.is_finite:
        notices.append(("not-finite", "some values are not numbers; they are shown as black or white"))
    if data.startswith(b"\x89PNG") and data[24] == 16 and not isinstance(image, Values):
        notices.append(("depth", "the 8 highest of its 16 bits are used; save it as TIFF to use all"))
    return [Kept(*_without_words(data, image), notices=notices)]


def _pack(
    frame: Values | Image.Image | np.ndarray, facts: dict[str, str] | None = None
) -> tuple[bytes, Image.Image | Values]:
    """Return a picture as a file of ours, and as it is opened."""
    if isinstance(frame, Values):
        return write_tiff(frame, facts or {}), frame
    image = Image.fromarray(frame) if isinstance(frame, np.ndarray) else frame
    if "transparency" in image.info or image.mode == "PA":
        image = image.convert("RGBA")  # or what is transparent would be forgotten with the rest of `info`
    elif image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    image.info = {}
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue(), image


def _read_heic(data: bytes) -> Image.Image:
    import pi_heif  # type: ignore[import-untyped]

    try:
        file = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        if file.size[0] * file.size[1] > MAX_PIXELS:
            raise UserError(too_large(), "too-large")
        image: Image.Image = file.to_pillow()
    except UserError:
        raise
    except Exception:
        raise UserError("the HEIC image is damaged and cannot be read", "damaged") from None
    return image


def _without_words(data: bytes, image: Image.Image | Values) -> tuple[bytes, Image.Image | Values]:
    """Return the file without what it says beside its picture: as it is where that is nothing."""
    if data.startswith(b"\xff\xd8"):
        bare = _bare_jpeg(data)
        return (bare, image) if bare == data or _shows(bare, image) else _pack(image)
    if data.startswith(TIFF):
        tags = _tiff_tags(data)
        return (data, image) if tags <= _STRUCTURE else _pack(image)
    if data.startswith(b"\x89PNG"):
        silent = set(_png_chunks(data)) <= _PNG_PICTURE
    elif data.startswith(b"RIFF"):
        silent = set(_riff_chunks(data)) <= _RIFF_PICTURE
    else:  # BMP has room for words before and behind its picture
        silent = False
    return (data, image) if silent else _pack(image)


def _shows(data: bytes, image: Image.Image | Values) -> bool:
    """Tell whether a file shows this image, pixel by pixel: where its structure is odd, it may not."""
    try:
        return np.array_equal(np.asarray(open_image(data)), np.asarray(image))
    except UserError:
        return False


# What a picture is made of; any other chunk, and whatever follows the last, may say something.
_PNG_PICTURE = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs",
                b"acTL", b"fcTL", b"fdAT"}  # fmt: skip
_RIFF_PICTURE = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
_REST = b"rest"


def _png_chunks(data: bytes) -> Iterator[bytes]:
    at, kind = 8, b""
    while at + 8 <= len(data) and kind != b"IEND":
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind = data[at + 4 : at + 8]
        yield kind
        at += 12 + length
    if at < len(data):
        yield _REST


def _riff_chunks(data: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(data):
        (length,) = struct.unpack("<I", data[at + 4 : at + 8])
        yield data[at : at + 4]
        at += 8 + length + length % 2
    if at < len(data) or int.from_bytes(data[4:8], "little") + 8 < len(data):
        yield _REST


def _bare_jpeg(data: bytes) -> bytes:
    """Return a JPEG, its picture untouched, with no segment but those the picture needs, and its orientation.

    Dropped are comments, APP1 to APP13 and APP15, and whatever follows the picture (phones put another one there).
    APP0 (JFIF) and APP14 (how the inks are meant) stay.
    """
    kept, talked, at = [data[:2]], False, 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # padding before a marker
            at += 1
            continue
        if kind == 0xD9:
            break
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        end = _end_of_scan(data, end) if kind == 0xDA else end
        if kind == 0xFE or (0xE1 <= kind <= 0xEF and kind != 0xEE):
            talked |= data[at + 4 : at + 8] == b"Exif"
        else:
            kept.append(data[at:end])
        at = end
    if talked:
        kept.insert(1, _orientation(data))
    return b"".join(kept) + b"\xff\xd9"


def _end_of_scan(data: bytes, at: int) -> int:
    """Return where the next marker is that does not belong to the compressed pixels themselves."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data)
        if data[at + 1] != 0 and data[at + 1] != 0xFF and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 1 if data[at + 1] == 0xFF else 2


def _orientation(data: bytes) -> bytes:
    """Return a segment that says how a JPEG is to be turned, and nothing else; none where it stands upright."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as opened:
        turned = opened.getexif().get(0x0112, 1)
    if turned not in range(2, 9):
        return b""
    exif = Image.Exif()
    exif[0x0112] = turned
    body = exif.tobytes()
    body = body if body.startswith(b"Exif") else b"Exif\0\0" + body
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _tiff_tags(data: bytes) -> set[int]:
    """Return the tags of all pages, without the description where it is one of ours."""
    from tifffile import TiffFile

    try:
        with TiffFile(io.BytesIO(data)) as file:
            tags = {tag.code for page in file.pages for tag in page.tags}  # type: ignore[union-attr]
            return tags - {270} if is_ours(file.pages[0].description) else tags  # type: ignore[union-attr]
    except Exception:  # Pillow read it all the same; what else is in it cannot be told
        return {0}
