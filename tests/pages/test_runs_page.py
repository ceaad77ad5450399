"""The list of runs: filtered, named, deleted with a receipt."""

from __future__ import annotations

from tests.pages.screens import CALLS_OUT, Study, button, labels, marked_up, show, tick, widget


def test_runs_are_filtered(study: Study) -> None:
    study.ended(name="alpha")
    study.ended("failed", name="beta", result=False)
    study.queued(name="gamma")
    at = show("results/runs.py")
    assert list(at.dataframe[0].value["Run"]) == ["gamma", "beta", "alpha"]
    widget(at.text_input, "Filter").set_value("ALP").run()
    assert list(at.dataframe[0].value["Run"]) == ["alpha"]
    widget(at.text_input, "Filter").set_value("").run()
    widget(at.selectbox, "State").select("failed").run()
    assert list(at.dataframe[0].value["Run"]) == ["beta"]


def test_a_run_gets_a_name_and_a_note(study: Study) -> None:
    run = study.ended(name="old")
    at = tick(show("results/runs.py"), 0)
    widget(at.text_input, "Name").set_value(" new ")
    at.text_area[0].set_value("for the talk")
    button(at, "Save name and note").click().run()
    assert (study.store.get(run.id).name, study.store.get(run.id).note) == ("new", "for the talk")


def test_a_run_is_deleted_with_a_receipt(study: Study) -> None:
    kept, run = study.ended(name="kept"), study.ended(name=CALLS_OUT)
    at = tick(show("results/runs.py", run=run.id), 0)
    assert button(at, "Delete the run").disabled
    at.checkbox[0].check().run()
    button(at, "Delete the run").click().run()
    assert not at.exception
    assert "Deleted run" in at.success[0].value
    assert CALLS_OUT not in marked_up(at)
    assert [each.id for each in study.store.runs()] == [kept.id]
    assert not study.store.folder(run.id).exists()


def test_a_running_run_is_not_deleted(study: Study) -> None:
    run = study.running()
    at = tick(show("results/runs.py"), 0)
    assert at.checkbox[0].disabled
    assert "Stop it before" in at.checkbox[0].label
    assert button(at, "Delete the run").disabled
    assert study.store.get(run.id).state == "running"


def test_a_damaged_data_set_with_labels_by_hand_takes_no_list_along(study: Study) -> None:
    study.finish(
        study.queued("unlabelled"), {"n": 0, "accuracy": None, "balanced_accuracy": None, "macro_f1": None}
    )
    manifest = study.manifest
    study.library.answer(manifest.id, manifest.rows[0].image, manifest.classes[0])
    (study.library.folder / manifest.id / "manifest.json").write_bytes(b"{")
    at = show("results/runs.py")
    assert not at.error
    (table,) = at.dataframe
    assert table.value["Right on unseen"].tolist() == ["not measurable"]
    assert "Delete it with its 1 run" in labels(show("study/data.py"))
