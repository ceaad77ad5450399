"""Decide: a threshold is tried on validation images, kept by a click, told of unseen ones, and taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.text import escape
from tests.pages.screens import Study, button, labels, show, widget, words
from transfer_core.evaluation.decision import FILE, Wishes, load_wishes


def test_a_threshold_is_tried_kept_and_taken_back(study: Study) -> None:
    run = study.ended(wrong=4)
    folder = study.store.folder(run.id)
    at = show("results/decide.py", run=run.id)
    assert "false alarms" in words(at)
    assert "Choosing anew after reading this" in words(at)
    assert button(at, "Use this when predicting").disabled
    name = widget(at.selectbox, "Which class must not be missed?").value
    widget(at.slider, "Sent to a person when less sure than").set_value(0.5).run()
    way = next(each for each in at.button_group if each.key and each.key.endswith("-way"))
    way.set_value("Weigh costs").run()
    assert "Not used yet" in words(at)
    button(at, "Use this when predicting").click().run()
    kept = load_wishes(folder)
    assert kept.thresholds == {name: 1 / 11}
    assert kept.refer_below == 0.5
    assert study.lab.decision(run).wishes == kept
    assert "Kept" in words(at)
    button(at, "Back to the likeliest class").click().run()
    assert load_wishes(folder) == Wishes()
    assert "Undone" in words(at)
    assert widget(at.slider, "Sent to a person when less sure than").value == 0
    assert "Back to the likeliest class" not in labels(at)


def test_a_damaged_decision_is_taken_anew_here(study: Study) -> None:
    run = study.ended(wrong=4)
    (study.store.folder(run.id) / FILE).write_bytes(b"{")
    at = show("results/decide.py", run=run.id)
    assert "choose again on the page Decide" in " ".join(each.value for each in at.warning)
    button(at, "Use this when predicting").click().run()
    assert load_wishes(study.store.folder(run.id)) == Wishes()
    assert not at.warning


def test_what_is_only_tried_is_not_measured_on_unseen_images(study: Study) -> None:
    run = study.ended(wrong=4)
    at = show("results/decide.py", run=run.id)
    unseen = [each.value for each in at.markdown if "Choosing anew after reading this" in each.value]
    widget(at.slider, "Sent to a person when less sure than").set_value(0.99).run()
    assert [each.value for each in at.markdown if "Choosing anew after reading this" in each.value] == unseen


def way(at: AppTest) -> Any:
    return next(each for each in at.button_group if each.key and each.key.endswith("-way"))


def annotations(at: AppTest) -> list[str]:
    """What the dotted lines of the charts are called."""
    specs = [json.loads(each.proto.spec) for each in at.get("plotly_chart")]
    return [note["text"] for spec in specs for note in spec["layout"].get("annotations", [])]


def test_what_is_in_use_is_opened_again(study: Study) -> None:
    run = study.ended(wrong=4)
    at = show("results/decide.py", run=run.id)
    choice = widget(at.selectbox, "Which class must not be missed?")
    other = next(name for name in choice.options if name != choice.value)
    assert "The likeliest class is said" in words(at)
    choice.set_value(other).run()
    way(at).set_value("Weigh costs").run()
    widget(at.number_input, "A miss costs").set_value(6.0).run()
    assert annotations(at)[0] == "tried"
    button(at, "Use this when predicting").click().run()
    # What led there stays, and is now called what it is.
    assert (way(at).value, widget(at.number_input, "A miss costs").value) == ("Weigh costs", 6.0)
    assert annotations(at)[0] == "in use"
    assert "Not used yet" not in words(at)
    show("results/predict.py", at=at, run=run.id)
    for again in (show("results/decide.py", at=at, run=run.id), show("results/decide.py", run=run.id)):
        assert widget(again.selectbox, "Which class must not be missed?").value == other
        assert way(again).value == "By hand"
        assert widget(again.slider, "From a probability of").value == 1 / 7
        assert f"**{escape(other)}** is said from 14.3 %" in words(again)
        assert button(again, "Use this when predicting").disabled
        assert load_wishes(study.store.folder(run.id)) == Wishes({other: 1 / 7})


@pytest.mark.parametrize("threshold", [0.0004, 0.995])
def test_a_threshold_beyond_the_slider_is_not_changed_by_looking(study: Study, threshold: float) -> None:
    run = study.ended(wrong=4)
    Wishes({study.manifest.classes[1]: threshold}).save(study.store.folder(run.id))
    at = show("results/decide.py", run=run.id)
    assert button(at, "Use this when predicting").disabled
    widget(at.slider, "From a probability of").set_value(0.4).run()
    assert "Not used yet" in words(at)


def test_under_domain_shift_nothing_is_promised(study: Study) -> None:
    study.choices = {"rule": "domain", "test_domain": next(iter(study.manifest.domains))}
    at = show("results/decide.py", run=study.ended().id)
    assert "neither the probabilities nor the sets keep what they promise" in words(at)


def test_without_a_run_it_says_what_to_do(study: Study) -> None:
    assert "There is no finished model yet" in words(show("results/decide.py"))
