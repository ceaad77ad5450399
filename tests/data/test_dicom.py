"""DICOM, on the files that pydicom ships: the right grey values, and not a word about anybody."""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian

from transfer_core.data import dicom
from transfer_core.data.depth import Values, to_8_bit
from transfer_core.data.dicom import KEPT, read_dicom
from transfer_core.data.images import decode
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.keep import keep
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Problem, Reading
from transfer_core.errors import UserError

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # files that pydicom ships because they are odd
FOLDER = Path(pydicom.data.__file__).parent / "test_files"


@cache
def content(name: str) -> bytes:
    return next(FOLDER.rglob(name)).read_bytes()


def made(values: np.ndarray, **tags: Any) -> bytes:
    """A DICOM file of grey values with header elements as wished."""
    dataset = pydicom.dcmread(io.BytesIO(content("CT_small.dcm")))
    for name in ("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope", "PixelPaddingValue"):
        if name in dataset:
            del dataset[name]
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(values.dtype.kind == "i")
    if values.ndim == 3:
        dataset.NumberOfFrames = len(values)
    dataset.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def ramp(kind: str = "u2") -> np.ndarray:
    return np.arange(4096, dtype=kind).reshape(64, 64)


def grey(data: bytes, reading: Reading | None = None) -> np.ndarray:
    (kept, *_) = keep(data)
    return np.asarray(decode(kept.data, reading or Reading(depth="window")))[..., 0].astype(int)


