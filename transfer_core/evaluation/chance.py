"""Whether figures are shown to be better than guessing at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def no_better_than_guessing(test: Mapping[str, Any]) -> str:
    """Return in a sentence that the test images do not show it better than guessing; "" where they do.

    Whoever guesses finds, on average, as large a share of each class as there are classes: one half of two, whatever
    their shares, also by always saying the commonest. So it is balanced accuracy [0, 1] that is compared, by the
    lower end of its 95 % interval.
    """
    classes = sum(each["support"] > 0 for each in test["per_class"])
    if classes < 2:
        return ""
    low, high = test["balanced_accuracy_ci"] or [test["balanced_accuracy"]] * 2
    if low > 1 / classes:
        return ""
    return (
        f"These images do not show it to be better than guessing: a guess finds {100 / classes:.0f} % of each class on average, and the "
        f"95 % interval of balanced accuracy, {100 * low:.1f} to {100 * high:.1f} %, does not lie above that."
    )
