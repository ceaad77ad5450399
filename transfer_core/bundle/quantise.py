"""A smaller, often faster model in 8-bit integers, and what that costs, measured on the spot.

Static quantisation with a scale per output channel (Jacob et al. 2018; Krishnamoorthi 2018), by ONNX Runtime. The
ranges come from training images, never from test images. The head and all behind it stay in float: they cost nothing.
"""

from __future__ import annotations

import logging
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.bundle.graph import INPUT, Session
from transfer_core.bundle.subject import Subject, Tell
from transfer_core.data.images import Pixels
from transfer_core.data.manifest import Row
from transfer_core.evaluation.contest import Contest
from transfer_core.files import atomic_path

CALIBRATION = 96  # training images from which ranges are taken
MOST = 1000  # test images that are measured
BATCH = 8
OPERATORS = [
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "Clip",
    "Relu",
    "MaxPool",
    "GlobalAveragePool",
    "AveragePool",
    "Concat",
]


def quantise(source: Path, target: Path, batches: Iterator[Pixels], about: dict[str, str]) -> None:
    """Write an ONNX file's model in 8 bits; `batches` of images [n, 3, s, s] show which values occur."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out batches."""

        def get_next(self) -> dict[str, Pixels] | None:
            """Return the next one, None behind the last."""
            found = next(batches, None)
            return None if found is None else {INPUT: found}

    level = logging.getLogger().level
    with tempfile.TemporaryDirectory(dir=target.parent) as folder, redirect_stdout(StringIO()):
        logging.getLogger().setLevel(logging.ERROR)
        try:
            plain, small = Path(folder) / "plain.onnx", Path(folder) / "small.onnx"
            quant_pre_process(str(source), str(plain), skip_symbolic_shape=True)
            quantize_static(
                str(plain), str(small), Reader(), quant_format=QuantFormat.QDQ, op_types_to_quantize=OPERATORS,
                per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                nodes_to_exclude=_not_in_features(onnx.load(str(plain))),
            )  # fmt: skip
        finally:
            logging.getLogger().setLevel(level)
        model = onnx.load(str(small))
        onnx.helper.set_model_props(model, about)
        with atomic_path(target) as part:
            part.write_bytes(model.SerializeToString())


def _not_in_features(model: Any) -> list[str]:
    """Return the names of the nodes that the features do not follow from: the head, and the way to probabilities."""
    wanted, found = {"features"}, []
    for node in reversed(model.graph.node):  # against the order of computing
        if wanted & set(node.output):
            wanted |= set(node.input)
        else:
            found.append(node.name)
    return found


def draw_calibration(subject: Subject, count: int = CALIBRATION) -> list[str]:
    """Return training images, drawn by a fixed seed; what training was given as unlabelled target images too."""
    images = [*subject.split.part("train"), *subject.split.part("target_train")]
    order = np.random.default_rng(96).permutation(len(images))[:count]
    return [images[index] for index in order]


def read_batches(subject: Subject, images: Sequence[str], tell: Tell, doing: str) -> Iterator[Pixels]:
    """Yield the prepared pixels of images, a few at a time."""
    for at in range(0, len(images), BATCH):
        tell(doing, at, len(images))
        part = images[at : at + BATCH]
        yield np.stack([subject.prepare(subject.picture(image)) for image in part])


def measure(subject: Subject, models: Sequence[Session], tell: Tell) -> dict[str, Any]:
    """Return what two models, float and int8, make of the same test images: accuracies, difference, milliseconds.

    At most MOST images, drawn by a fixed seed; times by turns, on one image at a time, so that both have the same machine.
    """
    rows = subject.tested()
    order = np.random.default_rng(97).permutation(len(rows))[:MOST]
    chosen = [rows[index] for index in sorted(order)]
    said: list[list[npt.NDArray[Any]]] = [[], []]
    first: Pixels | None = None
    for pixels in read_batches(subject, [row.image for row in chosen], tell, "Measuring the int8 model"):
        first = pixels[:1] if first is None else first
        for own, model in zip(said, models, strict=True):
            own.append(model.say(pixels)[0].argmax(1))
    if first is None:
        return {"n": 0, **_time(models, np.zeros((1, 3, *[subject.backbone.size] * 2), np.uint8))}
    return {**_compare(subject, chosen, *(np.concatenate(each) for each in said)), **_time(models, first)}


def _compare(
    subject: Subject, rows: list[Row], full: npt.NDArray[Any], small: npt.NDArray[Any]
) -> dict[str, Any]:
    classes = subject.manifest.classes
    truth = np.array([classes.index(row.label or "") for row in rows], dtype=np.int64)
    groups = [row.group or row.image for row in rows] if subject.report.grouped else None
    (pair,) = Contest(truth, [small == truth, full == truth], len(classes), groups, "balanced_accuracy").pairs
    return {
        "n": len(rows),
        "accuracy_float": float((full == truth).mean()),
        "accuracy_int8": float((small == truth).mean()),
        "same_class": float((full == small).mean()),
        "balanced_accuracy_difference": pair.gap.value,
        "difference_ci": list(pair.gap.interval),
        "verdict": pair.verdict,
        "resampled": "images" if groups is None else "groups",
    }


def _time(models: Sequence[Session], pixels: Pixels, seconds: float = 4.0) -> dict[str, Any]:
    """Return the median milliseconds an image takes with each of two models, asked by turns, one image at a time."""
    taken: list[list[float]] = [[], []]
    end = time.perf_counter() + seconds
    while len(taken[1]) < 5 or (time.perf_counter() < end and len(taken[1]) < 100):
        for own, model in zip(taken, models, strict=True):
            start = time.perf_counter()
            model.say(pixels)
            own.append(time.perf_counter() - start)
    full, small = (1000 * float(np.median(each[1:])) for each in taken)  # the first asking warms up
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} logical processors"
    return {"ms_float": full, "ms_int8": small, "machine": machine}
