"""The lab: data sets, runs and whoever starts them, put together for the app and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.data.spot_check import SpotCheck, draw_spot_check
from transfer_core.errors import UserError
from transfer_core.evaluation.cases import make_cases
from transfer_core.evaluation.contest import Contest, Pair, choose_measure
from transfer_core.evaluation.decision import Decision, Wishes, fit_decision, load_wishes
from transfer_core.evaluation.metrics import as_told
from transfer_core.evaluation.report import Report, load_report
from transfer_core.evaluation.unknown import Familiar
from transfer_core.models.cache import ActivationCache, choose_stored
from transfer_core.models.weights import find_weights, missing_weights_message
from transfer_core.runs.dispatch import dispatch, reconcile
from transfer_core.runs.executors import Executor, SubprocessExecutor
from transfer_core.runs.familiar import get_familiar
from transfer_core.runs.glance import BRIEF
from transfer_core.runs.liveness import Watcher
from transfer_core.runs.progress import standing
from transfer_core.runs.store import Run, RunStore
from transfer_core.strategies import get_strategy
from transfer_core.training.estimate import Plan, make_plan
from transfer_core.training.events import Ended
from transfer_core.training.forecast import forecast, read_pace
from transfer_core.training.rules import twin_spec, unmet_need
from transfer_core.training.spec import RunSpec


class Lab:
    """Everything below one home folder. One for each process that looks after runs."""

    def __init__(
        self,
        home: Path,
        executor: Executor | None = None,
        patience: float = 10.0,
        store: RunStore | None = None,
    ) -> None:
        """Open the home; `patience`: seconds to wait where another program locks the store, unless another `store` is given."""
        self.home = home
        self.store = store or RunStore(home, patience)
        self.library = Library(home)
        self.executor = executor or SubprocessExecutor()
        self.watcher = Watcher()
        self._by_hand: dict[
            str, tuple[Mapping[str, str | None], dict[str, Any] | None]
        ] = {}  # run -> answers, figures once all is answered

    def look(self) -> None:
        """Mark dead runs as lost and start what waits. Cheap; whoever watches calls it now and then.

        Where the store cannot be read or written now, a later look does it: nobody waits for this one.
        """
        with suppress(UserError):
            reconcile(self.store.with_patience(BRIEF), self.executor, self.watcher)

    def start(
        self, spec: RunSpec, *, name: str = "", token: str | None = None, parent: str | None = None
    ) -> Run:
        """Queue a run and start it if its device is free. UserError where it could not work."""
        backbone = spec.make_backbone()
        split = self.library.get_split(spec.manifest, spec.split)
        manifest = self.library.get(spec.manifest)
        missing = unmet_need(spec.make_strategy(), manifest, split, backbone, spec.cut)
        if missing:
            raise UserError(f"{get_strategy(spec.strategy).title}: {missing}", "unmet-need")
        if get_strategy(spec.strategy).pretrained and find_weights(backbone, self.home) is None:
            raise UserError(missing_weights_message(backbone, self.home), "missing-weights")
        run = self.store.add_run(spec, name=name or default_name(spec), token=token, parent=parent)
        twin = twin_spec(spec, split)
        if twin and not self._is_settled(twin):
            own = f"{token}-twin" if token else None
            self.store.add_run(twin, name=f"{default_name(twin)}, for comparison", token=own, parent=run.id)
        dispatch(self.store, self.executor)
        return run

    def twin(self, run: Run) -> Run | None:
        """Return the run without adaptation that a run is compared with, where there is one."""
        spec = twin_spec(run.spec, self.library.get_split(run.manifest, run.spec.split))
        return self._twin_run(spec) if spec else None

    def stop(self, run: Run, *, with_twin: bool = False) -> Run | None:
        """Ask a run to stop, `with_twin` also the twin that waits for it alone; return that twin, None where none waits."""
        self.store.request_stop(run.id)  # first: whatever becomes of the twin, this one stops
        twin = self.waiting_twin(run)
        if twin and with_twin:
            self.store.request_stop(twin.id)
        return twin

    def waiting_twin(self, run: Run) -> Run | None:
        """Return the twin that is queued for a run and that no other run needs; None where there is none."""
        try:
            twin = self.twin(run)
        except UserError:  # the split is damaged: what trains can be stopped all the same
            return None
        if twin is None or twin.state != "queued":
            return None
        split = self.library.get_split(run.manifest, run.spec.split)
        others = [
            each
            for each in self.store.runs(manifest=run.manifest)
            if each.id != run.id
            and each.spec.split == run.spec.split
            and (spec := twin_spec(each.spec, split))
            and spec.id == twin.spec.id
        ]
        needed = any(each.result or not each.is_over for each in others)
        queued_for = {run.id, *(each.id for each in others)}  # else it is somebody's own
        return twin if twin.parent in queued_for and not needed else None

    def is_adapted(self, run: Run) -> bool:
        """Tell whether a run has learnt from images of the target domain, with or without their labels."""
        split = self.library.get_split(run.manifest, run.spec.split)
        result = run.result or {}
        if split.rule != "transfer" or result.get("unreached"):
            return False
        return bool(result.get("target_labels_used")) or twin_spec(run.spec, split) is not None

    def _twin_run(self, spec: RunSpec) -> Run | None:
        """Return the run of this spec: one that came to its end, else one on its way, else one stopped that has a model."""
        found = [run for run in self.store.runs(manifest=spec.manifest) if run.spec.id == spec.id]
        useful = [run for run in found if run.result or not run.is_over]
        return min(useful, key=lambda run: (run.state != "done", run.is_over), default=None)

    def needs_twin(self, run: Run) -> RunSpec | None:
        """Return the spec of the run without adaptation that is missing beside a run or was cut short, None where none is."""
        spec = twin_spec(run.spec, self.library.get_split(run.manifest, run.spec.split))
        return spec if spec and not self._is_settled(spec) else None

    def diverged_twin(self, run: Run) -> Run | None:
        """Return the run without adaptation where it diverged before it had a model, so that none can be had; else None."""
        spec = twin_spec(run.spec, self.library.get_split(run.manifest, run.spec.split))
        return self._find_diverged(spec) if spec and not self._twin_run(spec) else None

    def has_diverged(self, run: Run) -> bool:
        """Tell whether a run's loss stopped being a number: trained again with the same settings, it does so again."""
        told = self.store.last_event(run.id, "Ended") if run.state == "failed" else None
        ended = told[2] if told else None
        if not isinstance(ended, Ended) or ended.reason != "diverged":
            return False
        return (
            bool(run.result) or not ended.best
        )  # else its model is there and testing it failed, which can go on

    def _find_diverged(self, spec: RunSpec) -> Run | None:
        found = (run for run in self.store.runs(manifest=spec.manifest) if run.spec.id == spec.id)
        return next((run for run in found if self.has_diverged(run)), None)

    def _is_settled(self, spec: RunSpec) -> bool:
        """Tell whether a run of this spec came to its own end, whatever that was, or may yet."""
        run = self._twin_run(spec)
        return bool(run and (run.state == "done" or not run.is_over)) or self._find_diverged(spec) is not None

    def verdict(self, run: Run) -> Pair | None:
        """Return how a run compares with its twin on labelled test images; None where that is not known.

        What was stopped is compared as it stands, where it has a model.
        """
        twin = self.twin(run)
        if not all(each and each.is_over and each.result for each in (run, twin)):
            return None
        assert twin
        own, other = self.report(run), self.report(twin)
        rows = [row for row, _, _ in own.rows("test") if row.label is not None]
        if not rows:
            return None
        numbers = {name: index for index, name in enumerate(own.manifest.classes)}
        truth = np.array([numbers[row.label or ""] for row in rows], dtype=np.int64)
        right = [each.predicted([row.image for row in rows]) == truth for each in (own, other)]
        groups = [row.group or row.image for row in rows] if own.grouped else None
        measure = choose_measure(self.library.get_split(run.manifest, run.spec.split))
        (pair,) = Contest(truth, right, len(numbers), groups, measure).pairs
        return pair

    def resume(self, run: str) -> Run:
        """Let a stopped, failed or lost run go on from its last checkpoint."""
        found = self.store.requeue(run)
        dispatch(self.store, self.executor)
        return found

    def plan(self, spec: RunSpec, manifest: Manifest, split: Split) -> Plan:
        """Return what a run would cost, before it is started."""
        stored, n_train = self.stored(spec, manifest), sum(split.receipt.counts["train"].values())
        return make_plan(self.home, spec, len(split.assignment), n_train, len(manifest.classes), stored)

    def forecast(self, spec: RunSpec, manifest: Manifest, split: Split) -> tuple[float, float] | None:
        """Return the seconds between which a run will take by a trial on this machine; None where there was none."""
        pace = read_pace(self.home, spec)
        if pace is None:
            return None
        n_train, n_val = (sum(split.receipt.counts[part].values()) for part in ("train", "val"))
        return forecast(pace, spec, len(split.assignment), n_train, n_val, self.stored(spec, manifest))

    def stored(self, spec: RunSpec, manifest: Manifest) -> int:
        """Return after how many stages a run would keep activations."""
        budget = ActivationCache(self.home / "cache").budget
        return choose_stored(spec.make_backbone(), spec.cut, len(manifest.rows) * max(1, spec.views), budget)

    def report(self, run: Run, manifest: Manifest | None = None) -> Report:
        """Return a run's report; UserError where there is none yet. `manifest`: the run's, where it is at hand."""
        folder = self.store.folder(run.id)
        if not run.result:
            raise UserError(f"Run {run.id} is {run.state} and has no report yet.", "no-report")
        manifest = manifest or self.library.get(run.manifest)
        if self.library.answers(run.manifest):
            manifest = self.spot_check(run).applied(manifest)
        return load_report(folder, manifest)

    def decision(self, run: Run) -> Decision:
        """Return how a run's probabilities become decisions: its validation images, and what was wished for it."""
        return self._fit(run, load_wishes(self.store.folder(run.id)))

    def calibration(self, run: Run) -> Decision:
        """Return what calibrates a run's probabilities, whatever was decided for it, or damaged; not for what is said."""
        return self._fit(run, Wishes())

    def _fit(self, run: Run, wishes: Wishes) -> Decision:
        split = self.library.get_split(run.manifest, run.spec.split)
        shifted = split.rule in ("domain", "transfer")
        report = self.report(run)
        return fit_decision(make_cases(report, "val"), wishes, shifted=shifted, grouped=report.grouped)

    def familiar(self, run: Run) -> Familiar:
        """Return what a run has learnt from, to tell images unlike it; UserError where that cannot be told."""
        return get_familiar(self.store, run, self.report(run))

    def tested(self, run: Run) -> dict[str, Any]:
        """Return the figures of the test part, from labels given by hand where the target came without.

        Whatever says how well a run did asks here. `labelled_by_hand` tells where the labels are from.
        """
        test: dict[str, Any] = (run.result or {})["test"]
        plain = as_told(test) | {"labelled_by_hand": False}
        answers = {} if test["n"] else self.library.answers(run.manifest)
        if not answers:
            return plain
        known = self._by_hand.get(run.id)
        if known is None or known[0] != answers:
            try:
                done = self.spot_check(run).is_done
                known = answers, self.report(run).metrics().to_json() if done else None
            except UserError:  # the data set or the report is damaged: lists of runs go on
                return plain
            self._by_hand[run.id] = known
        return plain if known[1] is None else known[1] | {"labelled_by_hand": True}

    def spot_check(self, run: Run) -> SpotCheck:
        """Return the labelling by hand that tells how a run does where its test images came without labels."""
        manifest, split = self.library.get(run.manifest), self.library.get_split(run.manifest, run.spec.split)
        return draw_spot_check(manifest, split, self.library.answers(run.manifest))


