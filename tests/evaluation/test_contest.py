"""Many models on the same images: intervals cover, groups and seeds widen them, and no false alarm is bought by trying."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

from transfer_core.evaluation import resample
from transfer_core.evaluation.contest import Contest

Drawn = tuple[np.ndarray, list[np.ndarray]]


def draw(rng: np.random.Generator, n: int, *rates: float) -> Drawn:
    """Three classes of different sizes, and models that are right at these rates."""
    truth = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return truth, [rng.random((1, n)) < rate for rate in rates]


def test_values_are_scikit_learns() -> None:
    truth, right = draw(np.random.default_rng(0), 240, 0.9, 0.7, 0.8)
    said = [np.where(each[0], truth, (truth + 1) % 3) for each in right]
    found = Contest(truth, right, 4)  # of the fourth class there is no image
    pair = found.pair(2, 1)

    def gap(score, **how):
        return score(truth, said[2], **how) - score(truth, said[1], **how)

    assert pair.accuracy.value == pytest.approx(gap(accuracy_score), abs=1e-9)
    assert pair.balanced_accuracy.value == pytest.approx(gap(balanced_accuracy_score), abs=1e-9)
    *recalls, absent = found.recalls(2, 1)
    assert absent is None
    wanted = gap(recall_score, average=None, labels=[0, 1, 2])
    assert [each.value for each in recalls] == pytest.approx(list(wanted), abs=1e-9)
    only = int((right[2] & ~right[1]).sum()), int((right[1] & ~right[2]).sum())
    assert (pair.only_first, pair.only_second, pair.test) == (*only, "mcnemar")
    assert pair.p == pytest.approx(binomtest(only[0], sum(only), 0.5).pvalue)


def test_the_order_asked_does_not_matter() -> None:
    truth, right = draw(np.random.default_rng(1), 300, 0.9, 0.7)
    found = Contest(truth, right, 3)
    one, other = found.pair(0, 1), found.pair(1, 0)
    assert (one.verdict, other.verdict) == ("better", "worse")
    assert other.accuracy.value == -one.accuracy.value
    assert other.accuracy.interval == (-one.accuracy.interval[1], -one.accuracy.interval[0])
    assert (other.only_first, other.p_corrected) == (one.only_second, one.p_corrected)


def test_the_standard_error_is_that_of_the_textbook() -> None:
    """For independent images the bootstrap has a closed form: the variance of the differences over n."""
    truth, right = draw(np.random.default_rng(2), 500, 0.9, 0.8)
    low, high = Contest(truth, right, 3).pairs[0].accuracy.interval
    differences = right[0][0].astype(float) - right[1][0]
    assert (high - low) / 2 == pytest.approx(1.965 * differences.std(ddof=1) / 500**0.5, rel=0.05)


def test_intervals_cover() -> None:
    """Of 600 experiments with true differences of 0.1 and 0.05, intervals hold them in 93 to 97 %."""
    rng, hits = np.random.default_rng(3), np.zeros(2)
    for _ in range(600):
        truth, right = draw(rng, 300, 0.85, 0.75, 0.80)
        found = Contest(truth, right, 3)
        for index, (pair, gap) in enumerate(((found.pair(0, 1), 0.1), (found.pair(0, 2), 0.05))):
            low, high = (pair.accuracy if index else pair.balanced_accuracy).interval
            hits[index] += low <= gap <= high
    assert np.all((hits / 600 >= 0.93) & (hits / 600 <= 0.97)), hits


def test_intervals_cover_where_groups_err_together() -> None:
    """30 groups of 12 images; in some groups the second model fails. The interval by image would not cover."""
    rng, hits, naive = np.random.default_rng(4), 0, 0
    groups = np.repeat([f"g{each}" for each in range(30)], 12)
    for _ in range(600):
        truth = rng.integers(0, 2, 360)
        bad = np.repeat(rng.random(30) < 0.3, 12)
        right = [rng.random((1, 360)) < 0.9, rng.random((1, 360)) < np.where(bad, 0.6, 0.9)]
        for by, add in ((list(groups), 1), (None, 0)):
            low, high = Contest(truth, right, 2, by).pairs[0].accuracy.interval
            inside = low <= 0.09 <= high
            hits, naive = hits + add * inside, naive + (1 - add) * inside
    assert 0.93 <= hits / 600 <= 0.97
    assert naive < hits


def test_intervals_cover_where_seeds_differ() -> None:
    """Four seeds each, whose rates scatter by 2 points: what is estimated is the mean over all seeds there could be."""
    rng, hits, means = np.random.default_rng(5), 0, 0
    for _ in range(400):
        truth = rng.integers(0, 2, 250)
        rates = [rng.normal(rate, 0.02, (4, 1)) for rate in (0.85, 0.80)]
        found = Contest(truth, [rng.random((4, 250)) < each for each in rates], 2)
        low, high = found.pairs[0].accuracy.interval
        hits += low <= 0.05 <= high
        low, high = found.figure(0, "accuracy").interval
        means += low <= 0.85 <= high
    assert 0.93 <= hits / 400 <= 0.97
    assert 0.93 <= means / 400 <= 0.97


def test_trying_many_equals_raises_no_false_alarm() -> None:
    """Six equally good models, 15 pairs: in at most about 5 % of experiments is any pair called different."""
    rng, alarms = np.random.default_rng(6), {"image": 0, "group": 0}
    groups = [f"g{each // 8}" for each in range(240)]
    for _ in range(150):
        truth = rng.integers(0, 2, 240)
        right = [rng.random((1, 240)) < 0.85 for _ in range(6)]
        for name, by in (("image", None), ("group", groups)):
            alarms[name] += any(each.verdict != "cannot tell" for each in Contest(truth, right, 2, by).pairs)
    assert max(alarms.values()) <= 0.07 * 150


def test_held_intervals_are_wider_by_how_many_are_shown() -> None:
    truth, right = draw(np.random.default_rng(7), 300, 0.9, 0.8, 0.85, 0.7)
    two, four = Contest(truth, right[:2], 3).pairs[0], Contest(truth, right, 3).pair(0, 1)
    assert two.accuracy.held == two.accuracy.interval
    assert four.accuracy.held[0] < four.accuracy.interval[0]
    assert (four.pairs, len(Contest(truth, right, 3).pairs)) == (6, 6)
    assert four.p == two.p
    assert four.p_corrected >= two.p_corrected


def test_verdicts_and_what_is_missing() -> None:
    truth = np.arange(400) % 2
    best = np.ones((1, 400), bool)
    worst, alike = best.copy(), best.copy()
    worst[0, ::4] = False
    alike[0, :3] = False
    found = Contest(truth, [best, worst, alike, best], 2)
    assert (found.pair(0, 1).verdict, found.pair(0, 1).more) == ("better", None)
    doubtful = found.pair(0, 2)
    assert doubtful.verdict == "cannot tell", "3 images are no proof, whatever the bootstrap draws"
    assert doubtful.more
    same = found.pair(0, 3)
    assert (same.verdict, same.more, same.p) == ("cannot tell", None, 1.0)
    low, high = same.accuracy.interval
    assert -0.01 < low < 0 < high < 0.01, "400 images alike leave room for others, a little"


@pytest.mark.parametrize("n", [2, 5, 6, 30])
def test_images_that_are_all_alike_have_the_exact_interval(n: int) -> None:
    found = Contest(np.zeros(n, int), [np.ones((1, n), bool), np.zeros((1, n), bool)], 1)
    exact = binomtest(n, n).proportion_ci(method="exact")
    assert found.figure(0, "accuracy").interval == pytest.approx((exact.low, 1.0))
    (gap,) = found.recalls(0, 1)
    # As the sign test has it: that five differ in one direction happens by chance, that six do does not.
    assert (gap.interval[0] > 0) == (binomtest(n, n).pvalue < 0.05)
    assert gap.interval[1] == 1.0


def test_few_groups_prove_nothing() -> None:
    truth = np.arange(40) % 2
    right = [np.ones((1, 40), bool), np.zeros((1, 40), bool)]
    for groups in (["all"] * 40, [f"g{each % 4}" for each in range(40)]):
        assert Contest(truth, right, 2, groups).pairs[0].verdict == "cannot tell"
    assert Contest(truth, right, 2, [f"g{each % 10}" for each in range(40)]).pairs[0].verdict == "better"


def test_seeds_that_scatter_make_it_unsure() -> None:
    rng = np.random.default_rng(8)
    truth = rng.integers(0, 2, 2_000)
    steady = [rng.random((3, 2_000)) < rate for rate in (0.86, 0.82)]
    scattered = [
        rng.random((3, 2_000)) < np.array([[rate - 0.06], [rate], [rate + 0.06]]) for rate in (0.86, 0.82)
    ]
    sure, unsure = (Contest(truth, right, 2).pairs[0] for right in (steady, scattered))
    assert (sure.verdict, sure.test) == ("better", "seeds")
    assert (unsure.verdict, unsure.needs_seeds, unsure.more) == ("cannot tell", True, None)


def test_bundles_of_many_images_give_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    truth, right = draw(rng, 3_000, 0.9, 0.88, 0.5, 0.6, 0.7, 0.8)
    whole = Contest(truth, right, 3).pair(0, 1).accuracy.interval
    monkeypatch.setattr(resample, "KINDS", 60)
    bundled = Contest(truth, right, 3).pair(0, 1).accuracy.interval
    assert np.ptp(bundled) == pytest.approx(np.ptp(whole), rel=0.25)
    monkeypatch.setattr(resample, "CELLS", 50)
    in_steps = Contest(truth, right, 3).pair(0, 1).accuracy.interval
    assert np.ptp(in_steps) == pytest.approx(np.ptp(bundled), rel=0.1)
