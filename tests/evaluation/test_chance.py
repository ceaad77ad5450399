"""What does not beat a guess is said not to, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.evaluation.chance import no_better_than_guessing
from transfer_core.evaluation.metrics import make_metrics

CLASSES = ("a", "b", "c")


def figures(truth: np.ndarray, said: np.ndarray) -> dict[str, object]:
    return make_metrics(truth, said, CLASSES).to_json()


@pytest.mark.parametrize("n", [60, 600])
def test_a_guess_is_called_one_however_the_classes_are_shared(n: int) -> None:
    rng = np.random.default_rng(n)
    truth = rng.choice(3, n, p=(0.8, 0.1, 0.1))
    always = np.zeros(n, int)  # right on 80 %
    assert "a guess finds 33 %" in no_better_than_guessing(figures(truth, always))
    called = [bool(no_better_than_guessing(figures(truth, rng.integers(0, 3, n)))) for _ in range(40)]
    assert np.mean(called) > 0.85  # 97.5 % expected of an interval of 95 %


def test_what_beats_a_guess_is_not_called_one() -> None:
    truth = np.arange(300) % 3
    half = np.where(np.arange(300) % 2, truth, (truth + 1) % 3)  # right on half of each class
    assert no_better_than_guessing(figures(truth, half)) == ""
    assert no_better_than_guessing(figures(truth, (truth + 1) % 3))


def test_of_one_class_nothing_is_said() -> None:
    assert no_better_than_guessing(figures(np.zeros(9, int), np.zeros(9, int))) == ""
