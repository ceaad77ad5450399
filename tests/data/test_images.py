"""Bytes to pixels: what is read is read right, and what cannot be is refused in a sentence."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import empty_png, encode, noise, png
from PIL import Image, ImageFile
from scipy.fft import dctn

from transfer_core.data.images import (
    GEOMETRIES,
    decode,
    decode_pixels,
    get_look,
    hash_pixels,
    make_thumbnail,
    to_pixels,
)
from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError

KINDS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
ORIENTATION = 0x0112
BLUE = Reading(background="#0000ff")


def read(data: bytes, reading: Reading | None = None) -> np.ndarray:
    return np.asarray(decode(data, reading or Reading()))


def refusal(data: bytes) -> str:
    """The kind of the refusal, whose sentence is fit for a user."""
    with pytest.raises(UserError) as refused:
        decode(data, Reading())
    assert str(refused.value)
    return refused.value.kind


@pytest.mark.parametrize(
    ("kind", "mode", "order"), [("PNG", "I;16", "<"), ("TIFF", "I;16", "<"), ("TIFF", "I;16B", ">")]
)
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str, mode: str, order: str) -> None:
    ramp = np.arange(65536).reshape(256, 256)
    data = encode(Image.frombytes(mode, (256, 256), ramp.astype(f"{order}u2").tobytes()), kind)
    seen = read(data)
    assert np.abs(seen - ramp[..., None] / 257).max() < 1
    counts = np.bincount(seen[..., 0].ravel(), minlength=256)
    assert counts.max() <= 257  # the plain conversion puts 65,281 of the 65,536 values at 255


@given(colour=st.tuples(*[st.integers(0, 255)] * 4))
def test_what_is_transparent_shows_the_background_and_no_hidden_colour(colour: tuple[int, ...]) -> None:
    seen = read(encode(Image.new("RGBA", (16, 16), colour)), BLUE)[0, 0]
    share = colour[3] / 255
    assert np.abs(seen - (share * np.array(colour[:3]) + (1 - share) * np.array([0, 0, 255]))).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA"])
def test_every_kind_of_transparency_counts(mode: str) -> None:
    image = Image.new(mode, (16, 16))
    hidden: dict[str, object] = {"LA": {}, "RGB": {"transparency": (0, 0, 0)}}.get(mode, {"transparency": 0})
    assert (read(encode(image, **hidden), BLUE) == [0, 0, 255]).all()


@pytest.mark.parametrize(
    ("orientation", "shown"),
    [
        (1, lambda stored: stored),
        (2, np.fliplr),
        (3, lambda stored: np.rot90(stored, 2)),
        (4, np.flipud),
        (5, lambda stored: stored.swapaxes(0, 1)),
        (6, lambda stored: np.rot90(stored, -1)),
        (7, lambda stored: np.rot90(stored, 2).swapaxes(0, 1)),
        (8, np.rot90),
        (99, lambda stored: stored),
    ],
)
def test_images_stand_upright(orientation: int, shown: object) -> None:
    about = Image.Exif()
    about[ORIENTATION] = orientation
    image = noise(1)
    assert np.array_equal(read(encode(image, exif=about)), shown(np.asarray(image)))


@pytest.mark.parametrize(
    "about", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\1\x12"]
)
def test_broken_metadata_does_not_spoil_a_good_image(about: bytes) -> None:
    assert np.array_equal(read(encode(noise(1), exif=about)), np.asarray(noise(1)))


@pytest.mark.parametrize(
    "ink", [(0, 255, 255, 0), (255, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 0), (40, 90, 10, 60)]
)
def test_printing_inks_become_the_colours_they_print(ink: tuple[int, int, int, int]) -> None:
    seen = read(encode(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100))[8, 8]
    wanted = (255 - np.array(ink[:3])) * (255 - ink[3]) / 255
    assert np.abs(seen - wanted).max() <= 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_in_the_middle_is_refused(kind: str) -> None:
    data = encode(noise(1, 64, 64), kind)
    assert refusal(data[: len(data) // 2]) == "damaged"


@settings(max_examples=150)
@given(kind=st.sampled_from(KINDS), share=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_or_nothing_of_the_picture_was_lost(kind: str, share: float) -> None:
    data = encode(noise(2, 40, 40), kind)
    try:
        seen = read(data[: int(share * len(data))])
    except UserError:
        return
    assert np.array_equal(seen, read(data))


@settings(max_examples=300)
@given(kind=st.sampled_from(KINDS), changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))  # fmt: skip
def test_damage_gives_pixels_or_a_refusal_and_nothing_else(
    kind: str, changes: list[tuple[float, bytes]]
) -> None:
    data = bytearray(encode(noise(3), kind))
    for share, change in changes:
        at = int(share * len(data))
        data[at : at + len(change)] = change
    with suppress(UserError):
        assert read(bytes(data)).shape[2] == 3


@given(st.binary(max_size=200))
@example(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
@example(b"<!doctype html><html><body>404</body></html>")
@example(b"%PDF-1.7\n")
@example(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
@example(b"8BPS\0\1" + bytes(30))
@example(b"SIMPLE  =                    T" + bytes(80))
@example(encode(noise(1), "ICO"))
@example(encode(noise(1), "TGA"))
@example(encode(noise(1), "PCX"))
def test_what_is_no_image_or_of_another_kind_is_the_wrong_type(data: bytes) -> None:
    assert refusal(data) == ("wrong-type" if data else "empty")


@pytest.mark.parametrize("size", [(20_000, 20_000), (12_000, 10_000), (50_001, 1_000)])
def test_a_giant_is_refused_before_any_pixel_is_read(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = empty_png(*size)
    assert len(data) < 100_000

    def load(_: object) -> None:
        raise AssertionError("pixels were read")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert refusal(data) == "too-large"


@pytest.mark.parametrize(("mode", "kind"), [("F", "TIFF"), ("I", "TIFF")])
def test_values_without_a_range_are_refused(mode: str, kind: str) -> None:
    assert refusal(encode(Image.new(mode, (16, 16)), kind)) == "depth"


def test_the_first_page_is_read() -> None:
    pages = [noise(1), noise(2)]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert np.array_equal(read(data), np.asarray(pages[0]))


def test_reading_in_threads_gives_the_same() -> None:
    files = [png(seed) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for seed, seen in enumerate(pool.map(read, files)):
            assert np.array_equal(seen, np.asarray(noise(seed)))


def framed(width: int, height: int) -> Image.Image:
    """Green, with a red frame of 2 pixels."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    image.paste((0, 255, 0), (2, 2, width - 2, height - 2))
    return image