def default_name(spec: RunSpec) -> str:
    """Return what a run is called when nobody names it."""
    backbone = spec.make_backbone()
    strategy = get_strategy(spec.strategy)
    frozen = f", {spec.cut} of {len(backbone.stages)} frozen" if strategy.freezes == "chosen" else ""
    networks = f", {spec.networks} networks" if spec.networks > 1 else ""
    return f"{strategy.title}, {backbone.title}{frozen}{networks}"


def run_object(lab: Lab, run: Run) -> dict[str, Any]:
    """Return the one JSON object that train, show, runs, report, resume and stop print."""
    facts: dict[str, Any] = {
        "run": run.id,
        "name": run.name,
        "note": run.note,
        "state": run.state,
        "data": run.manifest,
        "created": run.created,
        "device": run.device,
        "spec": run.spec.to_json(),
    }
    if run.error:
        facts["error"] = {"kind": run.state, "message": run.error}
    if run.result:
        keys = ("epoch", "epochs", "best_epoch", "seconds", "selection_rule", "val", "test", "environment",
                "test_transductive", "target", "target_labels_used", "oracle", "unreached")  # fmt: skip
        known = {key: run.result[key] for key in keys if key in run.result}
        return facts | known | {"epochs": run.spec.total_epochs, "test": lab.tested(run)}
    now = standing(lab.store, run)
    return facts | {key: now[key] for key in ("epoch", "epochs", "doing", "share", "left")}
