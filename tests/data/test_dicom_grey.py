"""What a DICOM file says of its grey values is done, frame by frame, and never by the range of one image."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    generate_uid,
)

from transfer_core.data.depth import Values
from transfer_core.data.images import decode
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.keep import keep
from transfer_core.data.library import Library
from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError

RAMP = np.tile(np.arange(0, 4000, 100, dtype=np.uint16), (32, 1))
HALF = RAMP // 5
PLAINS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def scan(values: np.ndarray, syntax: str = ExplicitVRLittleEndian, kind: str = CTImageStorage, bits: int = 12, bare: bool = False, **tags: Any) -> bytes:  # fmt: skip
    dataset, meta = Dataset(), FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, kind
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta, dataset.SOPClassUID, dataset.Modality = meta, kind, "CT"
    colour = values.shape[-1] == 3
    dataset.Rows, dataset.Columns = values.shape[-3:-1] if colour else values.shape[-2:]
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    if values.ndim - colour == 3:
        dataset.NumberOfFrames = len(values)
    dataset.BitsAllocated = 8 * values.itemsize
    if values.dtype.kind == "f":
        dataset.FloatPixelData = values.tobytes()
    else:
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(values.dtype.kind == "i")
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        dataset.PixelData = values.astype(values.dtype.newbyteorder(order)).tobytes()
        dataset["PixelData"].VR = "OW"
    for name, value in tags.items():
        setattr(dataset, name, value)
    out = io.BytesIO()
    if bare:
        plain = Dataset()
        plain.update(dataset)
        plain.save_as(out, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian)  # fmt: skip
    else:
        dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def table(first: int, bits: int, data: np.ndarray, order: str = "<") -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(data), first, bits])
    item.add_new(0x00283006, "OW", data.astype(f"{order}u2").tobytes())
    return item


def bring(home: Path, *files: bytes, reading: Reading | None = None) -> tuple[list[np.ndarray], Reading]:
    """The grey pictures [height, width] of files that were brought together, and how they are read."""
    library = Library(home)
    candidates = [Candidate(f"{n}.dcm", partial(bytes, data), "ab"[n % 2]) for n, data in enumerate(files)]
    manifest, _ = ingest(candidates, "scans", library, reading=reading)
    rows = sorted(manifest.rows, key=lambda row: row.path)
    return [
        np.asarray(decode(library.image_path(row.image).read_bytes(), manifest.reading))[..., 0].astype(int)
        for row in rows
    ], manifest.reading


def grey(data: bytes, reading: Reading | None = None) -> np.ndarray:
    reading = reading or Reading("window", low=0, high=4095)
    return np.asarray(decode(keep(data)[0].data, reading))[..., 0].astype(int)


def in_groups(
    slope: float, intercept: float, window: tuple[float, float] | None = None, **voi: Any
) -> Dataset:
    group, pixel, interest = Dataset(), Dataset(), Dataset()
    pixel.RescaleSlope, pixel.RescaleIntercept, pixel.RescaleType = slope, intercept, "HU"
    group.PixelValueTransformationSequence = [pixel]
    if window:
        interest.WindowCenter, interest.WindowWidth = window
        for name, value in voi.items():
            setattr(interest, name, value)
        group.FrameVOILUTSequence = [interest]
    return group


@pytest.mark.parametrize("shared", [True, False])
def test_functional_groups_say_what_a_classic_header_says(shared: bool) -> None:
    groups = [in_groups(1, -1024, (40, 400))]
    place = {"SharedFunctionalGroupsSequence" if shared else "PerFrameFunctionalGroupsSequence": groups}
    enhanced = scan(RAMP[None], kind=EnhancedCTImageStorage, **place)
    classic = scan(RAMP, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400)
    assert np.array_equal(grey(enhanced), grey(classic))
    assert np.unique(grey(classic)).size > 3


def test_each_frame_by_its_own_group_and_else_by_the_shared_one() -> None:
    ways = [in_groups(1, -1024, (40, 400)), in_groups(2, -1024, (40, 400), VOILUTFunction="LINEAR_EXACT")]
    data = scan(np.stack([RAMP] * 2), kind=EnhancedCTImageStorage, PerFrameFunctionalGroupsSequence=ways, SharedFunctionalGroupsSequence=[in_groups(9, 9)])  # fmt: skip
    first, second = (each.image for each in keep(data, each_frame=True))
    assert isinstance(first, Values)
    assert isinstance(second, Values)
    assert np.array_equal(first.values, RAMP.astype(int) - 1024)
    assert np.array_equal(second.values, RAMP.astype(int) * 2 - 1024)
    assert (first.window, second.window) == ((-160.0, 239.0), (-160.0, 240.0))


@pytest.mark.parametrize("syntax", PLAINS)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_table_gives_its_picture_within_its_own_output_range(syntax: str, bits: int) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = np.arange(4096) * (2**bits - 1) // 4095
    pictures = [scan(each, syntax, VOILUTSequence=[table(0, bits, data, order)]) for each in (RAMP, HALF)]
    for stored, picture in zip((RAMP, HALF), pictures, strict=True):
        assert np.abs(grey(picture) - data[stored] / (2**bits - 1) * 255).max() <= 0.51
        if bits > 8 and syntax == ExplicitVRLittleEndian:
            by_pydicom = apply_voi_lut(stored, dcmread(io.BytesIO(picture))) / (2**bits - 1) * 255
            assert np.abs(grey(picture) - by_pydicom).max() <= 0.51


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_where_values_may_lie_below_zero_a_table_may_begin_there(syntax: str) -> None:
    """Without explicit types, nothing but the rescale says that the first value mapped has a sign."""
    data = scan(RAMP, syntax, RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[table(-1024, 16, np.arange(4096) * 16)])  # fmt: skip
    assert np.abs(grey(data) - RAMP * 16.0 / 65535 * 255).max() <= 0.51


def test_a_modality_table_comes_before_the_window() -> None:
    lut = table(0, 16, np.arange(4096)[::-1].copy())
    lut.ModalityLUTType = "US"
    seen = grey(scan(RAMP, ModalityLUTSequence=[lut], WindowCenter=2048, WindowWidth=4096))
    assert np.abs(seen - (4095.0 - RAMP) / 4095 * 255).max() <= 1


def test_a_sigmoid_is_not_stretched() -> None:
    for stored in (RAMP, HALF):
        data = scan(stored, WindowCenter=2048, WindowWidth=2048, VOILUTFunction="SIGMOID")
        wanted = apply_voi_lut(stored, dcmread(io.BytesIO(data))) / 4095 * 255
        assert np.abs(grey(data) - wanted).max() <= 1


ABSENT = [
    {},
    {"WindowCenter": None, "WindowWidth": None},
    {"WindowCenter": 40, "WindowWidth": 0},
    {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "CUBIC"},
    {"VOILUTSequence": []},
]


@pytest.mark.parametrize("tags", ABSENT, ids=str)
def test_a_window_that_says_nothing_is_none_and_one_range_holds_for_the_set(home: Path, tags: dict[str, Any]) -> None:  # fmt: skip
    (bright, dark), reading = bring(home, scan(RAMP, **tags), scan(HALF, **tags))
    assert (reading.low, reading.high) == (0, 3900)
    assert (bright.max(), dark.max()) == (255, 51)


def test_padding_sets_neither_black_nor_white_and_is_black(home: Path) -> None:
    plain = (np.arange(40, dtype=np.int16) * 10 + 1000)[None].repeat(32, 0)
    padded = plain.copy()
    padded[:, :14], padded[0, 39] = -2000, -1999
    about = {"bits": 16, "RescaleSlope": 1, "RescaleIntercept": -1024}
    more = about | {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}
    (seen, other), reading = bring(home, scan(padded, **more), scan(plain + 1, **about))
    assert (reading.low, reading.high) == (-23, 367)
    assert not seen[:, :14].any()
    assert seen[0, 39] == 0
    assert np.abs(seen[1:, 14:] - (plain[1:, 14:] - 1001.0) / 390 * 255).max() <= 0.51
    assert other[5, -1] == 255


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 3900}])
def test_padding_is_black_where_small_values_are_bright(window: dict[str, Any]) -> None:
    stored = RAMP.copy()
    stored[:, 30:] = 0
    seen = grey(scan(stored, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0, **window))
    assert not seen[:, 30:].any()
    assert seen[0, 1] > seen[0, 29] > 0


def test_an_image_that_is_all_padding_is_refused_in_words(home: Path) -> None:
    data = [scan(RAMP), scan(HALF), scan(np.full_like(RAMP, 7), PixelPaddingValue=7)]
    library = Library(home)
    _, problems = ingest([Candidate(f"{n}", partial(bytes, each), "ab"[n % 2]) for n, each in enumerate(data)], "s", library)  # fmt: skip
    assert [each.file for each in problems if "declared to be empty" in each.message] == ["2"]


@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (10, "u2"), (12, "u2"), (16, "u2")])
def test_colours_by_the_bits_that_are_used(bits: int, kind: str) -> None:
    stored = np.random.default_rng(1).integers(0, 2**bits, (32, 40, 3)).astype(kind)
    seen = np.asarray(decode(keep(scan(stored, bits=bits))[0].data, Reading()))
    assert np.abs(seen - stored / (2**bits - 1) * 255).max() <= 0.51


def test_floats_are_read_as_they_are() -> None:
    stored = (RAMP / 4000).astype(np.float32)
    image = keep(scan(stored))[0].image
    assert isinstance(image, Values)
    assert np.array_equal(image.values, stored)


@pytest.mark.parametrize("syntax", PLAINS)
def test_a_data_set_without_anything_before_it_is_read(syntax: str) -> None:
    assert np.array_equal(grey(scan(RAMP, syntax, bare=True)), grey(scan(RAMP)))


@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("u2", 12), ("u2", 16), ("i2", 12)])
def test_lossless_jpeg_gives_every_value_back(kind: str, bits: int) -> None:
    unsigned = np.random.default_rng(bits).integers(0, 2**bits, (32, 40)).astype(f"u{kind[1]}")
    packed = imagecodecs.jpeg8_encode(unsigned, lossless=True, bitspersample=bits)
    stored = np.where(unsigned < 2 ** (bits - 1), 0, 2**bits) if kind == "i2" else 0
    data = scan(unsigned.astype(kind), JPEGLosslessSV1, bits=bits, PixelData=encapsulate([packed]))
    image = keep(data)[0].image
    assert isinstance(image, Values)
    assert np.array_equal(image.values, unsigned.astype(int) - stored)


@pytest.mark.parametrize(
    ("syntax", "encode", "decoder"),
    [
        (JPEGLosslessSV1, partial(imagecodecs.jpeg8_encode, lossless=True), "jpeg8_decode"),
        (HTJ2KLossless, partial(imagecodecs.jpeg2k_encode, level=0), "jpeg2k_decode"),
    ],
)
def test_a_packed_picture_larger_than_its_file_says_is_not_unpacked(
    syntax: str, encode: Callable[[np.ndarray], bytes], decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagecodecs, decoder, lambda *_, **__: pytest.fail("it was unpacked"))
    packed = encode(np.zeros((64, 80), np.uint16))
    with pytest.raises(UserError, match="damaged"):
        keep(scan(RAMP, syntax, PixelData=encapsulate([packed])))
    monkeypatch.undo()
    with pytest.raises(UserError, match="damaged"):
        keep(scan(RAMP, syntax, PixelData=encapsulate([packed])))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "is a segmentation"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "is a presentation state"),
        ("1.2.840.10008.1.3.10", "a list of other DICOM files"),
    ],
)
def test_what_only_speaks_of_pictures_is_none_and_it_is_said(kind: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        keep(scan(RAMP, kind=kind))
