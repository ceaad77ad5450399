"""The command line as a program sees it: one JSON object, always, and the right exit code."""

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring
from transfer_core.cli import main
from transfer_core.models.backbones import BACKBONES
from transfer_core.strategies import STRATEGIES


@pytest.fixture
def pictures(tmp_path):
    """Write 48 drawn images of two classes as domain/class/image, one truncated file among them."""
    folder = tmp_path / "pictures"
    for drawing in draw_shapes(48, classes=("disc-solid", "cross-outline"), seed=1):
        target = folder / drawing.domain / drawing.label / drawing.name
        target.parent.mkdir(parents=True, exist_ok=True)
        drawing.image.save(target.with_suffix(".png"))
    whole = next(folder.rglob("*.png")).read_bytes()
    (folder / "clean" / "disc-solid" / "torn.png").write_bytes(whole[: len(whole) // 2])
    return folder


def ask(capsys, *arguments):
    """Return (exit code, the one JSON object on stdout)."""
    code = main([str(each) for each in arguments] + ["--json"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    return code, json.loads(lines[0])


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["no-such-command"], "usage"),
        (["train"], "usage"),
        (["train", "--data", "nothing"], "no-data"),
        (["show", "abc"], "no-run"),
        (["report", "abc"], "no-run"),
        (["show", "../../etc/passwd"], "no-run"),
        (["resume", "abc"], "no-run"),
        (["stop", "abc"], "no-run"),
        (["predict", "abc", "x.png"], "no-run"),
        (["delete", "abc"], "no-data"),
        (["ingest", "/no/such/folder"], "no-such-path"),
        (["weights", "resnet18", "--file", "/no/such/file.pth"], None),
        (["weights", "no-such-backbone"], "unknown-backbone"),
    ],
)
def test_a_mistake_is_one_object_and_exit_code_2(home, capsys, arguments, kind):
    code, answer = ask(capsys, *arguments)
    assert code == 2
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"kind", "message"}
    assert kind in (None, answer["error"]["kind"])
    assert "Traceback" not in answer["error"]["message"]


