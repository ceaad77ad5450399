"""Frozen stages by ONNX Runtime, which on a CPU takes half the time of torch.

A graph is exported once per backbone, piece and size, and kept without weights: those are put in when it is opened, so
that one graph serves the pretrained stages and those that a run has trained or measured. What it computes is compared
with torch when it is made; a piece that cannot be exported, or computes something else, is left to torch for good.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import warnings
from collections.abc import Collection
from contextlib import redirect_stderr, redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from transfer_core.errors import UserError
from transfer_core.files import write_bytes

VERSION = 1
TOLERANCE = 1e-4  # of the range of what torch computes
OPSET = 17
Array = npt.NDArray[np.generic]


def graph_folder(home: Path) -> Path:
    """Return where the graphs of a home lie."""
    return home / "cache" / "graphs"


class _Piece(nn.Module):
    """Stages, and before the first of all the normalisation of 8-bit pixels."""

    def __init__(self, stages: nn.Sequential, mean: Tensor | None, scale: Tensor | None) -> None:
        super().__init__()
        self.stages = stages
        self.mean: Tensor | None
        self.scale: Tensor | None
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.mean is not None and self.scale is not None:
            x = (x.float() - self.mean) * self.scale
        out: Tensor = self.stages(x)
        return out


class OnnxStages:
    """A piece of a backbone that ONNX Runtime computes, for batches of exactly the shape of `example`.

    `stages` are in eval mode with batch-norm folded, on the CPU; `mean` and `scale` [1, 3, 1, 1] where they begin with
    8-bit pixels. `name` tells the architecture: pieces of one name differ in nothing but their weights.
    """

    def __init__(
        self,
        stages: nn.Sequential,
        example: Tensor,
        name: str,
        folder: Path,
        mean: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> None:
        self._piece = _Piece(stages, mean, scale).eval()
        self._example, self._opening = example, threading.Lock()
        facts = [VERSION, OPSET, torch.__version__, list(example.shape), str(example.dtype)]
        facts += [[key, list(each.shape)] for key, each in stages.state_dict().items()]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        self._graph, self._reason = folder / f"{name}-{digest}.onnx", folder / f"{name}-{digest}.txt"

    @property
    def is_known(self) -> bool:
        """Whether it was found out before if ONNX Runtime computes this piece."""
        return self._graph.exists() or self._reason.exists()

    @property
    def problem(self) -> str:
        """Why torch has to compute this piece; "" where ONNX Runtime does. The first time it is found out, in seconds."""
        if not self.is_known:
            problem = self._make()
            write_bytes(self._reason, problem.encode()) if problem else None
        return self._reason.read_text(encoding="utf-8") if self._reason.exists() else ""

    def __call__(self, rows: Array) -> Array:
        """Return what the stages make of rows [n, ...], n being that of the example.

        In the thread that calls and no other: several may call at once, which leaves no core waiting for another.
        """
        with self._opening:
            session = self._session
        out: Array = session.run(None, {"x": rows})[0]
        return out

    @cached_property
    def _session(self) -> Any:
        try:
            return self._open_graph()
        except Exception:  # damaged on the disk, or gone with the cache: it is made again
            if problem := self._make():
                raise UserError(
                    f"The frozen stages cannot be computed any more ({problem}): run the run again.", "engine"
                ) from None
            return self._open_graph()

    def _open_graph(self) -> Any:
        import onnx

        model = onnx.load_model_from_string(self._graph.read_bytes())
        weights = self._weights()
        for each in model.graph.initializer:
            if each.name in weights:
                each.raw_data = weights[each.name].tobytes()
        return _open(model.SerializeToString())

    def _weights(self) -> dict[str, Array]:
        state = self._piece.state_dict(keep_vars=False)
        return {name: np.ascontiguousarray(each.cpu().numpy()) for name, each in state.items()}

    def _make(self) -> str:
        """Export the piece and keep its graph; return what is in the way, "" where nothing is."""
        try:
            exported = _export(self._piece, self._example)
            (made,) = _open(exported).run(None, {"x": self._example.numpy()})
        except Exception as error:  # the exporter and the runtime have many kinds of error
            return f"it cannot be exported ({type(error).__name__})"
        with torch.no_grad():
            wanted = self._piece(self._example).numpy()
        off = float(np.abs(made - wanted).max() / max(float(np.ptp(wanted)), 1e-12))
        if not off <= TOLERANCE:
            return f"what it computes differs by {off:.1e} of the range"
        write_bytes(self._graph, _without_weights(exported, self._weights().keys()))
        return ""


def _open(graph: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _export(piece: nn.Module, example: Tensor) -> bytes:
    out, noise = io.BytesIO(), io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(noise), redirect_stderr(noise), torch.no_grad():
        warnings.simplefilter("ignore")
        # The exporter by tracing: the newer one takes four times as long for the same graph.
        torch.onnx.export(
            piece,
            (example,),
            out,  # type: ignore[arg-type]
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            opset_version=OPSET,
            do_constant_folding=False,  # which would give weights other names
        )
    return out.getvalue()


def _without_weights(graph: bytes, names: Collection[str]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(graph)
    for each in model.graph.initializer:
        if each.name in names:
            each.raw_data = b""
    return bytes(model.SerializeToString())
