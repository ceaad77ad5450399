"""The Explain page in every state, with a helper that answers at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from starlette.requests import Request

from pages.ui.thumb_route import thumb
from tests.pages.screens import Study, labels, show, widget, words
from transfer_core.errors import UserError
from transfer_core.evaluation.feature_map import draw_sample, make_map
from transfer_core.evaluation.heat import Heat
from transfer_core.evaluation.report import FEATURES
from transfer_core.runs.helper import Helper
from transfer_core.runs.maps import map_path
from transfer_core.runs.run import Run

PAGE = "results/explain.py"


@pytest.fixture
def asked(study: Study, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What the helper was asked for. Its maps are hot at the top left; those of "star-dotted" are empty."""
    found: list[tuple[str, ...]] = []

    def explain(_: Helper, run: str, wanted: Mapping[str, str]) -> dict[str, Heat]:
        found.extend(("explain", image, name) for image, name in wanted.items())
        hot = np.zeros((7, 7), np.float32)
        hot[0, 0] = 1
        return {image: hot * (name != "star-dotted") for image, name in wanted.items()}

    def lay_out(_: Helper, run: str, method: str, features_of: str) -> None:
        found.append(("map", method, features_of))
        lab = study.lab
        own = lab.store.get(run)
        report = lab.report(own)
        places = draw_sample(report)
        make_map(report, places, features(len(places)), "pca").save(
            map_path(lab.store, own, method, features_of)
        )

    monkeypatch.setattr(Helper, "explain", explain)
    monkeypatch.setattr(Helper, "lay_out", lay_out)
    monkeypatch.setattr(Helper, "fill_pretrained", lambda _, run, images: found.append(("fill", *images)))
    return found


def features(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 5)).astype(np.float16)


def keep_features(study: Study, run: Run) -> None:
    np.save(study.store.folder(run.id) / FEATURES, features(len(study.lab.report(run).images)))


def worst(study: Study, run: Run) -> Any:
    report = study.lab.report(run)
    return next(
        row for row, _, p in report.rows("test") if row.label != report.manifest.classes[int(p.argmax())]
    )


def test_a_mistake_is_opened_first_and_explained_as_what_was_said(
    study: Study, asked: list[tuple[str, ...]]
) -> None:
    run = study.ended(wrong=1)
    keep_features(study, run)
    at = show(PAGE, run=run.id)
    row = worst(study, run)
    said = study.manifest.classes[(study.manifest.classes.index(row.label) + 1) % 3]
    assert asked == [("explain", row.image, said)]
    assert f"Labelled {row.label.replace('-', chr(92) + '-')}" in words(at)
    assert "wrong" in words(at)
    assert "does not show that the reason is right" in words(at)
    assert "of 5 are labelled" in words(at)


def test_another_class_is_asked_for_once(study: Study, asked: list[tuple[str, ...]]) -> None:
    run = study.ended(wrong=1)
    at = show(PAGE, run=run.id)
    image = asked[0][1]
    widget(at.selectbox, "Explain").set_value("star-dotted").run()
    assert ("explain", image, "star-dotted") in asked
    before = len(asked)
    widget(at.selectbox, "Explain").set_value("disc-solid").run()
    widget(at.selectbox, "Explain").set_value("star-dotted").run()
    at.slider[0].set_value(0).run()
    assert not at.exception
    assert len(asked) <= before + 1  # disc-solid, where that was not said; nothing twice
    assert "speaks for star" in words(at)


def test_a_link_opens_its_image(study: Study, asked: list[tuple[str, ...]]) -> None:
    run = study.ended()
    row = study.lab.report(run).rows("train")[0][0]
    at = show(PAGE, run=run.id, image=row.image)
    assert asked[0][1] == row.image
    assert "Training has seen this image" in words(at)
    at = show(PAGE, run=run.id, image="nonsense")
    assert "has not seen" in at.warning[0].value


def test_a_run_without_features_says_so_and_shows_the_rest(
    study: Study, asked: list[tuple[str, ...]]
) -> None:
    run = study.ended()
    at = show(PAGE, run=run.id)
    assert "older version" in words(at)
    assert asked
    at.session_state["why-view"] = "map"
    at.run()
    assert "older version" in at.info[0].value
    at.session_state["why-view"] = "class"
    at.run()
    assert not at.exception


def test_a_whole_class_is_the_mean_of_what_is_said_to_be_it(
    study: Study, asked: list[tuple[str, ...]]
) -> None:
    run = study.ended(wrong=2)
    keep_features(study, run)
    at = show(PAGE, {"why-view": "class"}, run=run.id)
    report = study.lab.report(run)
    name = report.classes[0]
    own = [row.image for row, _, p in report.rows("test") if p.argmax() == 0]
    assert {image for _, image, of in asked if of == name} == set(own)
    assert f"{len(own)} unseen images" in words(at)
    assert labels(at).count("Explain") == min(6, len(own))


def test_maps_are_made_once_and_set_beside_those_before_training(
    study: Study, asked: list[tuple[str, ...]]
) -> None:
    run = study.ended(cut=5, strategy="fine_tuning")
    keep_features(study, run)
    at = show(PAGE, {"why-view": "map"}, run=run.id)
    assert asked == [("map", "pca", "own")]
    assert "Axes have no unit" in words(at)
    at.session_state["map-before"] = True
    at.run()
    assert not at.exception
    filled = [image for each in asked if each[0] == "fill" for image in each[1:]]
    assert sorted(filled) == sorted(study.lab.report(run).images)
    assert asked[-1] == ("map", "pca", "pretrained")
    count = len(asked)
    at.run()
    assert len(asked) == count


def test_frozen_stages_have_no_before(study: Study, asked: list[tuple[str, ...]]) -> None:
    run = study.ended()
    keep_features(study, run)
    at = show(PAGE, {"why-view": "map"}, run=run.id)
    assert "no before and after" in words(at)


def test_heat_on_the_reports_mistakes_and_the_way_to_one(study: Study, asked: list[tuple[str, ...]]) -> None:
    run = study.ended(wrong=2)
    at = show("results/report.py", run=run.id)
    assert not asked
    widget(at.toggle, "Show what it looked at").set_value(True).run()
    assert not at.exception
    assert len(asked) == 2
    assert labels(at).count("Explain") == 2


def test_a_helper_that_fails_is_told_and_the_report_stays(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise UserError("The helper process ended; try again, it starts by itself.", "helper")

    monkeypatch.setattr(Helper, "explain", fail)
    run = study.ended(wrong=2)
    at = show("results/report.py", {"worst-heat": True}, run=run.id)
    assert "try again" in at.error[0].value
    assert "How this came about" in "\n".join(each.label for each in at.expander)
    at = show(PAGE, run=run.id)
    assert "try again" in at.error[0].value


def test_thumbnails_go_to_who_knows_the_image(study: Study) -> None:
    image = study.manifest.rows[0].image

    def ask(name: str) -> int:
        scope = {"type": "http", "path_params": {"image": name}, "headers": []}
        return asyncio.run(thumb(Request(scope))).status_code

    assert ask(image) == 200
    assert ask(image[:12]) == 404
    assert ask("0" * 64) == 404
    assert ask("../../store.sqlite") == 404
