"""`transfer-lab verify`: a whole bundle passes, a spoilt one fails with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.bundle.conftest import Made, rewrite
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
def test_a_spoilt_bundle_fails_with_a_sentence(
    name: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, sentence = SPOILT[name]
    spoil(copy)
    assert main(["verify", str(copy)]) == 1
    said = capsys.readouterr().out
    assert sentence in said
    assert "FAILED" in said
    assert "Traceback" not in said


def test_what_is_no_bundle_is_told_from_a_spoilt_one(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path / "nowhere"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "no-bundle"
    rewrite(copy, lambda about: about.update(format=99))
    assert main(["verify", str(copy), "--json"]) == 2
    assert "format 99" in json.loads(capsys.readouterr().out)["error"]["message"]
    (copy / "bundle.json").write_text("{")
    assert main(["verify", str(copy), "--json"]) == 2
    assert "damaged" in json.loads(capsys.readouterr().out)["error"]["message"]
