"""Every DICOM file that pydicom ships is read as pydicom's own functions read it, or refused for the true reason.

Differences that are meant: declared padding is black. A file whose window is none has the values compared, not the picture.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_windowing

from transfer_core.data.content import HEAD, is_dicom
from transfer_core.data.depth import Values, to_8_bit
from transfer_core.data.dicom import read_dicom
from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
FOLDER = Path(pydicom.data.__file__).parent / "test_files"
FILES = {
    path.relative_to(FOLDER).as_posix(): path
    for path in sorted(FOLDER.rglob("*"))
    if path.is_file() and is_dicom(path.read_bytes()[:HEAD])
}
BARS = "SC_rgb_rle.dcm"  # the same test picture as in many others of these files
REFUSED = {
    "MR_truncated.dcm": "damaged or incomplete",  # 62 bytes of its pixels are missing
    "nested_priv_SQ.dcm": "damaged or incomplete",  # says nothing of its bits
    "JPEG2000-embedded-sequence-delimiter.dcm": "packed DICOM picture is damaged",  # a delimiter stands in its size
    "badVR.dcm": "is damaged",  # 1A frames
    "meta_missing_tsyntax.dcm": "does not say how its picture is packed",
    "liver_1frame.dcm": "is a segmentation",
    "liver_expb_1frame.dcm": "is a segmentation",
}


@cache
def by_pydicom(name: str) -> np.ndarray:
    """Grey values after the modality transformation, or colours, of the first frame."""
    dataset = pydicom.dcmread(FILES[name])
    stored = pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(stored, dataset)
    return stored if stored.ndim == 3 else apply_modality_lut(stored, dataset)


def test_there_are_as_many_files_as_there_were() -> None:
    assert len(FILES) >= 130


@pytest.mark.parametrize("name", FILES)
def test_a_shipped_file(name: str) -> None:
    data = FILES[name].read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    reason = REFUSED.get(FILES[name].name)
    if "PixelData" not in dataset:
        reason = "list of other DICOM" if "DirectoryRecordSequence" in dataset else "holds no picture"
    if reason:
        with pytest.raises(UserError, match=reason):
            read_dicom(data)
        return
    shown, wanted = read_dicom(data).frames[0], by_pydicom(name)
    if not isinstance(shown, Values):
        top = 2.0 ** (8 * wanted.itemsize) - 1
        assert np.abs(shown - wanted / top * 255).max() <= 0.5
        return
    there = np.ones(wanted.shape, bool) if shown.empty is None else ~shown.blank
    if shown.window is None:
        assert "WindowCenter" not in dataset
        assert np.array_equal(shown.values[there], wanted[there])
        return
    # pydicom gives a window's picture within the range that the stored bits could reach.
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation == 1
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1], float)
    low, high = ends * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
    share = (apply_windowing(wanted, dataset, index=0).astype(float) - low) / (high - low) * 255
    share = 255 - share if dataset.PhotometricInterpretation == "MONOCHROME1" else share
    seen = np.asarray(to_8_bit(shown, Reading("window")))[..., 0]
    assert np.abs(seen - share)[there].max() <= 1


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_gdcm.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_32bit.dcm"])  # fmt: skip
def test_one_picture_packed_in_many_ways_is_one_picture(name: str) -> None:
    assert np.array_equal(read_dicom(FILES[name].read_bytes()).frames[0], by_pydicom(BARS))


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_jpeg_of_12_bits_is_nearly_what_jpeg_2000_makes_of_the_same_scan(name: str) -> None:
    found = read_dicom(FILES[name].read_bytes()).frames[0]
    assert isinstance(found, Values)
    assert np.corrcoef(found.values.ravel(), by_pydicom("JPEG2000.dcm").ravel())[0, 1] > 0.95
