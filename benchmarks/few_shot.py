"""Few images per class: prototypes, a linear probe and meta-transfer side by side, over many draws.

    uv run python benchmarks/few_shot.py

On the solar cells (2 classes) 1, 5 and 10 training images per class are drawn 100 times and tested on a fixed
quarter. On the drawn set, 12 classes are for meta-training and 8 are new: 5-way episodes are drawn from the new ones,
100 times. All from frozen features of lite0; meta-transfer scales and shifts the stages above the cut, once, by one seed.
Then the same as users have it, one set of all 20 classes of which 8 have few images: how many images of those 8 are found,
with meta-transfer's classifier fitted as a run fits it. Accuracy with the 95 % interval of the mean over the draws.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import cache as cache_once
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from common import Row, Rows, finish
from scipy.stats import t
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from code_version import code_version

from sample_data.shapes import draw_shapes
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.samples import add_solar_cells
from transfer_core.data.split import Split, make_split
from transfer_core.losses.episodes import class_means, fit_linear, negative_distances
from transfer_core.losses.supervised import weighted_cross_entropy
from transfer_core.models.cache import ActivationCache
from transfer_core.strategies import get_strategy
from transfer_core.strategies.meta_transfer import MetaTransfer
from transfer_core.training.labels import class_weights
from transfer_core.training.loop import Loop
from transfer_core.training.optimise import learning_rate, make_optimiser
from transfer_core.training.rules import make_spec
from transfer_core.training.setup import Setup, make_setup
from transfer_core.training.spec import RunSpec

SHOTS = (1, 5, 10)
DRAWS = 100
Guess = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # support, labels, queries, classes -> said


def prototypes(support: Tensor, y: Tensor, queries: Tensor, classes: int) -> Tensor:
    """Return the nearest prototype, features centred on the support and scaled to length 1."""
    centre = support.mean(0)
    a, b = (torch.nn.functional.normalize(each - centre) for each in (support, queries))
    return negative_distances(b, class_means(a, y, classes)).argmax(1)


def probe(support: Tensor, y: Tensor, queries: Tensor, classes: int) -> Tensor:
    """Return what scikit-learn's LogisticRegression says, on features divided by their standard deviation; classes count alike."""
    from sklearn.linear_model import LogisticRegression

    scale = support.std().clamp_min(1e-6)
    model = LogisticRegression(max_iter=2000, class_weight="balanced").fit(
        (support / scale).numpy(), y.numpy()
    )
    return torch.from_numpy(model.predict((queries / scale).numpy()))


GUESSES: dict[str, Guess] = {"prototypical": prototypes, "linear probe": probe}


def fitted(setup: Setup) -> Guess:
    """Return meta-transfer's guess: its starting classifier, fitted to the support by its own inner loop."""
    strategy = setup.strategy
    assert isinstance(strategy, MetaTransfer)
    start = setup.model.extras["episode"]

    def guess(support: Tensor, y: Tensor, queries: Tensor, classes: int) -> Tensor:
        weight, bias = (
            each.detach()[:classes] for each in (start.get_parameter("weight"), start.get_parameter("bias"))
        )
        w, b = fit_linear(support, y, weight, bias, steps=strategy.inner_steps, lr=strategy.inner_lr)
        return (queries @ w.T + b).argmax(1)

    return guess


def fitted_as_a_run(setup: Setup) -> Guess:
    """Return the guess of a classifier that is fitted as at the end of a run: the strategy's last phase, on features."""
    phase = setup.strategy.phases(setup.task)[-1]
    head = setup.model.heads["main"]
    size = setup.spec.batch_size

    def guess(support: Tensor, y: Tensor, queries: Tensor, classes: int) -> Tensor:
        torch.manual_seed(0)
        for each in head.parameters():
            torch.nn.init.zeros_(each)
        counts = dict(enumerate(torch.bincount(y, minlength=classes).tolist()))
        weights = torch.tensor(class_weights(counts, classes, "balanced"))
        optimiser, _ = make_optimiser(phase, setup.model)
        for epoch in range(phase.epochs):
            order = torch.split(torch.randperm(len(y)), size)
            for step, rows in enumerate(order):
                progress = (epoch + step / len(order)) / phase.epochs
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(phase, progress, progress) * group["factor"]
                optimiser.zero_grad()
                with torch.enable_grad():
                    torch.autograd.backward(weighted_cross_entropy(head(support[rows]), y[rows], weights))
                optimiser.step()
        with torch.no_grad():
            said: Tensor = head(queries).argmax(1)
        return said

    return guess


