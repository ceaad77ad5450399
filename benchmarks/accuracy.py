"""How good it is on the real solar cells, beside what is published and beside scikit-learn.

    uv run python benchmarks/accuracy.py probe              5 seeds, by image and by group, beside scikit-learn
    uv run python benchmarks/accuracy.py fine_tuning        3 seeds by image, 1 by group (hours on 2 cores)
    uv run python benchmarks/accuracy.py larger             fine-tuning at 288 pixels, tested on all views, 3 seeds each
    uv run python benchmarks/accuracy.py doubtful           the same, labels as sure as the experts were
    uv run python benchmarks/accuracy.py mixed              the same as `larger`, activations mixed, 20 epochs
    uv run python benchmarks/accuracy.py together           the same as `larger`, three networks in one run
    uv run python benchmarks/accuracy.py probe_then_tune    the same as `larger`, from a converged probe, 3 seeds each

Every finished run is one line of `results/accuracy-*.jsonl`, under a key of the experiment and the code version of its strategy;
what is there is not run again, so a long matrix may be interrupted. Test part: 25 %. Published for a CNN on such a split: 0.8842
(Deitsch et al. 2019).
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from common import Check, Row, Rows, finish

sys.path.insert(0, str(Path(__file__).parents[1]))

from code_version import code_version

from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.samples import add_solar_cells
from transfer_core.data.split import Rule, Split, make_split
from transfer_core.evaluation.predict import predict
from transfer_core.models.cache import ActivationCache
from transfer_core.strategies import get_strategy
from transfer_core.training.checkpoint import load_best
from transfer_core.training.events import EpochEnded, Event
from transfer_core.training.networks import make_loop
from transfer_core.training.rules import make_spec
from transfer_core.training.setup import Setup, make_setup

FINE_TUNING: dict[str, Any] = {
    "strategy": "fine_tuning",
    "backbone": "lite0",
    "cut": 3,
    "augment": "turns",
    "views": 8,
    "epochs": 14,
    "lr": 1e-3,
    "patience": 0,
}
LARGER = FINE_TUNING | {"size": 288, "test_views": True, "cut": 4, "epochs": 10}
RECIPES: dict[str, dict[str, Any]] = {
    "probe": {"strategy": "feature_extraction"},
    "fine_tuning": FINE_TUNING,
    "larger": LARGER,
    "doubtful": LARGER | {"label_confidence": "confidence"},
    "mixed": LARGER | {"epochs": 20, "mixing": 0.4},
    "together": LARGER | {"networks": 3},
    # A third of fine-tuning's learning rate, chosen on validation images of seeds 3 and 4.
    "probe_then_tune": LARGER | {"strategy": "probe_then_tune", "lr": 3e-4},
}
BOUNDS = {
    "fine_tuning": 0.885,
    "larger": 0.90,
    "doubtful": 0.90,
    "mixed": 0.90,
    "together": 0.90,
    "probe_then_tune": 0.90,
}
BY_GROUP = {"probe": 5, "larger": 3, "probe_then_tune": 3}  # splits by group, of the others one
FRACTIONS = (0.65, 0.10, 0.25)  # the epoch, or the regularisation, is chosen on the 10 %


@cache
def confidence() -> dict[str, float]:
    """Return how sure its experts were of each solar cell's label, 1 or 2/3, by file name."""
    with (Path(__file__).parents[1] / "sample_data" / "solar_cells.csv").open(encoding="utf-8") as lines:
        defective = {row["image"]: float(row["probability"]) for row in csv.DictReader(lines)}
    return {name: max(each, 1 - each) for name, each in defective.items()}


def with_confidence(manifest: Manifest) -> Manifest:
    """Return the solar cells with how sure their experts were as a further label; all else is the same."""
    rows = tuple(replace(row, extra={"confidence": f"{confidence()[row.path]:.4f}"}) for row in manifest.rows)
    return replace(manifest, rows=rows)


