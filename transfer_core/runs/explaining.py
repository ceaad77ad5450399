"""What the helper process answers about a run's reasons: heat maps, and training images like a new one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from transfer_core.data.augment import make_view, turn_back
from transfer_core.data.images import Pixels, decode, hash_pixels, to_pixels, to_rgb
from transfer_core.data.keep import keep
from transfer_core.data.library import Library
from transfer_core.errors import UserError
from transfer_core.evaluation.explain import Maps, heat_maps, to_unit
from transfer_core.evaluation.heat import draw_heat, tell_heat, to_png
from transfer_core.evaluation.report import load_features, load_report
from transfer_core.runs.likeness import similar_training_images
from transfer_core.runs.mapping import lay_out
from transfer_core.runs.predictor import Predictor
from transfer_core.runs.pretrained import pretrained_features
from transfer_core.runs.store import Run, RunStore

ALIKE = 5
OPACITY = 0.6


EXPLAINED = ("explain", "explain-file", "pretrained", "map")  # the requests answered here


def answer_why(
    get_model: Callable[[str], Predictor], store: RunStore, request: dict[str, Any]
) -> dict[str, Any]:
    """Answer one of the requests EXPLAINED; they are described at the methods of `Helper` that make them."""
    run, kind = store.get(request["run"]), request["do"]
    if kind == "explain":
        return explain(get_model(run.id), request["wanted"])
    if kind == "pretrained":
        pretrained_features(store, run, request["images"])
        return {}
    if kind == "map":
        return lay_out(store, run, request["method"], request["features_of"])
    content = base64.b64decode(request["content"])
    return explain_bytes(get_model(run.id), store, run, request["file"], content, request["class"])


def explain(model: Predictor, wanted: Mapping[str, str]) -> dict[str, Any]:
    """Return {"heat": {image: map}}: what speaks for a class in each image of the data set, `wanted`: image -> class.

    Images of the source are looked at as they were when they were predicted, where domains have statistics of their own.
    """
    setup = model.setup
    source = set(setup.source) if setup.has_target else set()
    heat: dict[str, Any] = {}
    for own in (True, False):
        images = [image for image in wanted if (image in source) == own]
        if not images:
            continue
        pixels = np.stack([_stored_pixels(model, image) for image in images])
        classes = [wanted[image] for image in images]
        if own:
            with setup.looking_at_source():
                maps = view_maps(model, pixels, classes)
        else:
            maps = view_maps(model, pixels, classes)
        heat |= {image: tell_heat(each) for image, each in zip(images, maps, strict=True)}
    return {"heat": heat}


def view_maps(model: Predictor, pixels: Pixels, classes: Sequence[str]) -> Maps:
    """Return a map [n, h, w] in 0..1 for each of pixels [n, 3, s, s].

    Where what is said is the mean over views, so is the map: each view's, turned back onto the image.
    """
    setup = model.setup
    numbers = {name: number for number, name in enumerate(setup.manifest.classes)}
    unknown = next((name for name in classes if name not in numbers), None)
    if unknown is not None:
        raise UserError(f"There is no class {unknown!r} in this data set.", "no-class")
    wanted = torch.tensor([numbers[name] for name in classes], device=setup.device)
    spec = setup.spec
    total: npt.NDArray[np.float32] | None = None
    for view in range(spec.seen_views):
        seen = np.stack([make_view(each, spec.augment, view, "", spec.seed) for each in pixels])
        maps = heat_maps(model.model, setup.backbone, model.normalise(seen), wanted)
        if view:
            maps = np.stack([turn_back(each, spec.augment, view) for each in maps])
        total = maps if total is None else total + maps
    assert total is not None
    return to_unit(total)


def _stored_pixels(model: Predictor, image: str) -> Pixels:
    setup = model.setup
    try:
        data = setup.library.image_path(image).read_bytes()
    except FileNotFoundError:
        message = "This image is no longer stored here: bring the data set again, which puts it back."
        raise UserError(message, "missing-image") from None
    shown = decode(data, setup.manifest.reading)
    return to_pixels(shown, setup.backbone.size, setup.spec.geometry, setup.backbone.interpolation)


def explain_bytes(
    model: Predictor, store: RunStore, run: Run, name: str, data: bytes, wanted: str | None
) -> dict[str, Any]:
    """Return {"file", "class", "heat", "overlay", "similar", "known"} for a file's content.

    "class": the one explained, the likeliest where none is `wanted`. "overlay": a PNG in base64. "similar": training
    images most like it, as `Likeness.to_json`; empty for a run that kept no features. "known": whether the very same
    picture is among the images the run was trained with.
    """
    setup = model.setup
    image = to_rgb(keep(data)[0].image, setup.manifest.reading)
    prediction = model.predict_bytes(name, data)
    label = wanted or prediction.label
    pixels = to_pixels(image, setup.backbone.size, setup.spec.geometry, setup.backbone.interpolation)
    (heat,) = view_maps(model, pixels[None], [label])
    report = load_report(store.folder(run.id), Library(store.home).get(run.manifest))
    same = hash_pixels(image)
    try:
        features = load_features(store.folder(run.id))
    except UserError:
        similar = []
    else:
        query = view_features(model, pixels)
        similar = similar_training_images(report, features, query, leave_out=same, k=ALIKE)
    trained = {"train", "target_train"}
    known = any(row.pixels == same and part in trained for row, part, _ in report.rows())
    overlay = to_png(draw_heat(image, heat, setup.spec.geometry, OPACITY))
    return {
        "file": name, "class": label, "heat": tell_heat(heat), "overlay": base64.b64encode(overlay).decode(),
        "similar": [each.to_json() for each in similar], "known": known,
    }  # fmt: skip


@torch.no_grad()
def view_features(model: Predictor, pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return the features [d] of one image's pixels [3, s, s], the mean over the views that are averaged."""
    spec = model.setup.spec
    views = [make_view(pixels, spec.augment, view, "", spec.seed) for view in range(spec.seen_views)]
    features = model.model.features(model.at_cut(np.stack(views)), spec.cut)
    return np.asarray(features.mean(0).cpu().numpy(), np.float32)
