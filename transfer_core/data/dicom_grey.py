"""From the numbers that a DICOM file stores to grey values, and what of them is to be black and white.

Order as in the standard (PS3.3 C.11): padding is told apart, then the modality transformation, then the values of
interest. In files of several frames these may stand in functional groups, for each frame or for all of them (C.7.6.16.2.9 and .10).
A table or a sigmoid gives its picture within its own output range (C.11.2.1.1, C.11.2.1.3), never within that of one image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.depth import Values
from transfer_core.errors import UserError

Array = npt.NDArray[Any]


def read_grey(stored: Array, dataset: Any, index: int) -> Values:
    """Return the grey values of one frame [height, width], with its window, inversion and mark of padding."""
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    padding = _find_padding(stored, dataset)
    values, lowest = _modality(stored, dataset, _macro(dataset, index, "PixelValueTransformationSequence"))
    values, window = _of_interest(values, lowest < 0, _macro(dataset, index, "FrameVOILUTSequence"))
    inverted = str(dataset.get("PhotometricInterpretation")) == "MONOCHROME1"
    if padding is not None and padding.all():
        raise UserError("all of the picture is declared to be empty (padding)", "no-picture")
    if padding is None:
        return Values(_compact(values), window, inverted)
    marked, mark = _marked(values, padding)
    return Values(marked, window, inverted, mark)


def _macro(dataset: Any, index: int, name: str) -> Any:
    """Return where a functional group stands that holds for this frame; the data set itself where there is none."""
    for groups, at in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(groups) or ()
        found = items[at].get(name) if at < len(items) else None
        if found:
            return found[0]
    return dataset


def _find_padding(stored: Array, dataset: Any) -> npt.NDArray[np.bool_] | None:
    """Return which numbers stand for no picture (C.7.5.1.1.2), or None where there are none."""
    prefix = "Float" if stored.dtype.kind == "f" else ""
    prefix = "Double" + prefix if stored.dtype == np.float64 else prefix
    value, limit = (_number(dataset, f"{prefix}PixelPadding{part}") for part in ("Value", "RangeLimit"))
    if value is None:
        return None
    ends = [value, value if limit is None else limit]
    if stored.dtype.kind != "f":  # said as a number with or without a sign, whatever the pixels are
        unsigned = np.array([int(end) % 2 ** (8 * stored.itemsize) for end in ends], f"u{stored.itemsize}")
        ends = [float(end) for end in unsigned.view(stored.dtype)]
    found = (stored >= min(ends)) & (stored <= max(ends))
    return found if found.any() else None


def _modality(stored: Array, dataset: Any, place: Any) -> tuple[Array, float]:
    """Return the values after the modality transformation, and the lowest that it could have given."""
    signed = dataset.get("PixelRepresentation") == 1
    bits = int(dataset.get("BitsStored") or 8 * stored.itemsize)
    ends = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    tables = dataset.get("ModalityLUTSequence")
    if tables:
        return _look_up(stored, tables[0], signed, dataset)[0], 0.0
    slope, intercept = (_number(place, name) for name in ("RescaleSlope", "RescaleIntercept"))
    slope = 1.0 if slope is None or slope == 0 else slope
    intercept = intercept or 0.0
    if (slope, intercept) == (1.0, 0.0):
        return stored, ends[0]
    return stored.astype(np.float64) * slope + intercept, min(end * slope + intercept for end in ends)


def _of_interest(values: Array, below_zero: bool, place: Any) -> tuple[Array, tuple[float, float] | None]:
    """Return the values, through the table or curve where there is one, and black and white; None where neither is said."""
    tables = place.get("VOILUTSequence")
    if tables:
        found, bits = _look_up(values, tables[0], below_zero, place)
        return found, (0.0, 2.0**bits - 1)
    centre, width = (_number(place, name) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or not width > 0:
        return values, None
    function = str(place.get("VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        power = np.clip(-4 * (values.astype(np.float64) - centre) / width, -700, 700)
        return (1 / (1 + np.exp(power))).astype(np.float32), (0.0, 1.0)
    # LINEAR is meant for whole numbers; of a narrower window it would have black above white (C.11.2.1.2.1).
    if function == "LINEAR_EXACT" or (function == "LINEAR" and width < 1):
        return values, (centre - width / 2, centre + width / 2)
    if function != "LINEAR":
        return values, None
    low = centre - 0.5 - (width - 1) / 2
    return values, (low, max(low + width - 1, low + 1e-6))


def _look_up(values: Array, item: Any, signed: bool, place: Any) -> tuple[Array, int]:
    """Return what a table makes of values, and of how many bits that is. `signed`: the first value mapped may be below zero.

    Without explicit types a file does not say whether that value has a sign; what comes in does.
    """
    count, first, bits = (int(each) for each in item.LUTDescriptor)
    count, first = count % 65536 or 65536, first % 65536
    first -= 65536 if signed and first >= 32768 else 0
    table = _read_table(item.LUTData, count, bits, place)
    known = np.nan_to_num(values.astype(np.float64), nan=first)
    return table[np.clip(np.floor(known) - first, 0, count - 1).astype(np.int64)], bits


def _read_table(data: Any, count: int, bits: int, place: Any) -> Array:
    if not 0 < bits <= 16:
        raise ValueError("a table of so many bits there is not")
    if isinstance(data, bytes):
        order = ">" if getattr(place, "original_encoding", (None, True))[1] is False else "<"
        short = bits <= 8 and len(data) <= count + 1
        table = np.frombuffer(data, np.uint8 if short else f"{order}u2").astype(np.uint16)
    else:
        table = np.atleast_1d(np.asarray(data, dtype=np.int64) % 65536).astype(np.uint16)
    if len(table) < count:
        raise ValueError("the table is shorter than it says")
    return table[:count]


def _number(place: Any, name: str) -> float | None:
    """Return the first number of an element; None where it is absent, empty or none."""
    value = place.get(name)
    try:
        found = float(np.atleast_1d(value)[0]) if value not in (None, "") else None
    except (TypeError, ValueError, IndexError):
        return None
    return found if found is not None and np.isfinite(found) else None


def _marked(values: Array, padding: npt.NDArray[np.bool_]) -> tuple[Array, float]:
    """Return the values with a number that none of them has where there is no picture, and that number."""
    compact = _compact(values)
    lowest = compact[~padding].min()
    if compact.dtype.kind == "f":
        mark = float(np.nextafter(np.float32(lowest), np.float32(-np.inf)))
        return np.where(padding, np.float32(mark), compact).astype(np.float32), mark
    mark = float(lowest) - 1
    return _compact(np.where(padding, mark, compact.astype(np.float64))), mark


def _compact(values: Array) -> Array:
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
