"""Ways of packing that pydicom alone does not read: lossless and 12-bit JPEG, and JPEG 2000 that Pillow refuses.

A decoder plugin as pydicom's guide describes it, on imagecodecs (BSD; libjpeg-turbo and OpenJPEG inside).
"""

from __future__ import annotations

import struct
from threading import Lock
from typing import Any

from pydicom import uid

_JPEG = (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
DECODER_DEPENDENCIES = dict.fromkeys((*_JPEG, *_JPEG_2000), ("imagecodecs",))
_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # of a JPEG (ITU-T T.81, table B.1)
_LOCK = Lock()


def is_available(syntax: str) -> bool:
    """Tell pydicom whether pictures packed in this way can be unpacked."""
    return syntax in DECODER_DEPENDENCIES


def register_codecs() -> None:
    """Let pydicom know of these decoders, once; it tries its own before them."""
    from pydicom.pixels.decoders.base import get_decoder

    with _LOCK:
        for syntax in DECODER_DEPENDENCIES:
            decoder = get_decoder(syntax)
            if "imagecodecs" not in decoder.available_plugins:
                decoder.add_plugin("imagecodecs", (__name__, "decode_frame"))


def is_unpacked(syntax: str) -> bool:
    """Tell whether anything here unpacks pictures that are packed in this way."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def decode_frame(packed: bytes, runner: Any) -> bytes:
    """Return the pixels of one frame, in the colour space of the file, colour by pixel."""
    import imagecodecs

    if _size_of(packed) != (
        runner.columns,
        runner.rows,
    ):  # before anything is unpacked: it may be of any size
        raise ValueError("the packed picture is of another size than the file says")
    if runner.transfer_syntax in _JPEG:
        same = "RGB" if runner.samples_per_pixel == 3 else None  # from and to the same: nothing is turned
        found = imagecodecs.jpeg8_decode(packed, colorspace=same, outcolorspace=same)
    else:
        found = imagecodecs.jpeg2k_decode(packed)
        if runner.photometric_interpretation in ("YBR_RCT", "YBR_ICT"):
            runner.set_option("photometric_interpretation", "RGB")  # OpenJPEG has turned it back
    shape = (runner.rows, runner.columns, *([runner.samples_per_pixel] if found.ndim == 3 else []))
    if found.shape != shape:
        raise ValueError("the packed picture has other channels than the file says")
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * found.itemsize)
    return bytes(found.tobytes())


def _size_of(packed: bytes) -> tuple[int, int] | None:
    """Return width and height as the header of a JPEG or a JPEG 2000 says them; None where it says none."""
    begin = packed.find(b"\xff\x4f\xff\x51")  # of the code stream, which may stand in a file of its own
    if begin >= 0 and len(packed) >= begin + 24:
        right, bottom, left, top = struct.unpack_from(">4I", packed, begin + 8)
        return right - left, bottom - top
    at = 2
    while packed[at : at + 1] == b"\xff" and len(packed) >= at + 9:
        if packed[at + 1] in _FRAME_HEADERS:
            height, width = struct.unpack_from(">2H", packed, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", packed, at + 2)[0]
    return None
