"""DICOM: the values of the picture, its window, and the few facts about it that name nobody.

Order as in the standard (PS3.3 C.11): modality transformation, then the window of interest, then the inversion
of MONOCHROME1. Nothing else of the header is kept, shown or logged.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from transfer_core.data.content import HEAD, is_bare_dicom
from transfer_core.data.depth import MAX_PIXELS, Values, check_series, too_large
from transfer_core.data.dicom_codecs import is_unpacked, register_codecs
from transfer_core.data.dicom_grey import read_grey
from transfer_core.errors import UserError

KEPT = ("Modality", "BodyPartExamined", "PixelSpacing", "ImagerPixelSpacing")  # all that is kept of a header
BURNED = ("US", "SC", "OT", "XA", "RF")  # kinds of images that often have names written into the picture


@dataclass(frozen=True)
class Study:
    """What is taken from a file: one picture a frame, facts, and who it is of (never to be kept as it is)."""

    frames: tuple[Values | npt.NDArray[np.uint8], ...]  # values, or RGB [height, width, 3]
    facts: dict[str, str]
    patient: str = ""
    notices: tuple[tuple[str, str], ...] = field(default=())  # kind and sentence


_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DIRECTORY = "1.2.840.10008.1.3.10"
_SEGMENTATIONS = (
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.66.5",
    "1.2.840.10008.5.1.4.1.1.66.7",
)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
MAX_UNPACKED = 200_000_000  # bytes


def read_dicom(data: bytes, *, all_frames: bool = False) -> Study:
    """Return pictures and facts; UserError says in a sentence what is wrong, without a word of the header."""
    _hush()
    register_codecs()
    _refuse_bombs(data)
    try:
        dataset = _open(data)
        count, rows, columns = (int(dataset.get(name) or 1) for name in ("NumberOfFrames", "Rows", "Columns"))
        refusal = _why_no_picture(dataset)
    except Exception:  # damage shows in many ways
        raise UserError("the DICOM file is damaged", "damaged") from None
    if refusal:
        raise refusal
    if rows * columns > MAX_PIXELS:
        raise UserError(too_large(), "too-large")
    if all_frames:
        check_series(count, rows * columns)
    frames = tuple(_read_frame(dataset, index) for index in range(count if all_frames else 1))
    return Study(
        frames,
        _facts(dataset),
        str(dataset.get("PatientID") or ""),
        tuple(_notices(dataset, count, all_frames)),
    )


def _open(data: bytes) -> Any:
    import pydicom
    from pydicom.dataset import FileMetaDataset

    bare = is_bare_dicom(data[:HEAD])
    dataset = pydicom.dcmread(io.BytesIO(data), force=bare)
    packed = _PIXELS[0] in dataset and bytes(dataset.PixelData[:4]) == b"\xfe\xff\x00\xe0"
    if bare and "TransferSyntaxUID" not in dataset.file_meta and not packed:
        dataset.file_meta = FileMetaDataset()
        implicit, little = dataset.original_encoding
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = plain if little else ExplicitVRBigEndian
    return dataset


def _why_no_picture(dataset: Any) -> UserError | None:
    """Say why a file holds no picture, by the kind that it says to be of; None where it holds one."""
    kind = UID(str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or ""))
    if kind == _DIRECTORY or "DirectoryRecordSequence" in dataset:
        return UserError("a list of other DICOM files (DICOMDIR), not a picture", "dicomdir")
    if kind in _SEGMENTATIONS:
        message = "the DICOM file is a segmentation: it marks regions of another picture and holds no picture"
        return UserError(message, "no-picture")
    if "Presentation State" in kind.name:
        message = (
            "the DICOM file is a presentation state: it says how to show another picture and holds no picture"
        )
        return UserError(message, "no-picture")
    if any(dataset.get(name) for name in _PIXELS):
        return None
    known = f"; it is {kind.name.removesuffix(' Storage')}" if kind.name != str(kind) else ""
    return UserError(f"the DICOM file holds no picture{known}", "no-picture")


def _refuse_bombs(data: bytes) -> None:
    """Raise UserError where a file, deflated as a whole, would unpack to more than an image can have."""
    if _DEFLATED not in data[:2_000]:
        return
    begin = 144 + int.from_bytes(
        data[140:144], "little"
    )  # behind the first group, whose length stands at its start
    unpacker = zlib.decompressobj(-15)
    try:
        unpacker.decompress(data[begin:], MAX_UNPACKED)
    except zlib.error:
        raise UserError("the DICOM file is damaged", "damaged") from None
    if unpacker.unconsumed_tail:
        raise UserError("the DICOM file unpacks to more than an image can have", "too-large")


def _hush() -> None:
    """Ignore pydicom's warnings and log, which quote the header. For good: images are read in several threads."""
    if ("ignore", None, Warning, re.compile("pydicom"), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _read_frame(dataset: Any, index: int) -> Values | npt.NDArray[np.uint8]:
    try:
        return _shown_frame(dataset, index)
    except UserError:
        raise
    except Exception:  # what describes the values may be as wrong as they
        raise UserError(_unreadable(dataset), "damaged") from None


def _shown_frame(dataset: Any, index: int) -> Values | npt.NDArray[np.uint8]:
    from pydicom.pixels.utils import pixel_array

    stored = pixel_array(dataset, index=index)  # colours already as RGB
    if stored.ndim == 3:
        return _colour(stored, int(dataset.get("BitsStored") or 8 * stored.itemsize))
    if str(dataset.get("PhotometricInterpretation")) == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        shown = apply_color_lut(stored, dataset)
        return _colour(shown, 8 * shown.itemsize)
    return read_grey(stored, dataset, index)


def _colour(stored: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint8]:
    """Return colours [height, width, 3] in 8 bits, of as many bits as are used of each stored number."""
    if stored.dtype == np.uint8 and bits == 8:
        return stored
    shares = np.clip(stored.astype(np.float64) / (2.0**bits - 1), 0, 1)
    return np.rint(shares * 255).astype(np.uint8)


def _unreadable(dataset: Any) -> str:
    """Say why the pixels cannot be read, naming the way of packing and nothing else."""
    try:
        syntax = dataset.file_meta.TransferSyntaxUID
        name = syntax.name if syntax.is_compressed else ""
    except AttributeError:
        return "the DICOM file does not say how its picture is packed"
    if name and is_unpacked(syntax):
        return f"the packed DICOM picture is damaged ({name})"
    if name:
        return f"the DICOM picture is packed in a way that is not read here ({name}); export it uncompressed"
    return "the picture in the DICOM file is damaged or incomplete"


def _facts(dataset: Any) -> dict[str, str]:
    found = {}
    for name in KEPT:
        value = dataset.get(name)
        if value not in (None, ""):
            found[name] = "\\".join(map(str, value)) if name.endswith("Spacing") else str(value)
    return found


def _notices(dataset: Any, count: int, all_frames: bool) -> list[tuple[str, str]]:
    found = []
    if count > 1 and not all_frames:
        found.append(("frames", f"the file has {count} frames; the first one is used"))
    if (
        str(dataset.get("BurnedInAnnotation") or "").upper() == "YES"
        or str(dataset.get("Modality")) in BURNED
    ):
        message = (
            "a name or date may be written into the picture itself, where no software finds it for sure: "
            "look at it before you share anything"
        )
        found.append(("burned-in", message))
    return found
