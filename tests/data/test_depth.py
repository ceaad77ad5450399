"""More than 8 bits: nothing is clipped unnoticed, and one range holds for a whole data set."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encode, png
from PIL import Image

from transfer_core.data.depth import Values, read_tiff, to_8_bit, write_tiff
from transfer_core.data.images import decode, hash_pixels, open_image
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.keep import keep
from transfer_core.data.library import Library
from transfer_core.data.manifest import Reading
from transfer_core.data.preparation import Preparation
from transfer_core.errors import UserError

KINDS = ("u2", "i2", "u4", "i4", "f2", "f4", "f8")


def tiff(values: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    options = {"photometric": "minisblack" if values.ndim == 2 else "rgb", "metadata": None} | options
    tifffile.imwrite(out, values, **options)
    return out.getvalue()


def scene(
    seed: int = 0, kind: str = "u2", scale: float = 1.0, shape: tuple[int, ...] = (40, 50)
) -> np.ndarray:
    values = np.random.default_rng(seed).gamma(4, 300, shape) * scale
    return values.astype(kind)


def opened(data: bytes) -> Values:
    found = open_image(data)
    assert isinstance(found, Values)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3), (40, 50, 4)])
@pytest.mark.parametrize("packing", [{}, {"compression": "zlib"}, {"bigtiff": True}, {"byteorder": ">"}])
def test_values_are_read_as_they_are(kind: str, shape: tuple[int, ...], packing: dict[str, object]) -> None:
    values = scene(1, kind, shape=shape)
    extra = {"extrasamples": ["unassalpha"]} if shape[2:] == (4,) else {}
    assert np.array_equal(opened(tiff(values, **packing, **extra)).values, values)


def test_a_16_bit_png_is_read_as_it_is() -> None:
    values = scene(2)
    data = encode(Image.frombytes("I;16", values.shape[::-1], values.tobytes()))
    assert np.array_equal(opened(data).values, values)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_images_stand_upright_as_shallow_ones_do(orientation: int) -> None:
    shallow = np.random.default_rng(3).integers(0, 256, (20, 30), dtype=np.uint8)
    tag = [(274, "H", 1, orientation, True)]
    shown = np.asarray(open_image(tiff(shallow, extratags=tag)))
    assert np.array_equal(
        opened(tiff(shallow.astype("u2") * 100, extratags=tag)).values, shown.astype("u2") * 100
    )


def test_where_white_is_zero_the_picture_is_turned_over() -> None:
    ramp = np.arange(0, 65536, 64, dtype="u2").reshape(32, 32)
    seen = np.asarray(decode(tiff(ramp, photometric="miniswhite"), Reading()))[..., 0]
    assert seen[0, 0] == 255
    assert seen[-1, -1] == 0


@given(st.integers(0, 10_000), st.floats(-1000, 1000), st.floats(1, 5000))
def test_scaling_is_linear_and_clips_at_both_ends(seed: int, low: float, span: float) -> None:
    values = scene(seed, "f4") - 500
    seen = np.asarray(to_8_bit(Values(values), Reading(depth="range", low=low, high=low + span)))
    wanted = np.clip((values.astype(np.float64) - low) / span, 0, 1) * 255
    assert np.abs(seen[..., 0] - wanted).max() <= 0.5 + 1e-6
    assert (seen == seen[..., :1]).all()


def test_what_is_no_number_is_black_or_white_and_told() -> None:
    values = scene(4, "f4")
    values[0, :3] = np.nan, np.inf, -np.inf
    (kept,) = keep(tiff(values))
    assert [kind for kind, _ in kept.notices] == ["not-finite"]
    low, high = -1.0, 3000.0
    seen = np.asarray(to_8_bit(opened(kept.data), Reading(depth="range", low=low, high=high)))[0, :3, 0]
    assert seen.tolist() == [0, 255, 0]


def test_transparency_of_16_bits_shows_the_background() -> None:
    values = np.zeros((20, 20, 4), "u2")
    values[:10, :, 3] = 65535
    data = tiff(values, extrasamples=["unassalpha"])
    seen = np.asarray(decode(data, Reading(background="#00ff00")))
    assert seen[0, 0].tolist() == [0, 0, 0]
    assert seen[-1, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (
            tiff(np.zeros((5, 20, 20), "u2"), photometric="minisblack", volumetric=True, tile=(16, 16, 16)),
            "volume",
        ),
        (tiff(np.zeros((20, 20, 6), "u2"), photometric="minisblack", planarconfig="contig"), "channels"),
        (tiff(scene(5))[:600], "damaged"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, kind: str) -> None:
    with pytest.raises(UserError) as refused:
        decode(data, Reading(low=0, high=1))
    assert refused.value.kind == kind


def test_floats_without_a_range_are_refused_and_not_guessed() -> None:
    with pytest.raises(UserError) as refused:
        decode(tiff(scene(6, "f4")), Reading())
    assert refused.value.kind == "depth"


def test_a_model_of_8_bits_takes_16_that_are_used_and_does_not_guess_at_fewer() -> None:
    eight = np.arange(256, dtype="u1").reshape(16, 16)
    assert np.array_equal(np.asarray(decode(tiff(eight.astype("u2") * 257), Reading()))[..., 0], eight)
    for bits in (10, 12, 14):
        with pytest.raises(UserError) as refused:
            decode(tiff(eight.astype("u2") << (bits - 8)), Reading())
        assert refused.value.kind == "depth"


def test_a_16_bit_scan_is_not_said_to_have_32_bits() -> None:
    from pydicom.data import get_testdata_file

    path = get_testdata_file("CT_small.dcm", download=False)
    with pytest.raises(UserError) as refused:
        Preparation(Reading(), 32, "bicubic", "whole", "none", 1, 0).read_bytes(Path(str(path)).read_bytes())
    assert "trained on images of 8 bits and this one has more" in str(refused.value)
    assert "save it with 8 bits, or train on" in str(refused.value)
    assert "16" not in str(refused.value)
    assert "32" not in str(refused.value)


@settings(max_examples=100)
@given(share=st.floats(0, 1, exclude_max=True), packed=st.booleans())
def test_a_cut_file_is_refused_or_nothing_was_lost(share: float, packed: bool) -> None:
    values = scene(7)
    data = tiff(values, compression="zlib" if packed else None)
    try:
        seen = open_image(data[: int(share * len(data))])
    except UserError:
        return
    assert isinstance(seen, Values)
    assert np.array_equal(seen.values, values)


@pytest.mark.parametrize("window", [None, (12.5, 800.0)])
@pytest.mark.parametrize("inverted", [False, True])
def test_our_own_files_say_what_they_said(window: tuple[float, float] | None, inverted: bool) -> None:
    image = Values(scene(8, "i2"), window, inverted)
    data = write_tiff(image, {"Modality": "CT"})
    found = read_tiff(data)
    assert found is not None
    assert (found.window, found.inverted) == (window, inverted)
    assert np.array_equal(found.values, image.values)
    assert keep(data)[0].data == data  # brought a second time, it is the same file


def bring(home: Path, images: list[np.ndarray], reading: Reading | None = None) -> tuple[list[np.ndarray], Reading, set[str]]:  # fmt: skip
    """What images of a data set look like after they were brought in, how they are read, and what was told."""
    library = Library(home)
    files = [tiff(values) for values in images]
    candidates = [Candidate(f"{n:02d}.tif", partial(bytes, files[n]), "ab"[n % 2]) for n in range(len(files))]
    manifest, problems = ingest(candidates, "deep", library, reading=reading)
    rows = sorted(manifest.rows, key=lambda row: row.path)
    seen = [np.asarray(decode(library.image_path(row.image).read_bytes(), manifest.reading)) for row in rows]
    for row, image in zip(rows, seen, strict=True):
        with Image.open(library.thumb_path(row.image)) as thumb:
            assert abs(float(np.asarray(thumb).mean()) - image.mean()) < 3  # shown as it is trained on
    return seen, manifest.reading, {each.kind for each in problems}


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_one_range_for_all_keeps_how_bright_images_are_beside_each_other(home: Path, kind: str) -> None:
    images = [scene(seed, kind, 1 + seed % 3) for seed in range(9)]
    seen, reading, told = bring(home, images)
    assert reading.depth == "window"
    assert told == {"range"}
    for values, image in zip(images, seen, strict=True):
        share = (values.astype(float).mean() - reading.low) / (reading.high - reading.low)
        assert image.mean() / 255 == pytest.approx(share, abs=0.005)
        assert np.mean(image == 255) < 0.005  # the plain conversion of Pillow: nearly all
    assert max(image.max() for image in seen) >= 250


def test_twelve_bits_in_sixteen_are_not_dark(home: Path) -> None:
    seen, _, _ = bring(home, [np.clip(scene(seed), 0, 4095) for seed in range(8)])
    assert np.concatenate([image.ravel() for image in seen]).max() > 240


def test_a_range_that_is_given_is_kept_and_what_lies_beyond_is_told(home: Path) -> None:
    given = Reading(depth="range", low=0, high=500)
    _, reading, told = bring(home, [scene(seed) for seed in range(8)], given)
    assert reading == given
    assert told == {"beyond-range"}


def test_a_set_of_8_bits_is_what_it_always_was(home: Path) -> None:
    candidates = [Candidate(f"{n}.png", lambda n=n: png(n), "ab"[n % 2]) for n in range(8)]
    manifest, _ = ingest(candidates, "plain", Library(home))
    assert manifest.reading == Reading()
    assert manifest.reading.identity == {"depth": "full-range", "background": "#ffffff"}  # ids stay


@pytest.mark.parametrize("deep", [True, False])
def test_images_that_are_added_are_read_as_the_set_is(home: Path, deep: bool) -> None:
    library = Library(home)
    files = [tiff(scene(seed)) for seed in range(8)]
    candidates = [Candidate(f"{n}.tif", partial(bytes, data), "ab"[n % 2]) for n, data in enumerate(files)]
    before, _ = ingest(candidates, "deep", library)
    more = [tiff(scene(50 + n, scale=3)) if deep else png(50 + n) for n in range(4)]
    added = [Candidate(f"more/{n}", partial(bytes, data), "ab"[n % 2]) for n, data in enumerate(more)]
    after, problems = ingest(added, "deep, version 2", library, parent=before)
    assert after.reading == before.reading
    assert len(after.rows) == 12
    assert {each.kind for each in problems} == ({"beyond-range", "range"} if deep else {"range"})
    for row in after.rows:  # every row is what the version's reading makes of the stored file
        image = decode(library.image_path(row.image).read_bytes(), after.reading)
        assert hash_pixels(image) == row.pixels
