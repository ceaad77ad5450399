"""Many files, one after the other through a model: read in processes beside this one, seen in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.data.crew import MANY, Crew
from transfer_core.data.ingest import Candidate
from transfer_core.data.manifest import Problem
from transfer_core.data.preparation import Preparation, Prepared, lost
from transfer_core.evaluation.unknown import Familiar
from transfer_core.runs.answers import Answer

if TYPE_CHECKING:
    from transfer_core.runs.predictor import Predictor

BATCH = 32  # pictures: enough to keep several cores at work
Item = Candidate | Problem  # a file to be read, or one that was left out before
Found = list[tuple[Answer, bytes]]  # answers, each with a picture to look at


def predict_many(
    predictor: Predictor,
    items: Sequence[Item],
    familiar: Familiar | None,
    start: int = 0,
    *,
    shows: bool = True,
) -> Iterator[tuple[int, Found]]:
    """Yield (files done so far, what came of the latest ones) for files from the `start`-th on, in their order.

    `shows`: whether pictures to look at are wanted.

    A file that cannot be read is an answer with its problem, and the rest goes on.
    """
    waiting: list[tuple[int, Prepared | Problem]] = []
    rest = items[start:]
    many = len(rest) >= MANY
    with Crew(len(rest)) as crew:
        work = partial(_read, replace(predictor.preparation, shows=shows))
        for number, results in enumerate(crew.each(work, rest, _lost), start=start):
            waiting += [(number, each) for each in results]
            if sum(isinstance(each, Prepared) for _, each in waiting) >= BATCH:
                yield number + 1, _answer(predictor, waiting, familiar, many=many)
                waiting = []
    if waiting:
        yield len(items), _answer(predictor, waiting, familiar, many=many)


def _read(preparation: Preparation, item: Item) -> Sequence[Prepared | Problem]:
    return [item] if isinstance(item, Problem) else preparation.read(item)


def _lost(item: Item) -> Sequence[Prepared | Problem]:
    return [item] if isinstance(item, Problem) else lost(item)


def _answer(
    predictor: Predictor,
    waiting: Sequence[tuple[int, Prepared | Problem]],
    familiar: Familiar | None,
    *,
    many: bool,
) -> Found:
    pictures = [each for _, each in waiting if isinstance(each, Prepared)]
    chances: Iterator[list[float]] = iter(())
    p_values: Iterator[float] = iter(())
    if pictures:
        pixels = np.stack([each.pixels for each in pictures])
        seen = predictor.look(pixels, many=many)
        chances = iter(seen.probabilities.tolist())
        if familiar:
            far = familiar.distances(predictor.to_compare(pixels, seen))
            p_values = iter(familiar.p_values(far).tolist())
    found: Found = []
    for number, each in waiting:
        if isinstance(each, Problem):
            found.append((Answer(number, each.file, problem=each.message, kind=each.kind), b""))
        else:
            answer = Answer(number, each.file, tuple(next(chances)), next(p_values, None))
            found.append((answer, each.shown))
    return found
