"""From a finished run to its bundle: gathers the facts, and keeps a packed copy for the page to hand out."""

from __future__ import annotations

import shutil
import threading
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer_core.errors import UserError
from transfer_core.files import atomic_path, read_json, read_kept, write_json
from transfer_core.runs.caveats import caveats, compared_as_they_stand
from transfer_core.runs.helper import Helper
from transfer_core.runs.lab import Lab
from transfer_core.runs.store import Run
from transfer_core.strategies import get_strategy
from transfer_core.training.events import EpochEnded

if TYPE_CHECKING:
    from transfer_core.bundle.subject import Options, Subject, Tell
    from transfer_core.bundle.verify import Verdict

PACKED, RECEIPT, PROGRESS = "bundle.zip", "bundle.json", "bundle-progress.json"
WISHED = ("thresholds", "refer_below", "coverage")  # the fields of Wishes, as a bundle holds them


def export_bundle(lab: Lab, run: Run, folder: Path, options: Options, tell: Tell) -> Verdict:
    """Write a run's bundle into a folder and return its self-test; UserError as `make_bundle`."""
    from transfer_core.bundle.make import check_folder, make_bundle
    from transfer_core.runs.predictor import Predictor

    check_folder(folder)  # before anything that takes time
    subject = make_subject(lab, run)
    return make_bundle(subject, Predictor(lab.store, run).model, folder, options, tell)


def make_subject(lab: Lab, run: Run) -> Subject:
    """Return the facts of a finished run that a bundle is made of."""
    from transfer_core.bundle.subject import Epoch, Subject

    if not run.result:
        raise UserError(f"Run {run.id} is {run.state} and has no model yet: let it finish first.", "no-model")
    ends = [
        event
        for _, _, event in lab.store.events(run.id, kinds=["EpochEnded"])
        if isinstance(event, EpochEnded)
    ]
    split = lab.library.get_split(run.manifest, run.spec.split)
    return Subject(
        run=run.id,
        name=run.name or run.id,
        made=time.strftime("%Y-%m-%d", time.gmtime(run.created)),
        strategy=get_strategy(run.spec.strategy).title,
        spec=run.spec.to_json(),
        backbone=run.spec.make_backbone(),
        views=run.spec.seen_views,
        library=lab.library,
        split=split,
        report=lab.report(run),
        decision=lab.decision(run),
        result=run.result,
        test=lab.tested(run),
        epochs=[Epoch(each.epoch, each.train, each.val) for each in ends],
        note=lab.library.about(run.manifest).note,
        verdict=lab.verdict(run),
        cut_short=compared_as_they_stand(run, lab.twin(run)),
        adapted=lab.is_adapted(run),
        caveats=caveats(run, split),
    )


def pack_bundle(lab: Lab, run: Run, options: Options) -> None:
    """Make a run's bundle and keep it, packed, in the run's folder; how far it is stands in a file beside it."""
    from transfer_core.bundle.make import zip_bundle
    from transfer_core.bundle.verify import read_about

    own = lab.store.folder(run.id)

    def tell(doing: str, done: int, total: int) -> None:
        write_json(own / PROGRESS, {"doing": doing, "done": done, "total": total})

    folder = own / "bundle"
    try:
        shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
        verdict = export_bundle(lab, run, folder, options, tell)
        tell("Packing", 0, 0)
        with atomic_path(own / PACKED) as part:
            zip_bundle(folder, part, f"transfer-lab-{run.id}")
        about = read_about(folder)
        kept = {key: about.get(key) for key in ("made", "int8", "agreement_with_report", "golden")}
        wishes = {key: about["decision"][key] for key in WISHED}  # of when it was begun, not of now
        write_json(
            own / RECEIPT,
            {
                **kept,
                "verdict": verdict.to_json(),
                "options": asdict(options),
                "wishes": wishes,
                "files": sorted(about["files"]),
            },
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (own / PROGRESS).unlink(missing_ok=True)


class Packer:
    """Makes bundles behind the pages, each in a process of its own, so that a refresh loses nothing and nobody waits."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._working: dict[str, float] = {}  # run -> when it began
        self._errors: dict[str, str] = {}

    def start(self, run: str, options: Options) -> None:
        """Begin with a run's bundle; nothing happens where one is being made."""
        with self._lock:
            if run in self._working:
                return
            self._working[run] = time.monotonic()
            self._errors.pop(run, None)
        threading.Thread(target=self._work, args=(run, asdict(options)), daemon=True).start()

    def _work(self, run: str, options: dict[str, bool]) -> None:
        helper = Helper(self._home)
        try:
            helper.pack(run, options)
        except UserError as error:
            self._errors[run] = str(error)
        finally:
            helper.close()
            del self._working[run]

    def is_working(self, run: str) -> bool:
        """Tell whether a run's bundle is being made."""
        return run in self._working

    def seconds(self, run: str) -> float:
        """Return how long a run's bundle has been in the making; 0 where none is."""
        return time.monotonic() - self._working.get(run, time.monotonic())

    def error(self, run: str) -> str:
        """Return why the last bundle of a run was not made; nothing where it was."""
        return self._errors.get(run, "")

    def standing(self, run: str) -> dict[str, Any]:
        """Return what is being done, how much of it is done, of how much."""
        try:
            return dict(read_json(self._home / "runs" / run / PROGRESS))
        except (OSError, ValueError):
            return {"doing": "Starting", "done": 0, "total": 0}


@dataclass(frozen=True)
class Packed:
    """A bundle that is ready: where its zip lies, and what was found when it was made."""

    path: Path
    receipt: dict[str, Any]

    def read(self, name: str) -> bytes:
        """Return one of its files."""
        with zipfile.ZipFile(self.path) as packed:
            (inside,) = (each for each in packed.namelist() if each.partition("/")[2] == name)
            return packed.read(inside)


def find_packed(lab: Lab, run: Run) -> Packed | None:
    """Return a run's bundle where there is one."""
    own = lab.store.folder(run.id)
    receipt: dict[str, Any] = read_kept(own / RECEIPT, {})
    return Packed(own / PACKED, receipt) if receipt and zipfile.is_zipfile(own / PACKED) else None
