"""`transfer-lab verify`: a whole bundle passes, a spoilt one fails with a sentence."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.bundle.conftest import Made, rewrite
from transfer_core.bundle import apart
from transfer_core.bundle.verify import _check, _Look, verify
from transfer_core.cli import main


def test_verify_passes_and_says_so(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(made.folder), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"]
    assert [each["passed"] for each in answer["checks"]] == [True] * 6


def scale_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    tensors["heads.main.bias"][0] += 0.05
    save_file(tensors, path, metadata=header)


def relabel_model(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    (classes,) = (each for each in model.metadata_props if each.key == "classes")
    classes.value = json.dumps(json.loads(classes.value)[::-1])
    onnx.save(model, folder / "model.onnx")


def cut_short(folder: Path, name: str = "model.onnx") -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def paint_over(folder: Path) -> None:
    with Image.open(folder / "golden/2.png") as image:
        image.point(lambda value: 255 - value).save(folder / "golden/2.png")


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights": (scale_weights, "model.safetensors is not the file that was exported"),
    "weights, hashed anew": (lambda f: (scale_weights(f), rewrite(f)), "are not the same model"),
    "order of classes": (lambda f: rewrite(f, lambda a: a["classes"].reverse()), "not in their order"),
    "order of classes in the model": (lambda f: (relabel_model(f), rewrite(f)), "not in their order"),
    "onnx cut short": (lambda f: (cut_short(f), rewrite(f)), "model.onnx is damaged"),
    "weights cut short": (lambda f: (cut_short(f, "model.safetensors"), rewrite(f)), "model.safetensors is damaged"),
    "temperature": (lambda f: rewrite(f, lambda a: a["decision"].update(temperature=9.0)), "are not the same model"),
    "another backbone": (lambda f: rewrite(f, lambda a: a["network"].update(backbone="lite1")), "does not hold the weights"),
    "a file is missing": (lambda f: (f / "predict.py").unlink(), "predict.py is missing"),
    "a file is not listed": (lambda f: rewrite(f, lambda a: a["files"].pop("model.onnx")), "does not list model.onnx"),
    "a path that leads out": (lambda f: rewrite(f, lambda a: a["files"].update({"../../etc/passwd": "0"})), "no file of a bundle"),
    "another image": (lambda f: (paint_over(f), rewrite(f)), "golden/2.png does not become"),
    "nonsense": (lambda f: rewrite(f, lambda a: a.update(decision=None)), "could not be looked at"),
    "pickled inputs": (
        lambda f: (np.savez(f / "golden/inputs.npz", pixels=np.array([{}], dtype=object)), rewrite(f)), "could not be looked at"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_bundle_fails_with_a_sentence(name: str, copy: Path) -> None:
    spoil, sentence = SPOILT[name]
    spoil(copy)
    verdict = verify(copy)
    assert not verdict.passed
    assert sentence in " ".join(each.found for each in verdict.checks if not each.passed)


def test_what_is_no_bundle_is_told_from_a_spoilt_one(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path / "nowhere"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "no-bundle"
    rewrite(copy, lambda about: about.update(format=99))
    assert main(["verify", str(copy), "--json"]) == 2
    assert "format 99" in json.loads(capsys.readouterr().out)["error"]["message"]


ANY = {"format": 1, "files": {}, "classes": [], "run": {}}
DEEP, HUGE = "[" * 100_000 + "]" * 100_000, "9" * 10_000
ABOUTS = {
    "cut short": "{", "no text": "\udcff\udcfe", "deep": DEEP, "huge": f'{{"format": {HUGE}}}', "a list": "[]", "large": " " * 17_000_000,
    "deep below": json.dumps(ANY)[:-1] + f', "input": {DEEP}}}',
    **{f"{key} is {value}": json.dumps(ANY | {key: json.loads(value)}) for key in ANY if key != "format"
       for value in ("null", "3", '"x"', '[["x"]]', '{"x": 1e999}')},
    "many files": json.dumps(ANY | {"files": {f"a{n}": "" for n in range(100_000)}}),
    "a long name": json.dumps(ANY | {"files": {"/" + "a" * 1_000_000: ""}}),
}  # fmt: skip


@pytest.mark.parametrize("name", ABOUTS)
def test_whatever_a_bundle_says_of_itself_ends_in_a_short_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(ABOUTS[name].encode("utf-8", "surrogateescape"))
    verdict = verify(tmp_path)
    assert not verdict.passed
    assert all(each.found and len(each.found) < 1000 for each in verdict.checks)


def packed(compression: int = zipfile.ZIP_STORED, name: str = "pixels.npy", size: int = 3) -> bytes:
    """An archive of inputs, as numpy writes it."""
    data, out = io.BytesIO(), io.BytesIO()
    np.save(data, np.zeros((1, 3, size, size), np.uint8))
    with zipfile.ZipFile(out, "w", compression) as file:
        file.writestr(name, data.getvalue())
    return out.getvalue()


def changed(data: bytes, *places: tuple[bytes, int, bytes]) -> bytes:
    """Bytes with others written over them, each so far behind the first occurrence of a mark."""
    for mark, offset, other in places:
        at = data.index(mark) + offset
        data = data[:at] + other + data[at + len(other) :]
    return data


LOCAL, CENTRAL = b"PK\3\4", b"PK\1\2"
ARCHIVES = {
    "cut short": packed()[:-30],
    "no archive": b"no archive",
    "empty": b"",
    "bad checksum": changed(packed(), (LOCAL, 14, b"\1\2\3\4"), (CENTRAL, 16, b"\1\2\3\4")),
    "unknown packing": changed(packed(), (LOCAL, 8, b"\x63\0"), (CENTRAL, 10, b"\x63\0")),
    "said to be packed": changed(packed(), (LOCAL, 8, b"\x08\0"), (CENTRAL, 10, b"\x08\0")),
    "a name that is no text": changed(packed(), (CENTRAL, 8, b"\0\x08"), (CENTRAL, 46, b"\xff\xfe")),
    "encrypted": changed(packed(), (LOCAL, 6, b"\1\0"), (CENTRAL, 8, b"\1\0")),
    "another name": packed(name="other.npy"),
    "more than it holds": changed(packed(), (b"(1, 3, 3, 3)", 0, b"(9, 3,3333333333)")),
    "unpacks to too much": packed(zipfile.ZIP_DEFLATED, size=13_000),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_damaged_archive_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "inputs.npz").write_bytes(ARCHIVES[name])
    (tmp_path / "golden" / "expected.json").write_text(json.dumps({"cases": []}))
    (tmp_path / "bundle.json").write_text(json.dumps(ANY))
    look = _Look(tmp_path, {})
    check = _check("inputs", lambda: str(look.pixels))
    assert not check.passed
    assert 0 < len(check.found) < 1000


@pytest.mark.parametrize("code", ["import threading; threading.Event().wait()", "import os; os._exit(9)"])
def test_who_does_not_end_or_crashes_is_a_bad_bundle(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "CHECKER", (sys.executable, "-c", code))
    monkeypatch.setattr(apart, "LIMIT", 0.1 if "wait" in code else 60.0)
    assert main(["verify", str(tmp_path)]) == 1
    assert "BAD  bundle: Looking at it " in capsys.readouterr().out
    assert not psutil.Process().children(recursive=True)
