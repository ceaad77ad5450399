"""`compare` and `sweep` as a program sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring
from transfer_core.cli import main
from transfer_core.runs.executors import SubprocessExecutor


@pytest.fixture
def study(home: Path) -> Study:
    study = Study(home)
    bring(home, draw_shapes(60, seed=3, size=48, classes=("disc-solid", "cross-outline")), "drawn")
    (about,) = home.glob("datasets/*/about.json")  # what a test brings after it is newer, within a second too
    about.write_text(json.dumps(json.loads(about.read_text()) | {"created": "2026-01-01T00:00:00+00:00"}))
    return study


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    """Return (exit code, the one JSON object on stdout)."""
    code = main([str(each) for each in arguments] + ["--json"])
    (line,) = capsys.readouterr().out.splitlines()
    return code, json.loads(line)


def test_compare_gives_every_pair_and_the_lead(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        study.ended(name=f"cut {cut}", wrong=wrong, val=val, strategy="fine_tuning", cut=cut)
        for cut, wrong, val in ((2, 0, 0.7), (4, 11, 0.9), (6, 1, 0.8))
    ]
    code, answer = ask(capsys, "compare", *(run.id for run in runs))
    assert (code, answer["comparable"]) == (0, True)
    assert (answer["leader"], answer["first_on_validation"], answer["take"]) == (None, runs[1].id, runs[2].id)
    assert [each["accuracy"] for each in answer["entries"]] == [1.0, 3 / 14, 13 / 14]
    first, second, third = answer["pairs"]
    assert (first["verdict"], second["verdict"], third["verdict"]) == ("better", "cannot tell", "worse")
    assert (first["only_first"], first["only_second"], first["test"]) == (11, 0, "mcnemar")
    assert first["p"] == pytest.approx(2 / 2**11)
    assert first["p_corrected"] == pytest.approx(3 * 2 / 2**11)
    assert second["more"] > 0
    assert first["more"] is None
    assert first["words"].startswith("cut 2 is better than cut 4: +78.6 points of accuracy (")
    assert main(["compare", *(run.id for run in runs)]) == 0
    text = capsys.readouterr().out
    assert "No run leads. 2. cut 4 is first by accuracy on the validation images, with 90.0 % of" in text
    assert "but it is worse than 1. cut 2 on the test images, −78.6 points of accuracy" in text
    assert (
        "1. cut 2 and 3. cut 6 cannot be told apart" in text
        or "3. cut 6 and 1. cut 2 cannot be told apart" in text
    )
    assert "cannot tell apart" in text


def test_compare_tells_other_splits_apart(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    runs = []
    for seed in range(2):
        study.choices = {"rule": "image", "seed": seed}
        runs += [study.ended(strategy="fine_tuning", cut=cut).id for cut in (2, 4)]
    code, answer = ask(capsys, "compare", *runs)
    assert (code, answer["comparable"], answer["pairs"]) == (0, False, [])
    assert [each["seeds"] for each in answer["entries"]] == [2, 2]
    assert main(["compare", *runs]) == 0
    assert "nothing is tested" in capsys.readouterr().out


def test_what_cannot_be_compared_is_refused_in_a_sentence(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    run = study.ended().id
    waiting = study.queued(strategy="fine_tuning", cut=3).id
    bring(study.home, draw_shapes(40, seed=9, size=32, classes=("disc-solid", "star-dotted")), "others")
    elsewhere = study.ended().id
    for named, kind in (
        ([run], "one-run"), ([run, run], "one-run"), ([run, waiting], "no-report"), ([run, elsewhere], "other-images"),
        ([run, "nothing"], "no-run"), ([], "usage"),
    ):  # fmt: skip
        code, answer = ask(capsys, "compare", *named)
        assert (code, answer.get("error", {}).get("kind")) == (2, kind), answer


def test_sweep_starts_what_is_missing(
    study: Study, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SubprocessExecutor, "start", lambda *_: None)
    sweep = [
        "sweep",
        "--data",
        "drawn",
        "--backbone",
        "lite0",
        "--device",
        "cpu",
        "--epochs",
        "4",
        "--detach",
    ]
    code, answer = ask(capsys, *sweep, "--cuts", "0,4,9")
    assert code == 0
    assert [(each["cut"], each["state"]) for each in answer["cuts"]] == [
        (0, "queued"),
        (4, "queued"),
        (9, "queued"),
    ]
    code, again = ask(capsys, *sweep)
    assert [each["cut"] for each in again["cuts"]] == list(range(10))
    assert {each["run"] for each in answer["cuts"]} < {each["run"] for each in again["cuts"]}
    assert len(study.store.runs()) == 10
    for wrong in (["--cuts", "11"], ["--cuts", "a"], ["--cut", "3"], ["--strategy", "from_scratch"]):
        code, answer = ask(capsys, *sweep, *wrong)
        assert code == 2
        assert set(answer) == {"error"}
    assert len(study.store.runs()) == 10


@pytest.mark.slow
def test_a_sweep_trains_and_compares(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["sweep", "--data", "drawn", "--cuts", "8,9", "--epochs", "2", "--device", "cpu"]
    code, answer = ask(capsys, *sweep)
    assert code == 0
    first, last = answer["cuts"]
    assert (first["state"], last["state"]) == ("done", "done")
    assert first["parameters_trained"] > last["parameters_trained"] > 0
    assert first["test_interval"][0] <= first["test_accuracy"] <= first["test_interval"][1]
    assert answer["take"] in {first["run"], last["run"]}
    assert ask(capsys, *sweep)[1]["cuts"] == answer["cuts"], "nothing is trained twice"


def test_what_makes_figures_worth_less_stands_wherever_they_do(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(
        study.home,
        draw_shapes(60, seed=4, size=48, classes=("disc-solid", "cross-outline"), groups=10),
        "grouped",
    )
    study.choices = {"rule": "image"}
    runs = [study.ended(name="whole"), study.ended("stopped", name="cut off", strategy="fine_tuning", cut=4)]
    short = "topped after 2 of 4 epochs; the best of them is kept."
    for command in (["show", runs[1].id], ["report", runs[1].id], ["compare", *(run.id for run in runs)]):
        code, answer = ask(capsys, *command)
        assert code == 0
        assert any(each.endswith(short) for each in answer["caveats"]), command
        assert any("groups were on both sides" in each for each in answer["caveats"]), command
        main(command)
        said = capsys.readouterr().out
        assert short in said
        assert "groups were on both sides" in said
    assert not any("topped after" in each for each in ask(capsys, "show", runs[0].id)[1]["caveats"])


def test_stopping_keeps_the_twin_unless_asked_and_says_so(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = study.manifest.domains
    study.choices = {"rule": "transfer", "train_domain": source, "test_domain": target}
    run = study.queued(strategy="mcc")
    lacking = study.lab.needs_twin(run)
    assert lacking
    twin = study.store.add_run(lacking, name="plain", parent=run.id)
    code, answer = ask(capsys, "stop", run.id)
    assert (code, answer["state"], answer["twin_stopped"], answer["twin_state"]) == (
        0,
        "stopped",
        False,
        "queued",
    )
    assert main(["stop", run.id]) == 0
    assert (
        f"plain ({twin.id}) still trains, for comparison: transfer-lab stop {twin.id}"
        in capsys.readouterr().out
    )
    assert main(["stop", run.id, "--with-twin"]) == 0
    assert f"Stopped with it: plain ({twin.id})." in capsys.readouterr().out
    assert study.store.get(twin.id).state == "stopped"