def features(setup: Setup, images: list[str]) -> Tensor:
    """Return the features [n, d] of images by the setup's model."""
    cut = setup.spec.cut
    setup.model.eval()
    with setup.activations(cut) as activations, torch.no_grad():
        activations.fill(images, 1)
        plan = [(images[at : at + 64], [0] * len(images[at : at + 64])) for at in range(0, len(images), 64)]
        return torch.cat([setup.model.features(x, cut) for x in activations.batches(plan)])


def solar_rows(library: Library, cache: ActivationCache, done: Rows) -> list[Row]:
    """Return prototypes and probe on the solar cells; meta-transfer refuses two classes."""
    manifest, _ = add_solar_cells(library)
    split = library.add_split(make_split(manifest))
    setup = make_setup(
        make_spec(manifest, split, {"strategy": "prototypical", "device": "cpu"}), library, cache
    )
    train, test = split.part("train"), split.part("test")
    x, y = features(setup, train), setup.targets(train)
    unseen, truth = features(setup, test), setup.targets(test)

    def draw(guess: Guess, shots: int, rng: np.random.Generator) -> float:
        own = [rng.permutation(np.flatnonzero(y.numpy() == c))[:shots] for c in (0, 1)]
        chosen = np.concatenate(own)
        said = guess(x[chosen], y[chosen], unseen, 2)
        return float(np.mean([(said[truth == c] == c).float().mean().item() for c in (0, 1)]))

    return [
        measured(done, "solar cells", 2, shots, name, setup.spec, partial(draw, guess, shots))
        for shots in SHOTS
        for name, guess in GUESSES.items()
    ]


def measured(
    done: Rows,
    data: str,
    way: int,
    shots: int,
    method: str,
    spec: RunSpec,
    draw: Callable[[np.random.Generator], float],
    draws: int = DRAWS,
) -> Row:
    """Return the row of a method: the mean of so many draws, and half its 95 % interval."""

    def measure() -> Row:
        rng = np.random.default_rng(shots)  # the same draws for every method
        values = [draw(rng) for _ in range(draws)]
        half = t.ppf(0.975, draws - 1) * np.std(values, ddof=1) / np.sqrt(draws)
        return {"data": data, "way": way, "shots": shots, "method": method,
                "balanced": float(np.mean(values)), "+-": float(half)}  # fmt: skip

    code = code_version(get_strategy(spec.strategy))
    row = done.get(f"{data}-{way}-{shots}-{method}-{draws} draws-{spec.id}-{code}", measure)
    print(row, flush=True)
    return row


def drawn(library: Library) -> tuple[Manifest, Split]:
    """Return the drawn set: 20 classes of 40 images."""
    import io

    def reader(image: Any) -> Callable[[], bytes]:
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue

    pictures = draw_shapes(800, seed=11, size=128)
    brought = [
        Candidate(f"{each.name}.png", reader(each.image), each.label, each.domain, each.group)
        for each in pictures
    ]
    manifest, _ = ingest(brought, "Drawn", library)
    return manifest, library.add_split(make_split(manifest))


