"""Adaptation on the real solar cells, between monocrystalline and polycrystalline, without target labels.

    uv run python benchmarks/adaptation.py              the recommended strategy and its twin, both ways, 3 seeds
    uv run python benchmarks/adaptation.py --seeds 6    the same with seeds 1 to 6: a surer answer
    uv run python benchmarks/adaptation.py --networks 3 the same, each with three networks (hours on 2 cores)
    uv run python benchmarks/adaptation.py --all        and every other adaptation, one seed
    uv run python benchmarks/adaptation.py --longer     source only, also for twice the epochs, or chosen by the source: is the twin done?

Every finished run is one line of `results/adaptation.jsonl`, under a key of the experiment and the code
version of its strategy; what is there is not run again, so the matrix may be interrupted, as may a run. The strategy, its
knobs and the rule that chooses the epoch were fixed on mono -> poly, seed 0; reported are the seeds from 1 on.

A target-test is a handful of modules, so what can be reached differs from split to split. Beside each stands therefore what
the target's own labels bring: a linear probe on frozen features, trained on target-train with its labels.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import Check, Row, Rows, finish

sys.path.insert(0, str(Path(__file__).parents[1]))

from code_version import code_version

from transfer_core.data.library import Library
from transfer_core.data.manifest import TARGET_TRAIN, Manifest
from transfer_core.data.samples import add_solar_cells
from transfer_core.data.split import make_split
from transfer_core.evaluation.contest import Contest, Pair
from transfer_core.evaluation.metrics import balanced_accuracy
from transfer_core.evaluation.predict import predict
from transfer_core.models.backbones import get_backbone
from transfer_core.models.cache import ActivationCache
from transfer_core.strategies import get_strategy
from transfer_core.training.checkpoint import load_best
from transfer_core.training.networks import make_loop
from transfer_core.training.rules import make_spec, twin_spec
from transfer_core.training.setup import make_setup
from transfer_core.training.spec import RunSpec

COMMON: dict[str, Any] = {
    "backbone": "lite0",
    "cut": 6,
    "augment": "turns",
    "epochs": 8,
    "patience": 0,
    "device": "cpu",
}
RECOMMENDED: dict[str, Any] = COMMON | {"strategy": "adversarial_self_training"}
OTHERS = ("mcc", "dann", "self_training", "cdan", "adabn", "coral", "mmd", "mcd")
WAYS = (("mono", "poly"), ("poly", "mono"))


class Matrix:
    """Runs of the benchmark, each done once."""

    def __init__(self, home: Path) -> None:
        self.library = Library(home)
        self.manifest: Manifest = add_solar_cells(self.library)[0]
        self.rows = Rows("adaptation")

    def spec(self, source: str, target: str, seed: int, wishes: dict[str, Any]) -> RunSpec:
        """Return the spec of one run."""
        split = make_split(self.manifest, "transfer", seed=seed, train_domain=source, test_domain=target)
        return make_spec(self.manifest, self.library.add_split(split), wishes | {"seed": seed})

    def twin(self, spec: RunSpec) -> RunSpec:
        """Return the spec of the same run without adaptation."""
        twin = twin_spec(spec, self.library.get_split(spec.manifest, spec.split))
        assert twin is not None
        return twin

    def run(self, spec: RunSpec) -> Row:
        """Return the row of a spec, trained now if it is not there."""
        key = f"{spec.id}-{code_version(get_strategy(spec.strategy))}"
        folder = self.library.home / "adaptation" / key  # stays until the row is written
        row = self.rows.get(key, lambda: self.train(spec, folder))
        shutil.rmtree(folder, ignore_errors=True)
        return row

    def train(self, spec: RunSpec, folder: Path) -> Row:
        """Return the row of a spec, trained in a folder, where it goes on if it was cut off."""
        home = self.library.home
        setup = make_setup(spec, self.library, ActivationCache(home / "cache", budget=20_000_000_000))
        loop = make_loop(setup, folder, lambda _: None, lambda: False)
        ended = loop.run()
        setup.model.load_trained(load_best(folder, ended.best))
        images = setup.split.part("test")
        with setup.activations(spec.cut) as activations:
            activations.fill(images, spec.seen_views)
            said = predict(
                setup.model, activations, images, spec.cut, views=spec.seen_views
            ).probabilities.argmax(1)
        truth = setup.targets(images).cpu().numpy()
        return {
            "strategy": spec.strategy, "knobs": dict(spec.knobs), "source": spec.source, "target": spec.target,
            "seed": spec.seed, "best": ended.best, "n": len(images),
            "balanced": balanced_accuracy(truth, said, len(setup.manifest.classes)),
            "accuracy": float(np.mean(said == truth)), "seconds": loop.standing.seconds, "said": said.tolist(),
        }  # fmt: skip

    def labelled(self, spec: RunSpec) -> Row:
        """Return the row of the linear probe that is given the labels of target-train, on the split of a spec."""
        stages = len(get_backbone(spec.backbone).stages)
        plain = make_spec(self.manifest, self.library.get_split(spec.manifest, spec.split), {
            "strategy": "prototypical", "cut": stages, "seed": spec.seed, "device": "cpu"})  # fmt: skip
        key = f"labelled-{plain.id}-{code_version(get_strategy(plain.strategy))}"
        return self.rows.get(key, lambda: self._probe(plain, spec))

    def _probe(self, plain: RunSpec, spec: RunSpec) -> Row:
        from sklearn.linear_model import LogisticRegressionCV
        from sklearn.model_selection import GroupKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        setup = make_setup(
            plain, self.library, ActivationCache(self.library.home / "cache", budget=20_000_000_000)
        )
        parts = {name: setup.split.part(name) for name in (TARGET_TRAIN, "test")}
        with setup.activations(plain.cut) as activations:
            activations.fill([*parts[TARGET_TRAIN], *parts["test"]], 1)
            x = {name: activations.at_cut(images).numpy() for name, images in parts.items()}
        y = {name: setup.targets(images).numpy() for name, images in parts.items()}
        groups = [self.manifest.by_image[image].group for image in parts[TARGET_TRAIN]]
        folds = list(GroupKFold(5).split(x[TARGET_TRAIN], y[TARGET_TRAIN], groups))
        logistic = LogisticRegressionCV(
            Cs=np.geomspace(1e-5, 1e-1, 9), cv=folds, scoring="balanced_accuracy", max_iter=2000, l1_ratios=(0,),
            use_legacy_attributes=False,
        )  # fmt: skip
        model = make_pipeline(StandardScaler(), logistic).fit(x[TARGET_TRAIN], y[TARGET_TRAIN])
        said = model.predict(x["test"])
        found = balanced_accuracy(y["test"], said, len(self.manifest.classes))
        modules = len({self.manifest.by_image[image].group for image in parts["test"]})
        return {"strategy": "probe with the target's labels", "source": spec.source, "target": spec.target,
                "seed": spec.seed, "n": len(said), "modules": modules, "balanced": found}  # fmt: skip

    def compared(self, specs: list[RunSpec]) -> tuple[Row, Pair]:
        """Return runs of several seeds beside their twins: means, and the paired difference of all, by group."""
        truth, own, other, groups = [], [], [], []
        pairs = [(self.run(spec), self.run(self.twin(spec))) for spec in specs]
        for spec, (mine, twin) in zip(specs, pairs, strict=True):
            rows = [
                self.manifest.by_image[image]
                for image in self.library.get_split(spec.manifest, spec.split).part("test")
            ]
            truth += [self.manifest.classes.index(row.label or "") for row in rows]
            groups += [row.group or row.image for row in rows]
            own += mine["said"]
            other += twin["said"]
        right = [np.array(each) == np.array(truth) for each in (own, other)]
        (pair,) = Contest(np.array(truth), right, 2, groups, "balanced_accuracy").pairs
        row = {
            "strategy": specs[0].strategy, "way": f"{specs[0].source}->{specs[0].target}", "seeds": len(specs),
            "source only": statistics.mean(twin["balanced"] for _, twin in pairs),
            "balanced": statistics.mean(mine["balanced"] for mine, _ in pairs),
            "with target labels": statistics.mean(self.labelled(spec)["balanced"] for spec in specs),
            "gain": pair.gap.value, "low": pair.gap.interval[0], "high": pair.gap.interval[1], "verdict": pair.verdict, "n": pair.n,
        }  # fmt: skip
        return row, pair


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--others", action="store_true", help="nothing but every adaptation with seed 0")
    parser.add_argument("--all", action="store_true", help="every other adaptation too, one seed")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "transfer-lab-benchmark")
    parser.add_argument(
        "--only", help="run what starts from this domain and end, so that two may run side by side"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, counted from 1")
    parser.add_argument("--networks", type=int, default=1, help="how many networks answer together")
    parser.add_argument("--longer", action="store_true", help="nothing but source only, other ways")
    options = parser.parse_args()
    matrix = Matrix(options.home)
    rows, gaps = [], []
    seeds = range(1, options.seeds + 1)
    ways = [way for way in WAYS if options.only in (None, way[0])]
    if options.longer:
        for way in ways:
            for wishes in ({}, {"epochs": 2 * COMMON["epochs"]}, {"select": "validation_loss"}):
                specs = [matrix.twin(matrix.spec(*way, seed, RECOMMENDED | wishes)) for seed in seeds]
                mean = statistics.mean(matrix.run(spec)["balanced"] for spec in specs)
                print(f"{way[0]}->{way[1]}: source only, {wishes or 'the twin'}: {mean:.3f}", flush=True)
        return
    for way in ways if not options.others else ():
        wishes = RECOMMENDED | {"networks": options.networks}
        row, gap = matrix.compared([matrix.spec(*way, seed, wishes) for seed in seeds])
        print(row, flush=True)
        rows.append(row)
        gaps.append(gap)
    for name in (RECOMMENDED["strategy"], *OTHERS) if options.all or options.others else ():
        for way in ways:
            row, _ = matrix.compared([matrix.spec(*way, 0, COMMON | {"strategy": name})])
            print(row, flush=True)
            rows.append(row)
    if options.only or options.others:
        return
    checks = [
        Check(f"{row['way']}: balanced accuracy, mean of {options.seeds} seeds", row["balanced"], 0.70)
        for row in rows[:2]
    ]
    checks += [
        Check(
            "gain over source only, mean of both ways", statistics.mean(gap.gap.value for gap in gaps), 0.08
        ),
        Check(
            "lower end of the gain's interval, the surer way", max(gap.gap.interval[0] for gap in gaps), 0.0
        ),
    ]
    name = "adaptation" if options.seeds == 3 else f"adaptation-{options.seeds}-seeds"
    finish(f"{name}-{options.networks}-networks" if options.networks > 1 else name, rows, checks)


if __name__ == "__main__":
    main()
