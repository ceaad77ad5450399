"""A bundle does elsewhere what the app does, says nothing it should not, and tells when it was changed."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.bundle.conftest import CLASSES, PATIENT, Made, load_expected
from transfer_core.bundle import make
from transfer_core.bundle.golden import choose_golden
from transfer_core.bundle.graph import Session
from transfer_core.bundle.subject import Options
from transfer_core.bundle.verify import Check, Verdict, verify
from transfer_core.cli import main
from transfer_core.errors import UserError
from transfer_core.evaluation.report import safe_cells, write_csv
from transfer_core.models.prefix import Prefix
from transfer_core.runs.predictor import Predictor
from transfer_core.runs.take_home import export_bundle, make_subject

OURS = ("torch", "torchvision", "timm", "onnx", "transfer_core", "sklearn", "pandas", "scipy", "safetensors")


def run_script(
    folder: Path, *arguments: str, without: tuple[str, ...] = OURS
) -> subprocess.CompletedProcess[str]:
    """Run the bundle's own script where some modules cannot be imported, far from this checkout."""
    code = (
        "import sys, runpy\n"
        f"for name in {without!r}: sys.modules[name] = None\n"
        f"sys.argv = ['predict.py', *{list(arguments)!r}]\n"
        f"sys.path[0] = {str(folder)!r}\n"
        f"runpy.run_path({str(folder / 'predict.py')!r}, run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )


def test_its_own_script_needs_numpy_and_onnx_runtime_alone(made: Made) -> None:
    said = run_script(made.folder, "--check", without=(*OURS, "PIL"))
    assert said.returncode == 0, said.stderr
    assert "passed" in said.stdout
    assert "need Pillow" in said.stdout
    assert run_script(made.folder, "--check", "--int8").returncode == 0


def test_its_own_script_says_what_the_app_says(made: Made) -> None:
    names = [f"golden/{number}.png" for number in range(1, 9)]
    said = [json.loads(line) for line in run_script(made.folder, *names).stdout.splitlines()]
    predictor, decision = Predictor(made.lab.store, made.run), made.lab.decision(made.run)
    plain = np.array([
        list(predictor.predict_bytes(name, (made.folder / name).read_bytes()).probabilities.values()) for name in names
    ])  # fmt: skip
    chances = decision.calibrated(plain)
    assert [each["class"] for each in said] == [decision.classes[number] for number in decision.said(chances)]
    assert [each["to_a_person"] for each in said] == decision.refers(chances).tolist()
    found = np.array([list(each["probabilities"].values()) for each in said])
    assert np.abs(found - chances).max() < 1e-4
    with (made.folder / "predictions.csv").open(newline="", encoding="utf-8") as lines:
        table = {
            row["image"]: [float(row[name]) for name in safe_cells(CLASSES)] for row in csv.DictReader(lines)
        }
    golden = choose_golden(make_subject(made.lab, made.run).tested())
    assert np.abs(chances - [table[row.image] for row in golden]).max() < 1e-4
    for each, inside in zip(said, decision.sets(chances), strict=True):
        assert each["set"] == [name for name, is_in in zip(decision.classes, inside, strict=True) if is_in]


def test_the_engine_for_many_images_says_what_the_one_for_few_does(made: Made) -> None:
    """Of trained stages, too: here those above the cut, changed as training changes them."""
    predictor = Predictor(made.lab.store, made.run)
    setup, model = predictor.setup, predictor.model
    assert setup.engine == "onnx"
    with torch.no_grad():
        for each in model.stages[6:].parameters():
            each.mul_(1.03)
    setup.spec = replace(setup.spec, cut=6)
    predictor._prefix = Prefix(model.stages, 6, 6, setup.backbone, setup.device, setup.graphs)
    pixels = np.random.default_rng(0).integers(0, 256, (7, 2, 3, 224, 224), dtype=np.uint8)
    few, many = predictor.look(pixels), predictor.look(pixels, many=True)
    assert predictor._whole is not None
    assert np.abs(few.probabilities - many.probabilities).max() < 1e-4
    assert np.ptp(few.probabilities, axis=0).max() > 1e-3, "or any two would agree"


def test_the_script_tells_a_changed_answer(copy: Path) -> None:
    expected = json.loads((copy / "golden/expected.json").read_text())
    expected["cases"][3]["probabilities"][0] += 0.001
    (copy / "golden/expected.json").write_text(json.dumps(expected))
    said = run_script(copy, "--check")
    assert said.returncode == 1
    assert "FAILED" in said.stdout
    assert run_script(copy, "--check", "--int8").returncode == 0
    expected["cases"][0]["int8"][0] += 0.1
    (copy / "golden/expected.json").write_text(json.dumps(expected))
    assert run_script(copy, "--check", "--int8").returncode == 1


def test_it_says_all_that_is_needed(made: Made) -> None:
    about, decision = made.about, made.lab.decision(made.run)
    assert about["classes"] == list(decision.classes)
    assert about["decision"]["temperature"] == decision.temperature
    assert about["decision"]["thresholds"] == {CLASSES[0]: 0.2}
    assert about["decision"]["set_threshold"] == decision.set_threshold > 0
    assert about["data"]["manifest"] == made.run.manifest
    assert about["agreement_with_report"]["same_class"] == 1.0
    assert about["agreement_with_report"]["largest_difference"] < 0.01
    assert set(about["files"]) >= {
        "README.md",
        "model_card.md",
        "report.html",
        "report.pdf",
        "predictions.csv",
        "predict.py",
    }
    with safe_open(made.folder / "model.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["classes"]) == about["classes"]


def test_int8_is_measured_on_the_test_images(made: Made) -> None:
    int8, subject = made.about["int8"], make_subject(made.lab, made.run)
    rows = subject.tested()
    pixels = np.stack([subject.prepare(subject.picture(row.image)) for row in rows])
    truth = np.array([subject.manifest.classes.index(row.label or "") for row in rows])
    for name, key in (("model.onnx", "accuracy_float"), ("model-int8.onnx", "accuracy_int8")):
        said = Session(made.folder / name).say(pixels)[0].argmax(1)
        assert int8[key] == (said == truth).mean()
    assert int8["n"] == len(rows)
    low, high = int8["difference_ci"]
    assert low <= int8["balanced_accuracy_difference"] <= high
    assert int8["mb_int8"] < 0.4 * int8["mb_float"]
    assert min(int8["ms_int8"], int8["ms_float"]) > 0


def test_names_and_metadata_stay_at_home(made: Made, tmp_path: Path) -> None:
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert PATIENT.encode() not in path.read_bytes(), path
    for path in (made.folder / "golden").glob("*.png"):
        with Image.open(path) as image:
            assert not image.info
    subject = make_subject(made.lab, made.run)
    with (tmp_path / "named.csv").open("w", newline="", encoding="utf-8") as out:
        write_csv(subject.report, subject.decision, out)
    assert PATIENT in (tmp_path / "named.csv").read_text(encoding="utf-8")


def test_the_table_keeps_groups_apart_and_holds_no_formula(made: Made) -> None:
    with (made.folder / "predictions.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    groups = made.lab.library.get(made.run.manifest).by_image
    pairs = {(row["group"], groups[row["image"]].group) for row in rows}
    assert len(pairs) == len({own for own, _ in pairs}) == len({other for _, other in pairs}) > 1
    cells = [cell for row in rows for cell in (*row, *row.values())]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")]


# -- where it goes -----------------------------------------------------------------------


def test_it_overwrites_nothing_but_a_bundle(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "holiday"
    target.mkdir()
    (target / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="name a new or an empty folder"):
        export_bundle(made.lab, made.run, target, Options(), lambda *_: None)
    assert [each.name for each in target.iterdir()] == ["photo.jpg"]
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UserError, match="name a new or an empty folder"):
        export_bundle(made.lab, made.run, tmp_path / "file", Options(), lambda *_: None)


def test_a_failed_self_test_leaves_what_was_there(
    made: Made, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (copy / "bundle.json").read_bytes()
    monkeypatch.setattr(make, "verify", lambda _: Verdict("", "", (Check("x", False, "Not the same."),)))
    with pytest.raises(UserError, match="failed its self-test, so nothing was written: Not the same"):
        export_bundle(made.lab, made.run, copy, Options(), lambda *_: None)
    assert (copy / "bundle.json").read_bytes() == before
    assert [each.name for each in copy.parent.iterdir()] == ["copy"]


def test_a_new_bundle_takes_the_place_of_an_older_one(
    made: Made, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "left-over.txt").write_text("x")
    monkeypatch.setenv("TRANSFER_LAB_HOME", str(made.lab.home))
    assert main(["export", made.run.id, "--to", str(copy)]) == 0
    names = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert "left-over.txt" not in names
    (usual := copy.parent / "usual").touch()
    assert {(copy / name).stat().st_mode for name in names} == {usual.stat().st_mode}
    assert not [name for name in names if name.endswith(".png") or "int8" in name]
    assert verify(copy).passed
    drawn, images = (load_expected(folder) for folder in (copy, made.folder))
    assert drawn.shape == images.shape
    assert not np.allclose(drawn, images)


@pytest.mark.slow
def test_it_runs_in_a_fresh_environment(made: Made, tmp_path: Path) -> None:
    """As its README says: nothing but onnxruntime and numpy."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not here to make an environment")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True)
    install = [uv, "pip", "install", "-q", "--python", python, "onnxruntime", "numpy"]
    got = subprocess.run(install, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=240)
    if got.returncode:
        pytest.skip("no package index can be reached from here")
    said = subprocess.run(
        [python, "predict.py", "--check"], capture_output=True, text=True, cwd=made.folder, check=False
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.rstrip().endswith("passed")
