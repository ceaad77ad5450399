"""The network as an ONNX file: written, stripped of what it says of this machine, opened and asked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.images import Pixels
from transfer_core.errors import UserError
from transfer_core.files import atomic_path

INPUT = "pixels"
OUTPUTS = ("probabilities", "plain", "features")
BATCH = 16
Floats = npt.NDArray[np.float32]
Said = tuple[Floats, Floats, Floats]  # probabilities [n, classes], plain ones, features [n, d]


def write_onnx(network: Any, size: int, path: Path, about: Mapping[str, str]) -> None:
    """Write a `Portable` network as ONNX, for any number of images at once; `about` stands in its metadata."""
    import io

    import onnx
    import torch

    example = torch.zeros((2, 3, size, size), dtype=torch.uint8)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own making
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes={"pixels": {0: torch.export.Dim("images", min=1)}},
            external_data=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    onnx.helper.set_model_props(model, dict(about))
    with atomic_path(path) as part:
        part.write_bytes(model.SerializeToString())


def _strip(model: Any) -> None:
    """Take out what the exporter noted of the source code and its place on the disk, and name the batch in words."""
    model.graph.name = "classifier"
    for graph in (model.graph, *model.functions):
        for node in graph.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
        for value in graph.value_info:
            value.ClearField("metadata_props")
        graph.ClearField("metadata_props")
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")


class Session:
    """An ONNX file, opened with ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            # From memory: a file from elsewhere then cannot name other files of this disk.
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception:  # the runtime has many kinds of error for a file that is none
            raise UserError(
                f"{path.name} is damaged or no ONNX file: export it again.", "bad-bundle"
            ) from None
        self.about = dict(self._session.get_modelmeta().custom_metadata_map)
        names = tuple(each.name for each in self._session.get_outputs())
        if [each.name for each in self._session.get_inputs()] != [INPUT] or names != OUTPUTS:
            message = f"{path.name} is not a model of this app: it takes or returns something else."
            raise UserError(message, "bad-bundle")

    def say(self, pixels: Pixels) -> Said:
        """Return what the model makes of images [n, 3, s, s] uint8."""
        parts = [
            self._session.run(None, {INPUT: pixels[at : at + BATCH]}) for at in range(0, len(pixels), BATCH)
        ]
        first, second, third = (np.concatenate(each) for each in zip(*parts, strict=True))
        return first, second, third