@pytest.mark.parametrize("size", [(64, 64), (128, 64), (64, 160)])
def test_the_whole_image_is_seen_or_its_middle(size: tuple[int, int]) -> None:
    whole = to_pixels(framed(*size), 64, "whole")
    assert (whole[0, [0, 0, -1, -1], [0, -1, 0, -1]] > 200).all()
    assert to_pixels(framed(*size), 64, "centre")[0].max() == 0


@pytest.mark.parametrize("size", [(64, 32), (32, 64), (90, 30), (48, 48)])
def test_padding_keeps_the_proportions(size: tuple[int, int]) -> None:
    pixels = to_pixels(Image.new("RGB", size, (255, 255, 255)), 48, "pad")
    shown = pixels[0] > 191
    assert (pixels[0][~shown] <= 192).all()
    height, width = np.ptp(np.argwhere(shown), axis=0) + 1
    assert max(height, width) == 48
    assert width / height == pytest.approx(size[0] / size[1], rel=0.1)
    assert shown.sum() == width * height
    assert (pixels[:, ~shown] == 128).all() or size[0] == size[1]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@given(width=st.integers(16, 60), height=st.integers(16, 60))
@settings(max_examples=15)
def test_every_geometry_gives_a_square(geometry: str, width: int, height: int) -> None:
    pixels = to_pixels(noise(1, width, height), 24, geometry, "bilinear")
    assert pixels.shape == (3, 24, 24)
    assert pixels.dtype == np.uint8


def test_an_unknown_geometry_is_refused() -> None:
    with pytest.raises(UserError, match="whole, pad, centre"):
        to_pixels(noise(1), 24, "stretch")


def test_saved_again_the_pixels_keep_their_hash() -> None:
    image = noise(1)
    hashes = {hash_pixels(decode(encode(image, kind), Reading())) for kind in ("PNG", "BMP", "TIFF")}
    assert hashes == {hash_pixels(image)}
    changed = image.copy()
    changed.putpixel((3, 3), (1, 2, 3))
    assert hash_pixels(changed) not in hashes
    assert hash_pixels(Image.new("RGB", (4, 9))) != hash_pixels(Image.new("RGB", (9, 4)))


def smooth(seed: int) -> Image.Image:
    return noise(seed, 6, 6).resize((96, 80), Image.Resampling.BICUBIC)


@given(seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_the_look_is_the_dct_hash(seed: int) -> None:
    image = smooth(seed)
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), float)
    low = dctn(grey, 2)[:8, :8]
    assert get_look(image) == np.packbits((low > np.median(low)).ravel()).tobytes().hex()


def test_looks_survive_compression_and_tell_pictures_apart() -> None:
    def distance(a: Image.Image, b: Image.Image) -> int:
        return (int(get_look(a), 16) ^ int(get_look(b), 16)).bit_count()

    for seed in range(20):
        again = Image.open(io.BytesIO(encode(smooth(seed), "JPEG", quality=70)))
        assert distance(smooth(seed), again) <= 6
        assert distance(smooth(seed), smooth(seed + 1)) > 12


def test_thumbnails_are_small_and_carry_nothing_of_the_person() -> None:
    about = Image.Exif()
    about[0x010E] = "Jane Doe"
    source = Image.open(io.BytesIO(encode(noise(1, 400, 100), "JPEG", exif=about, comment=b"Jane Doe")))
    data = make_thumbnail(source.convert("RGB"))
    assert b"Jane" not in data
    assert Image.open(io.BytesIO(data)).size == (192, 48)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("mode", "size"), [("L", (61, 40)), ("L", (30, 90)), ("RGB", (61, 40)), ("LA", (50, 50)), ("1", (70, 44)), ("P", (33, 44))])  # fmt: skip
def test_the_short_way_of_grey_images_leads_to_the_same_pixels(
    geometry: str, interpolation: str, mode: str, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(5)
    noise = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).convert(mode)
    out = io.BytesIO()
    noise.save(out, "PNG")
    wanted = to_pixels(decode(out.getvalue(), Reading()), 32, geometry, interpolation)
    found = decode_pixels(out.getvalue(), Reading(), 32, geometry, interpolation)
    assert found.dtype == wanted.dtype
    assert found.flags.c_contiguous
    assert np.array_equal(found, wanted)
