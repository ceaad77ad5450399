"""How well the probabilities put one class before the others: ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.ui.charts import show_chart
from pages.ui.state import get_calibration
from pages.ui.text import escape
from transfer_core.evaluation.cases import Cases
from transfer_core.evaluation.decision import Decision
from transfer_core.evaluation.ranking import Curves
from transfer_core.evaluation.report import Report
from transfer_core.evaluation.summary import curves_of
from transfer_core.evaluation.words import coefficient
from transfer_core.runs.run import Run


@st.cache_data(max_entries=32, show_spinner="Drawing the curves")
def _curves(run: str, answered: int, name: str, grouped: bool, _decision: Decision, _cases: Cases) -> Curves:
    return curves_of(_cases, _decision, name, grouped=grouped)


def show_ranking(
    run: Run, report: Report, cases: Cases, support: Mapping[str, int], colours: Mapping[str, str]
) -> None:
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
        found = _curves(run.id, len(cases.rows), name, report.grouped, get_calibration(run), cases)
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
            f"Area under the ROC curve {coefficient(found.roc_area, found.roc_area_ci, 3)}: of an image that is "
            f"{escape(name)} and one that is not, how often the first gets the higher probability.  \n"
            f"Average precision {coefficient(found.average_precision, found.average_precision_ci, 3)}; "
            f"{support[name] / sum(support.values()):.3f} would be chance."
        )