def test_without_json_a_mistake_is_one_line_on_stderr(home, capsys):
    assert main(["show", "abc"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_a_folder_without_images_or_with_one_class_says_what_to_do(home, capsys, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    code, answer = ask(capsys, "ingest", empty)
    assert (code, answer["error"]["kind"]) == (2, "no-images")
    (tmp_path / "one" / "only").mkdir(parents=True)
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "one" / "only" / f"{number}.png")
    code, answer = ask(capsys, "ingest", tmp_path / "one")
    assert code == 0
    assert [each["kind"] for each in answer["problems"]] == ["one-class"]
    code, answer = ask(capsys, "train", "--data", "one")
    assert (code, answer["error"]["kind"]) == (2, "one-class")


@pytest.mark.parametrize(
    "option",
    [
        ["--cut", "99", "--strategy", "fine_tuning"],
        ["--cut", "3"],
        ["--epochs", "0"],
        ["--lr", "nan"],
        ["--batch-size", "1"],
        ["--set", "strongest=-1"],
        ["--set", "no_such_knob=1"],
        ["--set", "strongest"],
        ["--device", "cuda:77"],
        ["--backbone", "zzz"],
        ["--strategy", "zzz"],
        ["--augment", "zzz"],
        ["--geometry", "zzz"],
        ["--fractions", "0.5,0.5"],
        ["--fractions", "a,b,c"],
        ["--split-by", "group"],
        ["--split-by", "given"],
        ["--split-by", "domain"],
        ["--target", "elsewhere"],
        ["--backbone", "resnet18"],  # its weights are not here
    ],
)
def test_an_impossible_value_is_refused_and_starts_nothing(home, capsys, pictures, option, monkeypatch):
    monkeypatch.delenv("TRANSFER_LAB_WEIGHTS", raising=False)
    ask(capsys, "ingest", pictures, "--name", "drawn")
    code, answer = ask(capsys, "train", "--data", "drawn", *option)
    assert code == 2
    assert answer["error"]["message"].endswith(".") or "http" in answer["error"]["message"]
    assert ask(capsys, "runs") == (0, {"runs": []})


def test_lists_have_the_fields_promised(home, capsys):
    _, answer = ask(capsys, "backbones")
    assert [each["key"] for each in answer["backbones"]] == [each.key for each in BACKBONES]
    _, answer = ask(capsys, "strategies")
    assert [each["name"] for each in answer["strategies"]] == [each.name for each in STRATEGIES]
    assert all({"name", "title", "needs", "knobs"} <= set(each) for each in answer["strategies"])


@pytest.mark.slow
def test_adaptation_brings_its_twin_and_a_verdict(home, capsys, pictures):
    ask(capsys, "ingest", pictures, "--name", "drawn")
    code, run = ask(
        capsys, "train", "--data", "drawn", "--strategy", "mcc", "--source", "clean", "--target", "photographed",
        "--epochs", "2", "--device", "cpu",
    )  # fmt: skip
    assert (code, run["state"]) == (0, "done")
    assert "calling the classes about as often on the target" in run["selection_rule"]
    assert run["test_transductive"]["n"] == 24
    assert run["oracle"]["epoch"] in (1, 2)
    assert run["verdict"]["verdict"] in ("better", "cannot tell", "worse")
    twin = next(each for each in ask(capsys, "runs")[1]["runs"] if each["run"] == run["twin"])
    assert (twin["state"], twin["spec"]["strategy"]) == ("done", "source_only")
    assert twin["test"]["n"] == run["test"]["n"] == run["verdict"]["n"]


@pytest.mark.slow
def test_the_whole_path(home, capsys, pictures, tmp_path):
    code, data = ask(capsys, "ingest", pictures, "--name", "drawn")
    assert code == 0
    assert data["images"] == 48
    assert data["domains"] == {"clean": 24, "photographed": 24}
    assert [each["kind"] for each in data["problems"]] == ["damaged"]

    code, run = ask(
        capsys, "train", "--data", data["manifest"][:6], "--epochs", "3", "--device", "cpu",
        "--augment", "flips", "--test-views", "--size", "192",
    )  # fmt: skip
    assert (code, run["state"], run["epochs"]) == (0, "done", 3)
    assert set(run["seconds"]) == {"total", "cache", "train"}
    test = run["test"]
    low, high = test["accuracy_ci"]
    assert low <= test["accuracy"] <= high
    assert sum(each["support"] for each in test["per_class"]) == test["n"]
    assert {"class", "precision", "recall", "f1", "support"} <= set(test["per_class"][0])

    rows, weights = tmp_path / "rows.csv", tmp_path / "model.safetensors"
    code, shown = ask(capsys, "show", run["run"][:5], "--predictions", rows, "--weights", weights)
    assert code == 0
    assert shown["test"] == test
    with rows.open(newline="") as lines:
        table = list(csv.DictReader(lines))
    raw = [f"uncalibrated {name}" for name in data["classes"]]
    assert list(table[0]) == ["image", "file", "split", "label", "domain", "group", *data["classes"], *raw]
    tested = [row for row in table if row["split"] == "test"]
    right = sum(max(data["classes"], key=lambda name: float(row[name])) == row["label"] for row in tested)
    assert right / len(tested) == test["accuracy"]
    code, told = ask(capsys, "report", run["run"])
    assert (code, told["test"]) == (0, test)
    assert set(told["ranking"]) == set(data["classes"])
    for domain in data["domains"]:
        assert told["domains"][domain]["n"] == sum(row["domain"] == domain for row in tested)
    assert 0 < told["sets"]["held"] <= 1
    with safe_open(weights, "pt") as tensors:
        assert json.loads(tensors.metadata()["classes"]) == data["classes"]

    # A prediction reads an image as training did, at the same size and in the same views: same probabilities.
    image = next(row for row in table if row["split"] == "test")
    code, answer = ask(capsys, "predict", run["run"], pictures / image["file"])
    assert code == 0
    for name, chance in answer["predictions"][0]["probabilities"].items():
        assert chance == pytest.approx(float(image[name]), abs=1e-4)

    # Of a folder, a zip and a file: a row each, what could not be read beside; what follows from the rows as in the app.
    bundle, told = tmp_path / "more.zip", tmp_path / "told.csv"
    with zipfile.ZipFile(bundle, "w") as packed:
        packed.write(pictures / image["file"], "inside/one.png")
    asked = [pictures / "clean", bundle, pictures / image["file"]]
    code, answer = ask(capsys, "predict", run["run"], *asked, "--csv", told)
    assert code == 0
    assert len(answer["predictions"]) == 24 + 2
    assert [each["kind"] for each in answer["problems"]] == ["damaged"]
    assert answer["predictions"][-1]["probabilities"] == pytest.approx(
        answer["predictions"][-2]["probabilities"], abs=1e-6
    )
    assert answer["unknown"]["fitted_on"] == 0
    assert "validation images or more" in answer["unknown"]["why_not"]
    for each in answer["predictions"]:
        assert each["class"] == max(each["probabilities"], key=each["probabilities"].get) in each["set"]
        assert sum(each["probabilities"].values()) == pytest.approx(1)
        assert (each["unknown"], each["refer"]) == (None, False)
    with told.open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert list(table[0]) == [
        "file",
        "class",
        "probability",
        "set",
        "refer",
        "unknown",
        *data["classes"],
        "problem",
    ]
    assert len(table) == 27
    assert sum(bool(row["problem"]) for row in table) == 1
    (usual := tmp_path / "usual").touch()
    assert {path.stat().st_mode for path in (rows, weights, told)} == {usual.stat().st_mode}
    assert [path for path in (home, *home.rglob("*")) if path.lstat().st_mode & 0o077] == []

    code, again = ask(capsys, "train", "--data", "drawn", "--epochs", "2", "--device", "cpu", "--detach")
    assert (code, again["state"] in ("queued", "running")) == (0, True)
    code, stopped = ask(capsys, "stop", again["run"])
    assert (code, stopped["state"]) == (0, "stopped")
    assert ask(capsys, "resume", again["run"])[1]["state"] == "done"
    assert [each["run"] for each in ask(capsys, "runs")[1]["runs"]] == [again["run"], run["run"]]

    code, receipt = ask(capsys, "delete", data["manifest"], "--yes")
    assert (code, receipt["images"], len(receipt["runs"])) == (0, 48, 2)
    # A backbone's graph (.onnx) holds nothing of the data, nor of what was learnt from them.
    kept = (".sqlite", ".sqlite-journal", ".json", ".lock", ".onnx")
    left = [each for each in home.rglob("*") if each.is_file() and each.suffix not in kept]
    assert left == []


def test_it_ends_quietly_where_nobody_reads_on(home):
    """As in `transfer-lab backbones --json | head -1`, which closes the pipe while the command still writes."""
    for command in (["backbones", "--json"], ["runs"], ["show", "abc", "--json"]):
        own = subprocess.Popen(
            [sys.executable, "-m", "transfer_core", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        own.stdout.close()
        assert (own.wait(60), own.stderr.read()) == (141, b"")
        own.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_said_in_one_sentence(home):
    with Path("/dev/full").open("w") as full:
        own = subprocess.run(
            [sys.executable, "-m", "transfer_core", "runs", "--json"], stdout=full, stderr=subprocess.PIPE
        )
    assert own.returncode == 1
    assert own.stderr.startswith(b"The disk is full")
    assert own.stderr.count(b"\n") == 1


@pytest.mark.parametrize("place", ["none/there.csv", "."])
def test_a_place_that_cannot_be_written_is_said_in_one_sentence(home, capsys, tmp_path, place):
    run = Study(home)
    bring(home, draw_shapes(40, seed=9, size=32, classes=("disc-solid", "star-dotted")))
    ended = run.ended()
    assert main(["show", ended.id, "--predictions", str(tmp_path / place)]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path) in said
    assert "Name another place" in said
    assert len(said.splitlines()) == 1


def test_the_module_is_the_command(home):
    command = [sys.executable, "-m", "transfer_core", "runs", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == {"runs": []}
