"""Sixty-four things that users, and others, bring. Each has its number, and one thing that must come of it.

Whatever the input: no exception but a UserError, the good images beside it are brought in, and nothing is written
outside the home. What belongs to the tests of one module is there, and listed in ELSEWHERE.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import GOOD, Told, empty_png, encode, noise, png
from PIL import Image, PngImagePlugin

from pages.ui.text import escape
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.label_table import Columns, lay_over, read_table
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Reading
from transfer_core.data.sources import arrange, open_source
from transfer_core.data.split import make_split
from transfer_core.errors import UserError
from transfer_core.evaluation.report import safe_cells

ELSEWHERE = {
    47: "data/test_dicom.py::test_every_kind_of_window_and_the_inversion_after_it",
    48: "data/test_dicom.py::test_of_several_windows_the_first_is_taken data/test_dicom.py::test_without_a_window_a_range_for_all_is_found",
    49: "data/test_dicom.py::test_what_cannot_be_read_is_told",  # JPEG Extended, by its name
    50: "data/test_dicom.py::test_what_cannot_be_read_is_told data/test_dicom.py::test_a_picture_that_claims_to_be_a_giant_is_refused",
    51: "data/test_dicom.py::test_frames_are_told_of_or_become_images_that_stay_together",
    52: "data/test_dicom.py::test_a_warning_where_names_may_be_written_into_the_picture data/test_dicom.py::test_not_a_word_of_the_header_reaches_the_disk",
    59: "models/test_weights.py::test_a_file_that_holds_a_program_is_refused_and_never_run",
    60: "models/test_weights.py::test_other_types_are_never_opened",
    61: "models/test_weights.py::test_damaged_files_are_refused models/test_weights.py::test_the_first_three_misfits_are_named models/test_weights.py::test_numbers_that_are_not_finite_are_refused models/test_weights.py::test_another_class_count_and_missing_counters_fit",
    62: "training/test_spec.py::test_what_cannot_be_is_refused_in_a_sentence data/test_batches.py::test_batches_have_their_size_and_none_has_one_image training/test_loop.py::test_an_absurd_learning_rate_diverges_instead_of_going_on",
    63: "pages/test_links.py::test_a_link_to_nothing_is_told_and_touches_nothing",
    64: "test_server.py::test_no_page_from_elsewhere_may_ask runs/test_uploads.py::test_without_a_token_nothing_is_written runs/test_uploads.py::test_a_body_without_an_end_is_cut_at_the_cap browser/test_protocol.py::test_only_its_own_pages_may_speak_to_the_app",
}  # fmt: skip


def brought(bring: Callable[..., tuple[Manifest, Told]], data: bytes, name: str = "a/it.png") -> tuple[Manifest, str | None]:  # fmt: skip
    manifest, told = bring((name, data))
    return manifest, told.get(name)


# -- structure ----------------------------------------------------------------------------


def take_in(home: Path, files: dict[str, bytes]) -> tuple[Manifest, Told]:
    candidates, problems = arrange([(name, partial(bytes, data)) for name, data in files.items()])
    manifest, problems = ingest(candidates, "set", Library(home), problems=problems)
    return manifest, {each.file: each.kind for each in problems}


def test_19_no_class_folders(home: Path) -> None:
    manifest, told = take_in(home, {f"{n}.png": png(n) for n in range(6)})
    assert manifest.classes == ()
    assert told == {"": "no-labels"}


def test_20_one_class(home: Path) -> None:
    manifest, told = take_in(home, {f"a/{n}.png": png(n) for n in range(6)} | {"unlabelled/x.png": png(9)})
    assert told == {"a": "one-class"}
    with pytest.raises(UserError, match="at least two"):
        make_split(manifest)


def test_21_a_class_folder_without_images(bring) -> None:
    _, told = bring(("c/", b""), ("d/e/", b""), ("__MACOSX/", b""))
    assert told == {"c": "empty-folder", "d/e": "empty-folder"}


def test_21_a_class_folder_without_images_on_this_machine(home: Path, tmp_path: Path) -> None:
    for name, content in [*GOOD, ("c/Thumbs.db", b"")]:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    for name in ("c2", "d/e", ".ipynb_checkpoints"):
        (tmp_path / "set" / name).mkdir(parents=True)
    candidates, problems = open_source(tmp_path / "set")
    manifest, problems = ingest(candidates, "set", Library(home), problems=problems)
    assert len(manifest.rows) == len(GOOD)
    assert {each.file: each.kind for each in problems} == {"c2": "empty-folder", "d/e": "empty-folder"}


def test_22_a_class_of_one_image(home: Path) -> None:
    _, told = take_in(home, dict(GOOD) | {"lone/1.png": png(1)})
    assert told == {"lone": "small-class"}


def test_23_a_class_that_is_in_the_test_only(home: Path) -> None:
    files = {f"{part}/{label}/{n}.png": png(100 * i + 10 * j + n) for i, part in enumerate(("train", "val", "test"))
             for j, label in enumerate("ab") for n in range(3)}  # fmt: skip
    manifest, _ = take_in(home, files | {f"test/new/{n}.png": png(900 + n) for n in range(4)})
    with pytest.raises(UserError, match="new"):
        make_split(manifest, "given")


def test_24_folders_in_folders(home: Path) -> None:
    manifest, _ = take_in(home, {f"{site}/{day}/{label}/{n}.png": png(100 * i + 10 * j + n) for i, (site, day) in
                                 enumerate((("x", "mon"), ("y", "tue"))) for j, label in enumerate("ab") for n in range(4)})  # fmt: skip
    assert manifest.classes == ("a", "b")  # the innermost folder is the class, what is above it the domain
    assert set(manifest.domains) == {"x/mon", "y/tue"}


def test_25_two_thousand_classes(home: Path) -> None:
    manifest, _ = take_in(home, {f"c{n:04d}/x.png": encode(Image.new("RGB", (16, 16), (n % 256, n // 256, 0))) for n in range(2000)})  # fmt: skip
    assert len(manifest.classes) == 2000


def test_26_one_image_in_train_and_test(home: Path) -> None:
    files = {f"{part}/{label}/{n}.png": png(100 * i + 10 * j + n) for i, part in enumerate(("train", "val", "test"))
             for j, label in enumerate("ab") for n in range(3)}  # fmt: skip
    manifest, told = take_in(home, files | {"test/a/leak.png": files["train/a/0.png"]})
    assert "duplicate" in told.values()
    assert make_split(manifest, "given").receipt.pixels_shared == 0


def test_27_one_image_under_two_labels(home: Path) -> None:
    manifest, told = take_in(home, dict(GOOD) | {"b/again.png": GOOD[0][1]})
    assert {told.pop(name) for name in ("a/good0.png", "b/again.png")} == {"conflict"}
    (row,) = [row for row in manifest.rows if row.label is None]  # kept, to be looked at
    assert (row.path, row.claims, len(manifest.rows)) == ("a/good0.png", ("a", "b"), len(GOOD))


def test_28_one_picture_packed_anew(home: Path) -> None:
    again = encode(Image.open(io.BytesIO(GOOD[0][1])), "BMP")
    manifest, _ = take_in(home, dict(GOOD) | {"a/again.bmp": again})
    for seed in range(10):
        assert make_split(manifest, seed=seed).receipt.pixels_shared == 0


def test_29_parts_of_one_patient(home: Path) -> None:
    candidates = [Candidate(f"{n}.png", partial(png, n), "ab"[n % 2], group=f"p{n // 2}") for n in range(24)]
    manifest, _ = ingest(candidates, "set", Library(home))
    assert make_split(manifest, "group").receipt.groups_shared == 0


# -- images -------------------------------------------------------------------------------

FITS = b"SIMPLE  =                    T" + bytes(2880)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"


def comments(size: int) -> bytes:
    about = PngImagePlugin.PngInfo()
    about.add_text("c", "x" * size, zip=True)
    return encode(noise(1), "PNG", pnginfo=about)


@pytest.mark.parametrize(
    ("number", "data", "kind"),
    [
        (30, b"", "empty"),
        (31, b"<html><script>alert(1)</script></html>", "wrong-type"),
        (32, b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "wrong-type"),
        (33, encode(noise(1, 90, 90), "JPEG")[:-600], "damaged"),
        (34, empty_png(20_000, 20_000), "too-large"),
        (35, empty_png(12_000, 10_000), "too-large"),
        (36, FITS, "wrong-type"),
        (36, EPS, "wrong-type"),
        (36, b"%PDF-1.7\n", "wrong-type"),
        (36, b"8BPS\0\1" + bytes(30), "wrong-type"),
        (44, encode(Image.new("RGB", (1, 1))), "too-small"),
        (44, encode(Image.new("RGB", (50_000, 1))), "too-small"),
        (45, b"\0\0\0\x20ftypjxl " + bytes(60), "wrong-type"),
        (46, comments(3_000_000), "damaged"),
    ],
)
def test_30_to_46_what_is_refused(bring, number: int, data: bytes, kind: str) -> None:
    manifest, told = brought(bring, data)
    assert told == kind
    assert len(manifest.rows) == len(GOOD)


def deep(values: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, values, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (37, deep(np.arange(4096, dtype="u2").reshape(64, 64) * 16)),
        (38, deep(np.where(np.eye(64) > 0, np.nan, np.arange(4096.0).reshape(64, 64)).astype("f4"))),
        (39, deep(np.stack([np.arange(4096, dtype="u2").reshape(64, 64) * k for k in (4, 8, 16)], -1), photometric="rgb")),
    ],
)  # fmt: skip
def test_37_to_39_more_than_eight_bits(bring, number: int, data: bytes) -> None:
    manifest, _ = brought(bring, data, "a/it.tif")
    assert len(manifest.rows) == len(GOOD) + 1
    assert manifest.reading.depth == "window"
    with Image.open(Library(Path(os.environ["TRANSFER_LAB_HOME"])).thumb_path(_row(manifest).image)) as thumb:
        values = np.asarray(thumb)
    assert np.mean(values == 255) < 0.1
    assert values.std() > 20


def _row(manifest: Manifest) -> object:
    return next(row for row in manifest.rows if "good" not in row.path)


def test_38_numbers_that_are_none_are_told(bring) -> None:
    values = np.arange(4096.0).reshape(64, 64).astype("f4")
    values[0, 0] = np.nan
    assert brought(bring, deep(values), "a/it.tif")[1] == "not-finite"


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_43_several_pages(bring, kind: str) -> None:
    data = encode(noise(1), kind, save_all=True, append_images=[noise(2)])
    manifest, told = brought(bring, data, f"a/it.{kind.lower()}")
    assert told == "frames"
    assert len(manifest.rows) == len(GOOD) + 1


def test_46_a_profile_that_is_a_bomb(bring) -> None:
    profile = b"bomb\0\0" + zlib.compress(bytes(30_000_000))
    chunk = (
        struct.pack(">I", len(profile)) + b"iCCP" + profile + struct.pack(">I", zlib.crc32(b"iCCP" + profile))
    )
    plain = png(1)
    _, told = brought(bring, plain[:33] + chunk + plain[33:])
    assert told in (None, "damaged")


# -- names and text -----------------------------------------------------------------------

NAMES = ["..\u202egnp.exe", "new\nline", "-rf", "\U0001f600", "x" * 250, "<img onerror=alert(1)>", "![t](http://evil/p.png)",
         "$\\frac12$", ":red[x]", "# h1", "=HYPERLINK(1)", "@SUM", "-2"]  # fmt: skip


@pytest.mark.parametrize("label", NAMES)
def test_53_to_57_names_are_kept_as_text_and_shown_as_text(home: Path, label: str) -> None:
    candidates = [
        Candidate(f"{label}/{n}.png", partial(png, n), label if n % 2 else "other") for n in range(8)
    ]
    manifest, _ = ingest(candidates, label, Library(home))
    assert label in manifest.classes
    shown = escape(label)
    assert "\n" not in shown
    assert "\u202e" not in shown
    assert not shown.startswith(("#", ":red[", "!["))
    (cell,) = safe_cells([label])
    assert not cell.startswith(("=", "@", "-", "+"))


def test_58_a_table_of_everything_that_is_wrong() -> None:
    text = 'file;label\r\na.png;x\r\na.png;x\r\n../../etc/passwd;x\r\nhttp://evil/x.png;x\r\n"two\r\nlines.png";y\r\n'
    brought = [Candidate("a.png", bytes), Candidate("b.png", bytes)]
    told, problems = lay_over(read_table(b"\xef\xbb\xbf" + text.encode()), Columns("file", "label"), brought)
    assert [each.label for each in told] == ["x", None]
    assert {each.kind for each in problems} == {"outside", "missing", "not-in-table"}


def test_the_reading_is_part_of_what_is_said(home: Path) -> None:
    manifest, _ = take_in(home, dict(GOOD))
    assert manifest.reading == Reading()


def test_all_sixty_four_have_a_test() -> None:
    here = "".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_hostile*.py")
    )
    numbers = set(ELSEWHERE)
    for first, last in re.findall(r"^def test_(\d\d)(?:_to_(\d\d))?", here, re.MULTILINE):
        numbers |= set(range(int(first), int(last or first) + 1))
    assert numbers == set(range(1, 65))
    for each in " ".join(ELSEWHERE.values()).split():
        file, _, test = each.partition("::")
        assert f"def {test}(" in (Path(__file__).parents[1] / file).read_text(encoding="utf-8"), each