def by_pydicom(data: bytes) -> np.ndarray:
    """The same picture as pydicom's own functions make it: modality, window, then 8 bits, then the inversion."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset, index=0).astype(float)
    signed = dataset.PixelRepresentation == 1
    slope, bits = float(dataset.get("RescaleSlope", 1)), dataset.BitsStored
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if "RescaleSlope" in dataset:
        low, high = (edge * slope + float(dataset.RescaleIntercept) for edge in (low, high))
    shown = np.clip((values - low) / (high - low), 0, 1) * 255
    return 255 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


@pytest.mark.parametrize("name", ["MR_small.dcm", "693_J2KI.dcm", "MR_small_RLE.dcm", "J2K_pixelrep_mismatch.dcm", "6154", "17106", "examples_overlay.dcm"])  # fmt: skip
def test_real_files_look_as_pydicom_shows_them(name: str) -> None:
    assert np.abs(grey(content(name)) - by_pydicom(content(name))).max() <= 1


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("turned", [False, True])
def test_every_kind_of_window_and_the_inversion_after_it(function: str, turned: bool) -> None:
    data = made(ramp(), WindowCenter=1500, WindowWidth=900, VOILUTFunction=function, PixelRepresentation=0,
                PhotometricInterpretation="MONOCHROME1" if turned else "MONOCHROME2")  # fmt: skip
    wanted = by_pydicom(data)
    seen = grey(data)
    assert np.abs(seen - wanted).max() <= 1.5
    assert (seen[0, 0] > seen[-1, -1]) == turned


def test_of_several_windows_the_first_is_taken() -> None:
    both = made(ramp(), WindowCenter=[1000, 3000], WindowWidth=[500, 100])
    assert np.array_equal(grey(both), grey(made(ramp(), WindowCenter=1000, WindowWidth=500)))


def test_the_modality_comes_before_the_window() -> None:
    """A CT value is stored value x slope + intercept, and the window is in CT values."""
    data = made(ramp("i2"), RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400)
    value = ramp().astype(int) * 2 - 1024
    wanted = np.clip((value - (40 - 0.5 - 399 / 2)) / 399, 0, 1) * 255
    assert np.abs(grey(data) - wanted).max() <= 1


def test_a_range_for_all_goes_before_the_files_own_window() -> None:
    data = made(ramp(), WindowCenter=1000, WindowWidth=10)
    seen = grey(data, Reading(depth="range", low=0, high=4095))
    assert np.abs(seen - ramp() / 4095 * 255).max() <= 1


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("rtplan.dcm", "no-picture", "holds no picture"),
        ("MR_truncated.dcm", "damaged", "incomplete"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "damaged", "picture is damaged .JPEG 2000"),
        ("liver_1frame.dcm", "no-picture", "segmentation"),
        ("test-SR.dcm", "no-picture", "it is Comprehensive SR"),
        ("DICOMDIR", "dicomdir", "a list of other DICOM files"),
        ("ExplVR_BigEndNoMeta.dcm", "no-picture", "it is RT Ion Plan"),
        ("meta_missing_tsyntax.dcm", "damaged", "how its picture is packed"),
        ("badVR.dcm", "damaged", "damaged"),
        ("no_meta.dcm", "wrong-type", "not an image"),
    ],
)
def test_what_cannot_be_read_is_told(name: str, kind: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        keep(content(name))
    assert refused.value.kind == kind


def test_a_picture_that_claims_to_be_a_giant_is_refused() -> None:
    with pytest.raises(UserError) as refused:
        keep(made(ramp(), Rows=65535, Columns=65535))
    assert refused.value.kind == "too-large"


@pytest.mark.parametrize("name", ["SC_rgb_rle_16bit.dcm", "examples_palette.dcm", "examples_ybr_color.dcm", "SC_rgb_jpeg.dcm"])  # fmt: skip
def test_colours_come_out_as_colours(name: str) -> None:
    seen = np.asarray(decode(keep(content(name))[0].data, Reading()))
    assert (seen.max(axis=2) > seen.min(axis=2)).any()


def bring(
    home: Path, files: dict[str, bytes], reading: Reading | None = None
) -> tuple[Manifest, list[Problem]]:
    candidates = [Candidate(path, lambda data=data: data, path.split("/")[0]) for path, data in files.items()]
    return ingest(candidates, "scans", Library(home), reading=reading)


def test_not_a_word_of_the_header_reaches_the_disk(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secrets = {"PatientName": "Mustermann^Erika", "PatientID": "ID-4711-0815", "PatientBirthDate": "19560812",
               "AccessionNumber": "ACC99231", "InstitutionName": "St Nowhere", "DeviceSerialNumber": "SN-55512",
               "StudyInstanceUID": "1.2.826.99.1.77", "OperatorsName": "Nurse^Joy"}  # fmt: skip
    files = {
        f"{'ab'[n % 2]}/{n}.dcm": made(ramp() + n, WindowCenter=2000, WindowWidth=900 + n, **secrets)
        for n in range(8)
    }
    files["a/broken.dcm"] = made(ramp(), **secrets)[:-5000]
    manifest, _ = bring(home, files)
    assert len(manifest.rows) == 8
    written = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    told = "".join(capfd.readouterr())
    for value in secrets.values():
        assert value.encode() not in written
        assert value.encode("utf-16-le") not in written
        assert value not in told
    kept = read_dicom(files["a/0.dcm"]).facts
    assert set(kept) <= set(KEPT)
    assert kept["Modality"] == "CT"


def test_a_patient_is_a_group_under_a_name_that_tells_nothing(home: Path, tmp_path: Path) -> None:
    def brought(home: Path) -> list[str | None]:
        home.mkdir(exist_ok=True)
        files = {f"{'ab'[n % 2]}/{n}.dcm": made(ramp() + n, PatientID=f"P{n // 2}") for n in range(8)}
        return [row.group for row in sorted(bring(home, files)[0].rows, key=lambda row: row.path[2:])]

    groups, elsewhere = brought(home), brought(tmp_path / "elsewhere")
    assert [groups.index(group) for group in groups] == [0, 0, 2, 2, 4, 4, 6, 6]
    assert brought(home) == groups
    assert not set(groups) & set(elsewhere)  # another home, another salt
    assert (home / "secret").stat().st_mode & 0o077 == 0


def test_frames_are_told_of_or_become_images_that_stay_together(home: Path, tmp_path: Path) -> None:
    frames = np.stack([np.roll(ramp(), 7 * n) for n in range(3)])
    files = {f"{'ab'[n % 2]}/{n}.dcm": made(frames + n, PatientID="") for n in range(4)}
    manifest, problems = bring(home, files)
    assert len(manifest.rows) == 4
    assert [each.message for each in problems if each.kind == "frames"] == [
        "the file has 3 frames; the first one is used"
    ] * 4
    each, _ = bring(tmp_path, files, Reading(frames="each"))
    assert len(each.rows) == 12
    assert set(each.groups.values()) == {3}
    assert each.reading.frames == "each"


def test_more_frames_than_fit_into_memory_are_refused_before_one_is_unpacked() -> None:
    data = made(np.stack([ramp()] * 2), NumberOfFrames=10**9)
    with pytest.raises(UserError, match=r"1,000,000,000 frames, and at most .* bring it in parts"):
        keep(data, each_frame=True)


def test_a_warning_where_names_may_be_written_into_the_picture(home: Path) -> None:
    files = {f"{'ab'[n % 2]}/{n}.dcm": made(ramp() + n, Modality="US" if n < 2 else "CT") for n in range(8)}
    files["a/9.dcm"] = made(ramp() + 99, BurnedInAnnotation="YES")
    _, problems = bring(home, files)
    assert sorted(each.file for each in problems if each.kind == "burned-in") == [
        "a/0.dcm",
        "a/9.dcm",
        "b/1.dcm",
    ]


def test_without_a_window_a_range_for_all_is_found(home: Path) -> None:
    files = {f"{'ab'[n % 2]}/{n}.dcm": made(np.roll(ramp(), n) // (1 + n % 2)) for n in range(8)}
    manifest, _ = bring(home, files)
    assert (manifest.reading.low, manifest.reading.high) == pytest.approx((0, 4095), abs=10)


def test_reading_in_threads_leaves_warnings_as_they_were() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        keep(content("MR_small_padded.dcm"))
    assert not [each for each in seen if "pydicom" in str(each.filename)]


def test_the_values_themselves_are_kept() -> None:
    (kept,) = keep(made(ramp("i2") - 1000))
    assert isinstance(kept.image, Values)
    assert np.array_equal(kept.image.values, ramp("i2") - 1000)
    assert to_8_bit(kept.image, Reading(depth="range", low=-1000, high=3095)).getextrema()[0] == (0, 255)


ODD = [
    {"WindowCenter": 40, "WindowWidth": 0},
    {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "CUBIC"},
    {"RescaleSlope": None, "RescaleIntercept": 1},
    {"PhotometricInterpretation": "PALETTE COLOR"},
    {"ModalityLUTSequence": [pydicom.Dataset()]},
    {"WindowCenter": "", "WindowWidth": ""},
]


@pytest.mark.parametrize("tags", ODD, ids=lambda tags: next(iter(tags)))
def test_an_odd_header_costs_its_own_file_at_most(home: Path, tags: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        odd = made(ramp(), **tags)
    files = {f"{'ab'[n % 2]}/{n}.dcm": made(ramp() + n) for n in range(8)} | {"a/odd.dcm": odd}
    manifest, problems = bring(home, files)
    assert len(manifest.rows) == 9 - len([each for each in problems if each.file == "a/odd.dcm"])


def test_a_deflated_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = content("image_dfl.dcm")
    assert keep(data)
    monkeypatch.setattr(dicom, "MAX_UNPACKED", 10_000)
    with pytest.raises(UserError) as refused:
        keep(data)
    assert refused.value.kind == "too-large"
