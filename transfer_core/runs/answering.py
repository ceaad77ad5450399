"""What the helper process does with a request: a table from what is asked to who answers it."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transfer_core.errors import UserError
from transfer_core.runs.explaining import EXPLAINED, answer_why
from transfer_core.runs.predictor import Predictor
from transfer_core.runs.store import ACTIVE, RunStore

KEPT = 3  # models in memory
Request = dict[str, Any]


class Answering:
    """Answers requests of a server for one home; the models used last stay in memory."""

    def __init__(self, home: Path) -> None:
        self._home, self._store = home, RunStore(home)
        self._models: OrderedDict[str, Predictor] = OrderedDict()
        self._answers: dict[str, Callable[[Request], dict[str, Any]]] = {
            "predict": self._predict,
            "job": self._job,
            "pack": self._pack,
            "study": self._study,
            "weights": self._weights,
            "try": self._try,
            **dict.fromkeys(EXPLAINED, self._explain),
        }

    def answer(self, request: Request) -> dict[str, Any]:
        """Return the answer to a request, {"error": {"kind", "message"}} where it failed; never raises."""
        try:
            return self._answers[request["do"]](request)
        except UserError as error:
            return {"error": {"kind": error.kind, "message": str(error)}}
        except Exception as error:
            text = f"The helper failed with an unexpected error ({type(error).__name__})."
            return {"error": {"kind": "helper", "message": text}}

    def model(self, run: str) -> Predictor:
        """Return a run's model."""
        if run not in self._models:
            self._models[run] = Predictor(self._store, self._store.get(run))
            while len(self._models) > KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(run)
        return self._models[run]

    def _predict(self, request: Request) -> dict[str, Any]:
        model = self.model(request["run"])
        predictions, problems = [], []
        for name, packed in request["files"].items():
            try:
                predictions.append(model.predict_bytes(name, base64.b64decode(packed)).to_json())
            except UserError as error:
                problems.append({"file": name, "kind": error.kind, "message": str(error)})
        return {"predictions": predictions, "problems": problems}

    def _job(self, request: Request) -> dict[str, Any]:
        from transfer_core.runs.prediction_worker import work_off

        work_off(self._home, request["job"], self.model)
        return {}

    def _pack(self, request: Request) -> dict[str, Any]:
        from transfer_core.bundle.subject import Options
        from transfer_core.runs.lab import Lab
        from transfer_core.runs.take_home import pack_bundle

        pack_bundle(Lab(self._home), self._store.get(request["run"]), Options(**request["options"]))
        return {}

    def _study(self, request: Request) -> dict[str, Any]:
        from transfer_core.runs.probing import study_curve, study_labels

        return {"labels": study_labels, "curve": study_curve}[request["what"]](
            self._store, self._store.get(request["run"])
        )

    def _weights(self, request: Request) -> dict[str, Any]:
        from transfer_core.models.backbones import get_backbone
        from transfer_core.models.weights import add_weights_file

        return {
            "note": add_weights_file(get_backbone(request["backbone"]), Path(request["path"]), self._home)[1]
        }

    def _try(self, request: Request) -> dict[str, Any]:
        from transfer_core.data.library import Library
        from transfer_core.models.memory import give_back
        from transfer_core.training.forecast import keep_pace
        from transfer_core.training.spec import RunSpec
        from transfer_core.training.trial import try_out

        if not self._store.runs(states=ACTIVE):
            spec = RunSpec.from_json(request["spec"])
            pace = try_out(spec, Library(self._home), request["stored"])
            give_back()  # training needs the memory
            if not self._store.runs(states=ACTIVE):  # else something else was computed meanwhile
                keep_pace(self._home, spec, pace)
        return {}

    def _explain(self, request: Request) -> dict[str, Any]:
        return answer_why(self.model, self._store, request)
