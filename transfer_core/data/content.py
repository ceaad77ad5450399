"""What a file is, told by its first bytes: a picture's name may end in anything, or in nothing."""

from __future__ import annotations

import struct

HEAD = 512  # bytes that are enough to tell
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF = (b"avif", b"avis")
_BEGINNINGS = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a",
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51",
)  # fmt: skip
_BMP_HEADERS = tuple(struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124))
_VRS = (b"AE", b"CS", b"DA", b"IS", b"LO", b"OB", b"OW", b"PN", b"SH", b"ST", b"TM", b"UI", b"UL", b"US", b"UT")  # fmt: skip


def is_picture(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes is of a format that is read here."""
    if head.startswith(_BEGINNINGS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    is_bmp = head[:2] == b"BM" and head[14:18] in _BMP_HEADERS
    return is_bmp or is_heic(head) or is_avif(head) or is_netpbm(head) or is_dicom(head)


def is_avif(head: bytes) -> bool:
    """Tell whether a file is AVIF: by its own brand, or by one it says to be compatible with."""
    brands = _brands(head)
    return bool(brands) and (brands[0] in AVIF or (brands[0] in (b"mif1", b"msf1") and b"avif" in brands))


def is_heic(head: bytes) -> bool:
    """Tell whether a file is HEIC."""
    brands = _brands(head)
    return bool(brands) and brands[0] in HEIC and not is_avif(head)


def is_netpbm(head: bytes) -> bool:
    """Tell whether a file is PBM, PGM or PPM."""
    return head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n" and len(head) > 6


def is_dicom(head: bytes) -> bool:
    """Tell whether a file is DICOM, with or without the 128 bytes and the word that come before the data set."""
    return head[128:132] == b"DICM" or is_bare_dicom(head)


def is_bare_dicom(head: bytes) -> bool:
    """Tell whether a file begins with the data set itself: two elements of its first group, in order."""
    for order in "<>":
        first = _element(head, 0, order)
        if first and first[0] in (0x0002, 0x0008):
            second = _element(head, first[2], order)
            if second and (first[0], first[1]) < (second[0], second[1]) and second[0] <= 0x0010:
                return True
    return False


def _element(head: bytes, at: int, order: str) -> tuple[int, int, int] | None:
    """Return group, number and end of the DICOM element that stands there; None where none can."""
    if len(head) < at + 8:
        return None
    group, number, length = struct.unpack(f"{order}HHI", head[at : at + 8])
    begin = at + 8
    if head[at + 4 : at + 6] in _VRS:
        (length,) = struct.unpack(f"{order}H", head[at + 6 : at + 8])
        if head[at + 4 : at + 6] in (b"OB", b"OW", b"UT"):
            begin = at + 12
            (length,) = struct.unpack(f"{order}I", head[at + 8 : at + 12].ljust(4, b"\0"))
    return (group, number, begin + length) if length < HEAD else None


def _brands(head: bytes) -> list[bytes]:
    """Return the brands of a file in the manner of ISO 14496-12, its own first."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4]), len(head), 200)
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
