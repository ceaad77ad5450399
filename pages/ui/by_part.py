"""How a run does on each domain and on each group, where images name any."""

from __future__ import annotations

import streamlit as st

from pages.ui.opened import opening_chart
from pages.ui.text import escape, interval, percent, plural
from transfer_core.evaluation.cases import Cases, Part, metrics_of_domains
from transfer_core.evaluation.report import Report

WORST = 8  # groups in the chart


@st.cache_data(max_entries=16, show_spinner=False)
def _by(run: str, answered: int, what: str, grouped: bool, _cases: Cases) -> list[Part]:
    return _cases.by(what, grouped=grouped)


@st.cache_data(max_entries=8, show_spinner=False)
def _domain_table(run: str, answered: int, _report: Report, _cases: Cases) -> list[dict[str, object]]:
    told = {name: each.to_json() for name, each in metrics_of_domains(_report, _cases).items()}
    return [
        {
            "Domain": name,
            "Right": percent(each["accuracy"]),
            "interval": interval(each["accuracy_ci"]),
            "Balanced": percent(each["balanced_accuracy"]),
            "interval ": interval(each["balanced_accuracy_ci"]),
            "Macro-F1": percent(each["macro_f1"]),
            "n": each["n"],
        }
        for name, each in told.items()
    ]


def show_parts(run: str, report: Report, cases: Cases) -> None:
    """Show domains and groups, each point opening its images; nothing where there are fewer than two of either."""
    known = {what: _by(run, len(cases.rows), what, report.grouped, cases) for what in ("domain", "group")}
    known = {what: parts for what, parts in known.items() if len(parts) > 1}
    if not known:
        return
    st.markdown("#### Where it does worse")
    st.caption("Open a point to see its images.")
    with st.container(key="wrap-page-parts"):
        places = st.columns(len(known), gap="large")
    for place, (what, parts) in zip(places, known.items(), strict=True):
        with place:
            _chart(run, what, parts)
            if what == "domain":
                table = _domain_table(run, len(cases.rows), report, cases)
                right = st.column_config.TextColumn(alignment="right")
                config = dict.fromkeys([name for name in table[0] if name not in ("Domain", "n")], right)
                st.dataframe(table, hide_index=True, column_config=config, alt="Figures of each domain")


def _chart(run: str, what: str, parts: list[Part]) -> None:
    from transfer_core.figures import interval_points  # plotly is slow to import

    shown = parts[:WORST]
    more = f", the worst {WORST} of {len(parts)}" if len(parts) > WORST else ""
    title = f"Right on each {what}{more} (95 % interval)"
    points = [(f"{part.name} ({part.n})", part.accuracy, part.accuracy_ci) for part in shown]
    stands_for = {f"{part.name} ({part.n})": part.name for part in shown}
    opening_chart(interval_points(title, points, names=stands_for), run, what, f"Accuracy of each {what}")
    worse = [part for part in parts if part.is_worse]
    if worse:
        names = ", ".join(
            f"{escape(part.name)} ({percent(part.accuracy)} of {part.n:,})" for part in worse[:WORST]
        )
        st.caption(f"Worse than chance explains among {plural(len(parts), what)}: {names}.")
    else:
        st.caption(f"No {what} does worse than chance explains among {len(parts)}.")
