"""A file is what it begins as, whatever it is called."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import encode, lay_out, noise, pack
from PIL import Image
from test_dicom_grey import RAMP, scan

from transfer_core.data.content import HEAD, is_picture
from transfer_core.data.images import decode
from transfer_core.data.keep import keep
from transfer_core.data.manifest import Reading
from transfer_core.data.sources import open_source

PICTURES = {
    "3.jfif": encode(noise(1), "JPEG"),
    "4.JPE": encode(noise(2), "JPEG"),
    "5.gif": encode(noise(3), "GIF"),
    "6.jp2": encode(noise(4), "JPEG2000", irreversible=False),
    "7.avif": encode(noise(5), "AVIF"),
    "8.pgm": encode(noise(6).convert("L"), "PPM"),
    "9.something": encode(noise(7), "BMP"),
    "a.0001": encode(noise(8), "WEBP"),
    "PAT.CT.0003.0001.IMA": scan(RAMP),
    "1.2.840.113619.2.55.3.1001": scan(RAMP + 1),
    "1.2.840.113619.2.55.3.1002": scan(RAMP + 2, bare=True),
    "IM000001": scan(RAMP + 3),
}
OTHERS = {
    "notes.txt": b"BMI, P6 and II are words that pictures begin with",
    "numbers.npy": b"\x93NUMPY\1\0" + bytes(60),
    "README": b"Pictures of cells.\n",
    "film.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "pages.pdf": b"%PDF-1.7\n",
    "DICOMDIR": b"\0" * 128 + b"DICM",
}


@pytest.mark.parametrize("packed", [True, False])
def test_names_tell_nothing(tmp_path: Path, packed: bool) -> None:
    files = {f"{'ab'[n % 2]}/{name}": data for n, (name, data) in enumerate(PICTURES.items())}
    others = {f"a/{name}": data for name, data in OTHERS.items()}
    source = pack(tmp_path / "it.zip", (files | others).items()) if packed else lay_out(tmp_path / "it", files | others)  # fmt: skip
    candidates, problems = open_source(source)
    assert {each.path: each.label for each in candidates} == {name: name[0] for name in files}
    told = {each.file.split("/")[1]: each.kind for each in problems}
    assert told == {**dict.fromkeys(OTHERS, "wrong-type"), "DICOMDIR": "dicomdir"}
    for each in candidates:
        assert keep(each.read())


@pytest.mark.parametrize("name", ["IM000001", "9.something"])
def test_a_single_file_may_be_called_anything(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PICTURES[name])
    (candidate,) = open_source(tmp_path / name)[0]
    assert candidate.read() == PICTURES[name]


@pytest.mark.parametrize("name", ["6.jp2", "8.pgm", "9.something"])
def test_the_pixels_are_those_that_were_written(name: str) -> None:
    wanted = noise({"6.jp2": 4, "8.pgm": 6, "9.something": 7}[name])
    wanted = wanted.convert("L").convert("RGB") if name == "8.pgm" else wanted
    assert np.array_equal(np.asarray(decode(keep(PICTURES[name])[0].data, Reading())), np.asarray(wanted))


def test_a_gif_that_moves_is_a_file_of_frames() -> None:
    frames = [Image.new("P", (20, 20), n) for n in range(3)]
    for n, frame in enumerate(frames):
        frame.putpalette([0, 0, 0, 90, 90, 90, 200, 200, 200])
        frame.putpixel((n, 0), 2)
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert [kind for kind, _ in keep(out.getvalue())[0].notices] == ["frames"]
    each = [np.asarray(decode(one.data, Reading()))[..., 0] for one in keep(out.getvalue(), each_frame=True)]
    for n, seen in enumerate(each):
        assert seen[5, 5] == (0, 90, 200)[n]
        assert seen[0, n] == 200


@given(st.text(max_size=HEAD))
def test_no_text_is_a_picture(text: str) -> None:
    assert not is_picture(text.encode()) or text[:2] in {f"P{n}" for n in range(1, 7)} | {"BM"} or text[:4] == "GIF8"  # fmt: skip
