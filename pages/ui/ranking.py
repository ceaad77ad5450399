"""How well the probabilities put one class before the others: ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from pages.ui.charts import show_chart
from pages.ui.text import escape
from transfer_core.evaluation.ranking import Curves, make_curves
from transfer_core.evaluation.report import Report


@st.cache_data(max_entries=32, show_spinner="Drawing the curves")
def _curves(run: str, name: str, _report: Report) -> Curves:
    rows = [(row, p) for row, _, p in _report.rows("test") if row.label is not None]
    column = _report.manifest.classes.index(name)
    groups = [row.group or row.image for row, _ in rows] if _report.grouped else None
    scores = np.array([p[column] for _, p in rows], dtype=np.float64)
    return make_curves(scores, np.array([row.label == name for row, _ in rows]), groups)


def show_ranking(run: str, report: Report, support: Mapping[str, int], colours: Mapping[str, str]) -> None:
    """Offer the curves of one class of a run's test images, the rarest first; `support`: test images of each class."""
    possible = [name for name, n in support.items() if 0 < n < sum(support.values())]
    if not possible:
        return
    box = st.expander(
        "How well it ranks: ROC and precision-recall",
        icon=":material/show_chart:",
        on_change="rerun",
        key="ranking",
    )
    if not box.open:
        return
    from transfer_core.figures import ranking_curves  # plotly is slow to import

    with box:
        rarest = min(range(len(possible)), key=lambda index: support[possible[index]])
        name = st.selectbox("Class", possible, index=rarest, key="ranking-class", width=260)
        found = _curves(run, name, report)
        show_chart(
            ranking_curves(
                found.recall,
                found.fallout,
                found.precision,
                support[name] / sum(support.values()),
                colours[name],
            ),
            alt=f"ROC and precision-recall curve of {name}",
        )
        st.markdown(
            f"Area under the ROC curve **{found.roc_area:.3f}** ({_between(found.roc_area_ci)}): of an image that is "
            f"{escape(name)} and one that is not, how often the first gets the higher probability.  \n"
            f"Average precision **{found.average_precision:.3f}** ({_between(found.average_precision_ci)}); "
            f"{support[name] / sum(support.values()):.3f} would be chance."
        )


def _between(ends: tuple[float, float]) -> str:
    if ends[0] == ends[1]:
        return "too few images for an interval"
    return f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}"
