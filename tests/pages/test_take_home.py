"""Take home: the page in each state a bundle can be in."""

from __future__ import annotations

import zipfile

import pytest

from tests.pages.screens import Study, button, labels, marked_up, show, widget, words
from transfer_core.data.samples import NOTE
from transfer_core.evaluation.decision import Wishes
from transfer_core.files import write_json
from transfer_core.runs.run import Run
from transfer_core.runs.take_home import PACKED, PROGRESS, RECEIPT, Packer

CALLS_OUT = "![x](http://evil.test/x.png)"


def pack(study: Study, run: Run, *, int8: bool = False) -> None:
    """A bundle as the helper leaves it."""
    folder = study.store.folder(run.id)
    with zipfile.ZipFile(folder / PACKED, "w") as packed:
        packed.writestr("top/model_card.md", "# A card\n\nRight on \\<b\\>.")
        for name in ("report.html", "report.pdf", "model.onnx"):
            packed.writestr(f"top/{name}", b"x" * 500_000)
    measured = {
        "n": 40, "accuracy_float": 0.9, "accuracy_int8": 0.875, "same_class": 0.95, "resampled": "images",
        "balanced_accuracy_difference": -0.02, "difference_ci": [-0.05, 0.01], "ms_float": 30.0, "ms_int8": 15.0,
        "mb_float": 13.4, "mb_int8": 3.8, "machine": "here",
    }  # fmt: skip
    checks = [{"name": "files", "passed": True, "found": f"10 files. {CALLS_OUT}"}]
    write_json(folder / RECEIPT, {
        "made": "2026-11-21T10:00:00+00:00", "int8": measured if int8 else None, "golden": {"images": 0, "inputs": 8},
        "agreement_with_report": {"n": 15, "same_class": 1.0, "largest_difference": 0.002},
        "verdict": {"passed": True, "bundle_id": "ab" * 32, "checks": checks},
        "options": {"images": False, "names": False, "int8": int8},
        "wishes": {"thresholds": {}, "refer_below": 0.0, "coverage": 0.9},
    })  # fmt: skip


def test_nothing_that_names_somebody_goes_in_unless_asked(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(Packer, "start", lambda _, run, options: asked.append((run, options)))
    run = study.ended()
    at = show("results/take_home.py", run=run.id)
    assert not any(each.value for each in at.toggle)
    button(at, "Put the bundle together").click().run()
    widget(at.toggle, "Keep file and group names in the table of predictions").set_value(True)
    widget(at.toggle, "Add a smaller model").set_value(True)
    button(at, "Put the bundle together").click().run()
    assert not at.exception
    assert [(each.images, each.names, each.int8) for _, each in asked] == [
        (False, False, False),
        (False, True, True),
    ]
    assert {own for own, _ in asked} == {run.id}


def test_what_the_bundle_does_not_tell_is_said(study: Study) -> None:
    run = study.ended()
    before = words(show("results/take_home.py", run=run.id))
    pack(study, run)
    for said in (before, words(show("results/take_home.py", run=run.id))):
        assert "Not in it: whether an image is unlike the training images." in said
        assert "everything that is needed" not in said


def test_of_the_public_sample_images_may_go_in(study: Study) -> None:
    run = study.ended()
    about = study.library.folder / run.manifest / "about.json"
    about.write_text(about.read_text().replace('"note": ""', f'"note": "{NOTE}"'))
    at = show("results/take_home.py", run=run.id)
    assert [each.value for each in at.toggle] == [True, False, False]


def test_progress_is_seen_by_whoever_opens_the_page(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packer, "is_working", lambda _, run: True)
    run = study.ended()
    write_json(
        study.store.folder(run.id) / PROGRESS, {"doing": "Writing the ONNX file", "done": 0, "total": 0}
    )
    at = show("results/take_home.py", run=run.id)
    assert "Putting the bundle together" in words(at)
    assert "Put the bundle together" not in labels(at)
    assert "Writing the ONNX file" in marked_up(at)


def test_a_failure_says_why_and_can_be_tried_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packer, "error", lambda _, run: f"The disk is full {CALLS_OUT}.")
    at = show("results/take_home.py", run=study.ended().id)
    assert "The disk is full" in at.error[0].value
    assert CALLS_OUT not in marked_up(at)
    assert button(at, "Put the bundle together").proto.type == "primary"


def test_a_bundle_that_is_ready_is_handed_out(study: Study) -> None:
    run = study.ended()
    pack(study, run, int8=True)
    at = show("results/take_home.py", run=run.id)
    assert [each.label for each in at.get("download_button")] == [
        "Download (1.5 MB)", "Report (HTML)", "Report (PDF)", "Download the table",
    ]  # fmt: skip
    assert "Self-test passed" in at.success[0].value
    said = words(at)
    assert "same class as the report on 100 % of 15 test images" in said
    assert "balanced accuracy changes by" in said.replace("\\", "")
    assert "no image of the data set" in said
    assert CALLS_OUT not in marked_up(at)
    assert not at.warning
    Wishes(refer_below=0.7).save(study.store.folder(run.id))
    assert "decided anew" in show("results/take_home.py", run=run.id).warning[0].value


def test_a_run_that_was_stopped_can_be_taken_home_too(study: Study) -> None:
    at = show("results/take_home.py", run=study.ended("stopped").id)
    assert "Put the bundle together" in labels(at)


def test_the_packer_tells_a_failure_and_works_on_one_at_a_time(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from transfer_core.bundle.subject import Options
    from transfer_core.errors import UserError
    from transfer_core.runs.helper import Helper

    go, asked = threading.Event(), []

    def fail(_: Helper, run: str, options: dict[str, bool]) -> None:
        asked.append((run, options))
        go.wait(20)
        raise UserError("No room.")

    monkeypatch.setattr(Helper, "pack", fail)
    packer = Packer(study.home)
    for _ in range(3):
        packer.start("abc", Options(int8=True))
    assert packer.is_working("abc")
    go.set()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "_work" in thread.name:
            thread.join(20)
    assert not packer.is_working("abc")
    assert packer.error("abc") == "No room."
    assert asked == [("abc", {"images": False, "names": False, "int8": True})]
