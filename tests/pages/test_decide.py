"""Decide: a threshold is tried on validation images, kept by a click, told of unseen ones, and taken back."""

from __future__ import annotations

from tests.pages.screens import Study, button, labels, show, widget, words
from transfer_core.evaluation.decision import Wishes, load_wishes


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


def test_what_is_only_tried_is_not_measured_on_unseen_images(study: Study) -> None:
    run = study.ended(wrong=4)
    at = show("results/decide.py", run=run.id)
    unseen = [each.value for each in at.markdown if "Choosing anew after reading this" in each.value]
    widget(at.slider, "Sent to a person when less sure than").set_value(0.99).run()
    assert [each.value for each in at.markdown if "Choosing anew after reading this" in each.value] == unseen


def test_under_domain_shift_nothing_is_promised(study: Study) -> None:
    study.choices = {"rule": "domain", "test_domain": next(iter(study.manifest.domains))}
    at = show("results/decide.py", run=study.ended().id)
    assert "neither the probabilities nor the sets keep what they promise" in words(at)


def test_without_a_run_it_says_what_to_do(study: Study) -> None:
    assert "There is no finished model yet" in words(show("results/decide.py"))
