"""Golden inputs: a few images, or drawn patterns, with the answers that the exported model must give."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.bundle.subject import Subject
from transfer_core.data.images import Pixels
from transfer_core.data.manifest import Row
from transfer_core.files import write_json

COUNT = 8
LONGEST = 1024  # pixels of a side


def choose_golden(rows: list[Row], count: int = COUNT) -> list[Row]:
    """Return up to `count` images, the classes by turns; always the same ones, whatever the order of the rows."""
    by_class: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.image):
        by_class[row.label or ""].append(row)
    queues = [by_class[name] for name in sorted(by_class)]
    turns = [queue[turn] for turn in range(count) for queue in queues if turn < len(queue)]
    return turns[:count]


def draw_inputs(size: int, count: int = COUNT, seed: int = 0) -> Pixels:
    """Return drawn patterns [count, 3, size, size]: soft colour fields with noise on them, of nobody and nothing."""
    rng = np.random.default_rng([seed, size])
    place = np.linspace(0, 2 * np.pi, size)
    out = []
    for _ in range(count):
        waves = rng.uniform(0.3, 4, (3, 2)), rng.uniform(0, 2 * np.pi, (3, 2))
        fields = [
            np.outer(np.sin(fast * place + a), np.cos(slow * place + b))
            for (fast, slow), (a, b) in zip(*waves, strict=True)
        ]
        values = 128 + 90 * np.stack(fields) + rng.normal(0, 25, (3, size, size))
        out.append(np.rint(values.clip(0, 255)).astype(np.uint8))
    return np.stack(out)


def write_inputs(subject: Subject, folder: Path, with_images: bool) -> tuple[Pixels, list[Row]]:
    """Write the golden inputs, as PNG without a word beside the picture too where images are wanted; return them."""
    folder.mkdir()
    rows = choose_golden(subject.tested()) if with_images else []
    prepared = []
    for number, row in enumerate(rows, start=1):
        picture = subject.picture(row.image)
        picture.thumbnail((LONGEST, LONGEST))
        picture.info = {}
        picture.save(folder / f"{number}.png", "PNG")
        prepared.append(subject.prepare(picture))
    pixels = np.stack(prepared) if prepared else draw_inputs(subject.backbone.size)
    with (folder / "inputs.npz").open("wb") as out:
        np.savez_compressed(out, pixels=pixels)
    return pixels, rows


def write_expected(
    folder: Path,
    classes: tuple[str, ...],
    rows: list[Row],
    chances: npt.NDArray[Any],
    plain: npt.NDArray[Any],
) -> None:
    """Write what the model must say of the golden inputs: probabilities [n, classes], calibrated and plain."""
    cases = []
    for number in range(len(chances)):
        row = rows[number] if rows else None
        cases.append(
            {
                "image": f"{number + 1}.png" if row else None,
                "label": row.label if row else None,
                "class": classes[int(chances[number].argmax())],
                "probabilities": [float(p) for p in chances[number]],
                "plain": [float(p) for p in plain[number]],
            }
        )
    write_json(folder / "expected.json", {"classes": list(classes), "cases": cases})