def run(
    library: Library, manifest: Manifest, split: Split, wishes: dict[str, Any], folder: Path
) -> tuple[Setup, Row]:
    """Train once, or go on in the folder; return the setup with the chosen weights, and validation and test accuracy.

    "sure" and "doubtful" are the accuracy on test cells of whose label the experts were sure, and on the others.
    """
    spec = make_spec(manifest, split, wishes | {"device": "cpu"})
    setup = make_setup(spec, library, ActivationCache(library.home / "cache", budget=20_000_000_000))

    def emit(event: Event) -> None:
        if isinstance(event, EpochEnded):
            print(f"  epoch {event.epoch}: {event.val}", file=sys.stderr, flush=True)

    loop = make_loop(setup, folder, emit, lambda: False)
    best = loop.run().best
    setup.model.load_trained(load_best(folder, best))
    images = split.part("test")
    with setup.activations(spec.cut) as activations:
        activations.fill(images, spec.seen_views)
        said = predict(
            setup.model, activations, images, spec.cut, views=spec.seen_views
        ).probabilities.argmax(1)
    truth = setup.targets(images).numpy()
    sure = np.array([confidence()[setup.manifest.by_image[image].path] == 1 for image in images])
    recalls = [float(np.mean(said[truth == each] == each)) for each in set(truth.tolist())]
    row = {
        "accuracy": float(np.mean(said == truth)),
        "balanced": float(np.mean(recalls)),
        "sure": float(np.mean((said == truth)[sure])),
        "doubtful": float(np.mean((said == truth)[~sure])),
        "val": loop.standing.best_val["accuracy"],
        "best": best,
    }
    return setup, row


def sklearn_accuracy(setup: Setup, split: Split) -> float:
    """Return LogisticRegression's accuracy: same features, same training images, C chosen inside them."""
    from sklearn.linear_model import LogisticRegressionCV

    stages = len(setup.backbone.stages)
    parts = {}
    with setup.activations(stages) as activations:
        for part in ("train", "test"):
            images = split.part(part)
            parts[part] = activations.at_cut(images).numpy(), setup.targets(images).numpy()
    model = LogisticRegressionCV(
        Cs=np.geomspace(1e-4, 1e2, 13), cv=5, scoring="neg_log_loss", max_iter=5000, l1_ratios=(0,),
        use_legacy_attributes=False,
    )  # fmt: skip
    model.fit(*parts["train"])
    features, truth = parts["test"]
    return float(np.mean(model.predict(features) == truth))  # .score() would be the log loss of `scoring`


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=RECIPES)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "transfer-lab-benchmark")
    parser.add_argument(
        "--only", help="run this split alone, such as image-1, and end: several may run side by side"
    )
    options = parser.parse_args()
    library = Library(options.home)
    manifest, _ = add_solar_cells(library)
    probe = options.what == "probe"
    wishes = RECIPES[options.what]
    if "label_confidence" in wishes:
        manifest = library.add(with_confidence(manifest))
    matrix: list[tuple[Rule, int]] = [("image", seed) for seed in range(5 if probe else 3)]
    matrix += [("group", seed) for seed in range(BY_GROUP.get(options.what, 1))]
    done = Rows(f"accuracy-{options.what}")
    rows = []
    for rule, seed in matrix:
        if options.only not in (None, f"{rule}-{seed}"):
            continue
        split = library.add_split(make_split(manifest, rule, fractions=FRACTIONS, seed=seed))

        spec = make_spec(manifest, split, wishes | {"seed": seed, "device": "cpu"})
        key = f"{spec.id}-{code_version(get_strategy(spec.strategy))}"
        folder = library.home / "accuracy" / key  # stays until the row is written: a run may span sittings

        def measure(rule: str = rule, seed: int = seed, split: Split = split, folder: Path = folder) -> Row:
            setup, row = run(library, manifest, split, wishes | {"seed": seed}, folder)
            if probe:
                row["sklearn"] = sklearn_accuracy(setup, split)
            return {"rule": rule, "seed": seed} | row

        rows.append(done.get(key, measure))
        shutil.rmtree(folder, ignore_errors=True)
        print(rows[-1], flush=True)
    if options.only:
        return
    by_image = [row for row in rows if row["rule"] == "image"]
    mean = statistics.mean(row["accuracy"] for row in by_image)
    if probe:
        gap = mean - statistics.mean(row["sklearn"] for row in by_image)
        checks = [Check("linear probe minus scikit-learn, |mean accuracy|", abs(gap), 0.005, at_least=False)]
    else:
        checks = [Check(f"{options.what} by image, mean accuracy", mean, BOUNDS[options.what])]
    by_group = [row["accuracy"] for row in rows if row["rule"] == "group"]
    print(f"mean by image {mean:.4f}, by group {statistics.mean(by_group):.4f}")
    finish(f"accuracy-{options.what}", rows, checks)


if __name__ == "__main__":
    main()
