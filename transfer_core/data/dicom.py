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

from transfer_core.data.depth import MAX_PIXELS, Values, check_series, too_large
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


def is_dicom(data: bytes) -> bool:
    """Tell whether a file says that it is DICOM."""
    return data[128:132] == b"DICM"


_DEFLATED = b"1.2.840.10008.1.2.1.99"
MAX_UNPACKED = 200_000_000  # bytes


def read_dicom(data: bytes, *, all_frames: bool = False) -> Study:
    """Return pictures and facts; UserError says in a sentence what is wrong, without a word of the header."""
    import pydicom

    _hush()
    _refuse_bombs(data)
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        has_picture = "PixelData" in dataset
        count, rows, columns = (int(dataset.get(name) or 1) for name in ("NumberOfFrames", "Rows", "Columns"))
    except Exception:  # damage shows in many ways
        raise UserError("the DICOM file is damaged", "damaged") from None
    if not has_picture:
        raise UserError("the DICOM file holds no picture", "no-picture")
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
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
    from pydicom.pixels.utils import pixel_array

    stored = pixel_array(dataset, index=index)  # colours already as RGB
    if stored.ndim == 3:
        return _colour(stored)
    if str(dataset.get("PhotometricInterpretation")) == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        return _colour(apply_color_lut(stored, dataset))
    values = apply_modality_lut(stored, dataset)
    inverted = str(dataset.get("PhotometricInterpretation")) == "MONOCHROME1"
    window = _linear_window(dataset)
    if window is None and ("VOILUTSequence" in dataset or "WindowCenter" in dataset):
        values = apply_voi_lut(values, dataset)  # a curve or a table: what it gives is the picture
        window = float(values.min()), float(values.max())
    return Values(_compact(values), window, inverted)


def _linear_window(dataset: Any) -> tuple[float, float] | None:
    """Return black and white of the file's first linear window (PS3.3 C.11.2.1.2); None where there is none."""
    if "VOILUTSequence" in dataset or "WindowCenter" not in dataset or "WindowWidth" not in dataset:
        return None
    try:
        centre, width = (
            float(np.atleast_1d(dataset[name].value)[0]) for name in ("WindowCenter", "WindowWidth")
        )
    except (TypeError, ValueError, IndexError):
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if function == "LINEAR_EXACT" and width > 0:
        return centre - width / 2, centre + width / 2
    if function != "LINEAR" or width < 1:
        return None
    low = centre - 0.5 - (width - 1) / 2
    return low, max(low + width - 1, low + 1e-6)


def _compact(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values in the smallest type that holds them exactly enough for a picture."""
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if not np.array_equal(whole, values) or np.abs(values).max(initial=0) > 2**31:
            return values.astype(np.float32)
        values = whole.astype(np.int64)
    for kind in (np.uint16, np.int16, np.uint32, np.int32):
        limits = np.iinfo(kind)
        if limits.min <= values.min() and values.max() <= limits.max:
            return values.astype(kind)
    return values.astype(np.float32)


def _colour(stored: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    top = np.iinfo(stored.dtype).max
    return stored if stored.dtype == np.uint8 else (stored // (top // 255)).astype(np.uint8)


def _unreadable(dataset: Any) -> str:
    """Say why the pixels cannot be read, naming the way of packing and nothing else."""
    try:
        syntax = dataset.file_meta.TransferSyntaxUID
        name = syntax.name if syntax.is_compressed else ""
    except AttributeError:
        return "the DICOM file does not say how its picture is packed"
    if name:
        return f"the DICOM picture is damaged or packed in a way that is not read here ({name}); export it uncompressed"
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