def drawn_rows(library: Library, cache: ActivationCache, done: Rows) -> list[Row]:
    """Return all three on classes of the drawn set that meta-training never saw."""
    manifest, split = drawn(library)
    spec = make_spec(
        manifest, split, {"strategy": "meta_transfer", "cut": 6, "epochs": 10, "lr": 1e-3, "device": "cpu"}
    )
    plain = make_setup(spec, library, cache)
    strategy = plain.strategy
    assert isinstance(strategy, MetaTransfer)
    base = strategy.base_classes(plain.task)
    new = [number for number in range(len(manifest.classes)) if number not in base]
    images = [row.image for row in manifest.rows if manifest.classes.index(row.label or "") in new]
    y = plain.targets(images).numpy()

    @cache_once
    def frozen() -> Tensor:
        return features(plain, images)

    @cache_once
    def trained() -> tuple[Tensor, Guess, Setup]:
        meta = make_setup(spec, library, cache)
        with tempfile.TemporaryDirectory() as folder:
            Loop(meta, Path(folder), lambda event: print(event, file=sys.stderr), lambda: False).run()
        return features(meta, images), fitted(meta), meta

    def draw(method: str, shots: int, rng: np.random.Generator) -> float:
        x, guess = trained()[:2] if method == "meta-transfer" else (frozen(), GUESSES[method])
        return episode(x, y, new, shots, guess, rng)

    @cache_once
    def in_one_set(method: str) -> Callable[[int, np.random.Generator], float]:
        learnt, tested = (split.part(part) for part in ("train", "test"))
        setup = trained()[2] if method == "meta-transfer" else plain
        guess = fitted_as_a_run(setup) if method == "meta-transfer" else GUESSES[method]
        x, labels = features(setup, learnt), setup.targets(learnt).numpy()
        unseen, truth = features(setup, tested), setup.targets(tested).numpy()
        asked = np.isin(truth, new)

        def draw(shots: int, rng: np.random.Generator) -> float:
            few = [rng.permutation(np.flatnonzero(labels == each))[:shots] for each in new]
            rows = np.concatenate([np.flatnonzero(~np.isin(labels, new)), *few])
            said = guess(
                x[rows], torch.from_numpy(labels[rows]), unseen[asked], len(manifest.classes)
            ).numpy()
            return float(np.mean([np.mean(said[truth[asked] == each] == each) for each in new]))

        return draw

    def draw_together(method: str, shots: int, rng: np.random.Generator) -> float:
        return in_one_set(method)(shots, rng)  # asked for only where a row is missing: it trains

    alone, together = (
        f"drawn, {len(new)} new classes",
        f"drawn, {len(new)} of {len(manifest.classes)} classes with few images",
    )
    methods = (*GUESSES, "meta-transfer")
    rows = [
        measured(done, alone, 5, shots, method, spec, partial(draw, method, shots))
        for shots in SHOTS
        for method in methods
    ]
    return rows + [
        measured(
            done,
            together,
            len(manifest.classes),
            shots,
            method,
            spec,
            partial(draw_together, method, shots),
        )
        for shots in SHOTS
        for method in methods
    ]


def episode(
    x: Tensor,
    y: npt.NDArray[np.int64],
    classes: list[int],
    shots: int,
    guess: Guess,
    rng: np.random.Generator,
) -> float:
    """Return the accuracy on one 5-way problem, 15 queries a class."""
    chosen = rng.permutation(classes)[:5]
    support, queries = [], []
    for number in chosen:
        own = rng.permutation(np.flatnonzero(y == number))
        support.append(own[:shots])
        queries.append(own[shots : shots + 15])
    labels = torch.arange(5)
    said = guess(x[np.concatenate(support)], labels.repeat_interleave(shots), x[np.concatenate(queries)], 5)
    return float((said == labels.repeat_interleave(15)).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "transfer-lab-benchmark")
    options = parser.parse_args()
    library = Library(options.home)
    cache = ActivationCache(options.home / "cache", budget=20_000_000_000)
    done = Rows("few_shot")
    rows = solar_rows(library, cache, done) + drawn_rows(library, cache, done)
    finish("few_shot", rows, [])


if __name__ == "__main__":
    main()
