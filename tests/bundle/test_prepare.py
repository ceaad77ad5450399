"""The script that leaves the house reads images and decides exactly as the app does."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer_core.bundle.golden import choose_golden, draw_inputs
from transfer_core.bundle.predict import decide, prepare, read
from transfer_core.data.images import GEOMETRIES, decode, to_pixels
from transfer_core.data.manifest import Reading, Row
from transfer_core.evaluation.decision import Decision, Wishes


def how(reading: Reading, geometry: str = "whole", interpolation: str = "bicubic", size: int = 32) -> dict:
    facts = {"size": size, "geometry": geometry, "interpolation": interpolation, "reading": asdict(reading)}
    return {"input": facts}


def picture(mode: str, seed: int = 0) -> Image.Image:
    """A picture of 61 x 40 pixels, of some mode, with transparent places where it can have them."""
    rng = np.random.default_rng(seed)
    rgba = Image.fromarray(rng.integers(0, 256, (40, 61, 4), dtype=np.uint8), "RGBA")
    if mode == "P":
        quantised = rgba.convert("RGB").quantize(16)
        quantised.info["transparency"] = 3
        return quantised
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, (40, 61), dtype=np.uint16))
    return rgba.convert(mode)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "RGBA", "LA", "P", "I;16", "CMYK"])
def test_an_image_becomes_the_same_pixels(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("image.tif" if mode in ("CMYK", "I;16") else "image.png")
    picture(mode).save(path)
    for reading in (Reading(background="#20c040"), Reading("range", low=1000.0, high=50_000.0)):
        for geometry in GEOMETRIES:
            for interpolation in ("bicubic", "bilinear"):
                wanted = to_pixels(decode(path.read_bytes(), reading), 32, geometry, interpolation)
                found = prepare(path, how(reading, geometry, interpolation))
                assert np.array_equal(found, wanted)
    assert np.ptp(wanted) > 50


def test_a_turned_photograph_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("RGB").save(tmp_path / "turned.jpg", exif=exif)
    data = (tmp_path / "turned.jpg").read_bytes()
    wanted = to_pixels(decode(data, Reading()), 32)
    assert np.array_equal(prepare(tmp_path / "turned.jpg", how(Reading())), wanted)
    with Image.open(io.BytesIO(data)) as lying:
        assert not np.array_equal(to_pixels(lying.convert("RGB"), 32), wanted)


def test_what_it_cannot_read_as_training_did_it_refuses(tmp_path: Path) -> None:
    import tifffile

    deep = np.random.default_rng(0).integers(0, 65536, (20, 20, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb")
    with pytest.raises((ValueError, OSError)):
        prepare(tmp_path / "deep.tif", how(Reading()))
    tifffile.imwrite(tmp_path / "dim.tif", deep[..., 0] >> 4, photometric="minisblack")
    with pytest.raises(ValueError, match="nothing tells black from white"):
        prepare(tmp_path / "dim.tif", how(Reading()))
    np.save(tmp_path / "pixels.npy", np.zeros((2, 3, 16, 16), np.uint8))
    with pytest.raises(ValueError, match="expected uint8"):
        read(tmp_path / "pixels.npy", how(Reading()))
    np.save(tmp_path / "pixels.npy", np.ones((3, 32, 32), np.uint8))
    assert read(tmp_path / "pixels.npy", how(Reading())).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("thresholds", [{}, {"b": 0.2}, {"a": 0.3, "b": 0.1, "c": 0.6}])
def test_it_decides_as_was_decided(thresholds: dict[str, float]) -> None:
    rule = Decision(("a", "b", "c"), Wishes(thresholds, refer_below=0.5), 1.3, 0.25, 40, False)
    chances = np.random.default_rng(2).dirichlet([0.7] * 3, 500)
    bundle = {
        "classes": ["a", "b", "c"],
        "decision": {"thresholds": thresholds, "refer_below": 0.5, "set_threshold": 0.25},
    }
    said = decide(chances, bundle)
    assert [each["class"] for each in said] == [rule.classes[number] for number in rule.said(chances)]
    assert [each["to_a_person"] for each in said] == rule.refers(chances).tolist()
    inside = [[name in each["set"] for name in "abc"] for each in said]
    assert inside == rule.sets(chances).tolist()


def test_golden_images_are_the_same_ones_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    rows = [
        Row(image=rng.bytes(8).hex(), pixels="", path="", width=1, height=1, label=label)
        for label in ["common"] * 40 + ["rare"] * 3 + ["other"] * 10
    ]
    chosen = choose_golden(rows)
    assert [row.label for row in chosen] == ["common", "other", "rare"] * 2 + ["common", "other"]
    for _ in range(3):
        rng.shuffle(rows)  # type: ignore[arg-type]
        assert choose_golden(rows) == chosen
    assert len(choose_golden(rows[:2])) == 2
    assert choose_golden([replace(rows[0], label=None)])[0].label is None


def test_drawn_inputs_differ_from_each_other_and_are_always_the_same() -> None:
    pixels = draw_inputs(48)
    assert np.array_equal(pixels, draw_inputs(48))
    flat = pixels.reshape(len(pixels), -1).astype(float)
    assert np.abs(np.corrcoef(flat) - np.eye(len(flat))).max() < 0.9
    assert np.ptp(pixels) > 150
