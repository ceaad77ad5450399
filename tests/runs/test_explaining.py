"""Explanations of real runs: of the function that predicted, with the views and statistics it predicted with."""

from __future__ import annotations

import io
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sample_data.shapes import draw_shapes
from tests.support import CLASSES, candidates
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.split import make_split
from transfer_core.errors import UserError
from transfer_core.evaluation.report import load_features
from transfer_core.runs.explaining import _stored_pixels, explain, explain_bytes, view_maps
from transfer_core.runs.helper import serve
from transfer_core.runs.lab import Lab
from transfer_core.runs.likeness import similar_to
from transfer_core.runs.maps import before, map_path
from transfer_core.runs.predictor import Predictor
from transfer_core.runs.pretrained import pretrained_features
from transfer_core.runs.run import Run
from transfer_core.runs.worker import work
from transfer_core.training.rules import make_spec

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """40 drawings of three classes in two domains."""
    home = tmp_path_factory.mktemp("explained")
    ingest(candidates(draw_shapes(40, seed=3, size=48, classes=CLASSES)), "Shapes", Library(home))
    return Lab(home)


def train(lab: Lab, rule: dict[str, Any], **wishes: Any) -> Run:
    manifest = lab.library.get(lab.library.datasets()[0].id)
    split = lab.library.add_split(make_split(manifest, fractions=(0.5, 0.2, 0.3), **rule))
    run = lab.store.add_run(make_spec(manifest, split, {"device": "cpu", "epochs": 1, **wishes}))
    handler = signal.getsignal(signal.SIGTERM)
    work(lab.home, run.id)
    signal.signal(signal.SIGTERM, handler)
    run = lab.store.get(run.id)
    assert run.state == "done", run.error
    return run


@pytest.fixture(scope="module")
def mirrored(lab: Lab) -> Run:
    return train(lab, {"rule": "image"}, strategy="feature_extraction", augment="mirror", test_views=True)


@pytest.fixture(scope="module")
def adapted(lab: Lab) -> Run:
    source, target = lab.library.get(lab.library.datasets()[0].id).domains
    rule = {"rule": "transfer", "train_domain": source, "test_domain": target}
    return train(lab, rule, strategy="coral", cut=7, source=source, target=target)


def whole(model: Predictor, pixels: np.ndarray) -> np.ndarray:
    """Probabilities [n, classes] by the unfolded stages, which are what is explained."""
    with torch.no_grad():
        return model.model(model.normalise(pixels), 0).softmax(1).numpy()


def test_what_is_explained_is_what_predicted(lab: Lab, adapted: Run) -> None:
    """Images of the source by the statistics of the source, those of the target by theirs."""
    model, report = Predictor(lab.store, adapted), lab.report(adapted)
    setup = model.setup
    for part, context in (("train", setup.looking_at_source), ("test", None)):
        images = [row.image for row, _, _ in report.rows(part)][:4]
        kept = np.array([p for row, _, p in report.rows(part) if row.image in images])
        pixels = np.stack([_stored_pixels(model, image) for image in images])
        wanted = dict.fromkeys(images, report.manifest.classes[1])
        if context:
            plain = view_maps(model, pixels, list(wanted.values()))
            with context():
                found, maps = whole(model, pixels), view_maps(model, pixels, list(wanted.values()))
            assert np.abs(maps - plain).max() > 1e-3
        else:
            found, maps = whole(model, pixels), view_maps(model, pixels, list(wanted.values()))
        np.testing.assert_allclose(found, kept, atol=5e-3)
        told = explain(model, wanted)["heat"]
        np.testing.assert_allclose([told[image] for image in images], maps, atol=1e-4)


def test_mean_over_mirrored_views_mirrors_with_the_image(lab: Lab, mirrored: Run) -> None:
    model = Predictor(lab.store, mirrored)
    image = lab.report(mirrored).images[0]
    pixels = _stored_pixels(model, image)[None]
    name = [lab.report(mirrored).manifest.classes[0]]
    maps = view_maps(model, pixels, name)
    turned = view_maps(model, np.ascontiguousarray(pixels[:, :, :, ::-1]), name)
    assert maps.any()
    np.testing.assert_allclose(turned, maps[:, :, ::-1], atol=1e-4)


def test_a_file_is_explained_with_the_images_like_it(lab: Lab, mirrored: Run) -> None:
    model, report = Predictor(lab.store, mirrored), lab.report(mirrored)
    features = load_features(lab.store.folder(mirrored.id))
    for part, known in (("test", False), ("train", True)):
        image = report.rows(part)[0][0].image
        data = lab.library.image_path(image).read_bytes()
        found = explain_bytes(model, lab.store, mirrored, "it.png", data, None)
        assert found["known"] is known
        likely = similar_to(report, features, image)
        assert [each["image"] for each in found["similar"]] == [each.image for each in likely]
        assert image not in [each.image for each in likely]
        np.testing.assert_allclose([each["similarity"] for each in found["similar"]],
                                   [each.similarity for each in likely], atol=2e-3)  # fmt: skip
        assert found["class"] == model.predict_bytes("it.png", data).label
    with pytest.raises(UserError, match="no class"):
        explain_bytes(model, lab.store, mirrored, "it.png", data, "unicorn")


def test_features_before_training_are_those_of_a_frozen_run(lab: Lab, mirrored: Run, adapted: Run) -> None:
    """Of an adapted run in the folder's other split too: what a backbone brings does not depend on who asks."""
    frozen = train(lab, {"rule": "image"}, strategy="feature_extraction")
    kept = load_features(lab.store.folder(frozen.id))
    images = lab.report(frozen).images
    for run in (frozen, mirrored, adapted):
        np.testing.assert_allclose(pretrained_features(lab.store, run, images), kept, rtol=2e-3, atol=2e-3)
    assert before(lab, frozen).features_of == ""


def test_the_helper_answers_requests_for_reasons(lab: Lab, mirrored: Run) -> None:
    """As lines in and out, as the server speaks to it; a map is made once."""
    import json

    image = lab.report(mirrored).images[0]
    requests = [
        {"do": "explain", "run": mirrored.id, "wanted": {image: "nothing like it"}},
        {"do": "explain", "run": mirrored.id, "wanted": {image: CLASSES[0]}},
        {"do": "pretrained", "run": mirrored.id, "images": [image]},
        {"do": "map", "run": mirrored.id, "method": "tsne", "features_of": "own"},
        {"do": "map", "run": mirrored.id, "method": "tsne", "features_of": "own"},
    ]
    answers = io.StringIO()
    serve(lab.home, io.StringIO("".join(json.dumps(each) + "\n" for each in requests)), answers)
    told = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert told[0]["error"]["kind"] == "no-class"
    assert np.shape(told[1]["heat"][image]) == (7, 7)
    assert told[2:] == [{}, {}, {}]
    assert Path(map_path(lab.store, mirrored, "tsne", "own")).exists()
