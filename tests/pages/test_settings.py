"""The settings of a new run: what was changed stays changed, whatever else is chosen, until it is taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.screens import Study, button, show, widget, words
from transfer_core.data.split import make_split


@pytest.fixture
def form(study: Study) -> AppTest:
    """The form of a new run with three settings that are not as usual."""
    at = show("train/new_run.py", data=study.manifest.id, split=study.split().id)
    at.button(key="choose-fine_tuning").click().run()
    widget(at.number_input, "Epochs").set_value(3).run()
    widget(at.number_input, "Image size").set_value(256).run()
    widget(at.text_input, "Label smoothing").set_value("0.2").run()
    return at


def test_changed_settings_outlive_another_augmentation_and_another_page(study: Study, form: AppTest) -> None:
    views = widget(form.number_input, "Stored views").value
    widget(form.selectbox, "What may change without changing the class?").set_value("turns").run()
    assert widget(form.number_input, "Stored views").value == 8 != views  # nobody had touched it
    form.switch_page("study/data.py").run()
    form.switch_page("train/new_run.py").run()
    assert "Not as usual: epochs 3, image size 256 pixels, label smoothing 0\\.2" in words(form)
    button(form, "Start training").click().run()
    spec = study.store.runs()[0].spec
    assert (spec.epochs, spec.size, spec.knobs["label_smoothing"]) == (3, 256, 0.2)


def test_another_strategy_keeps_what_both_have(form: AppTest) -> None:
    form.button(key="choose-probe_then_tune").click().run()
    assert widget(form.number_input, "Epochs").value == 3
    assert widget(form.text_input, "Label smoothing").value == "0.1"  # a knob of the other strategy
    form.button(key="choose-fine_tuning").click().run()
    assert widget(form.text_input, "Label smoothing").value == "0.2"


def test_back_to_the_usual_settings(study: Study, form: AppTest) -> None:
    button(form, "Back to the usual settings").click().run()
    assert "Not as usual" not in words(form)
    assert widget(form.number_input, "Image size").value == 224  # the backbone's own, not 0
    button(form, "Start training").click().run()
    spec = study.store.runs()[0].spec
    assert (spec.size, spec.knobs["label_smoothing"]) == (0, 0.1)


def test_the_second_question_is_one_of_the_further_labels(study: Study) -> None:
    rows = tuple(
        replace(row, extra={"side": "lr"[n % 2], "site": "ab"[n // 2 % 2]})
        for n, row in enumerate(study.manifest.rows)
    )
    manifest = study.library.add(replace(study.manifest, name="Two further", rows=rows))
    split = study.library.add_split(make_split(manifest))
    at = show("train/new_run.py", data=manifest.id, split=split.id)
    widget(at.button_group, "Which kind").set_value("few labels").run()
    at.button(key="choose-multi_task").click().run()
    assert widget(at.selectbox, "Second question").options == ["side", "site"]
    widget(at.selectbox, "Second question").set_value("site").run()
    button(at, "Start training").click().run()
    assert study.store.runs()[0].spec.knobs["auxiliary"] == "site"


def test_how_sure_the_labels_are_is_asked_where_the_data_say_so(study: Study) -> None:
    first = show("train/new_run.py", data=study.manifest.id, split=study.split().id)
    assert "Confidence in the labels" not in [each.label for each in first.selectbox]
    rows = tuple(
        replace(row, extra={"sure": ("1", "0.67")[n % 2], "site": "ab"[n // 2 % 2]})
        for n, row in enumerate(study.manifest.rows)
    )
    manifest = study.library.add(replace(study.manifest, name="Doubtful", rows=rows))
    split = study.library.add_split(make_split(manifest))
    at = show("train/new_run.py", data=manifest.id, split=split.id)
    at.button(key="choose-fine_tuning").click().run()
    assert widget(at.selectbox, "Confidence in the labels").options == ["none", "sure"]
    widget(at.selectbox, "Confidence in the labels").set_value("sure").run()
    assert "confidence in the labels sure" in words(at)
    button(at, "Start training").click().run()
    assert study.store.runs()[0].spec.label_confidence == "sure"
