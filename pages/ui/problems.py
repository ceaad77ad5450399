"""What was wrong with single files, apart from what is only worth knowing of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from pages.ui.text import plural
from transfer_core.data.images import SUFFIXES
from transfer_core.data.manifest import Problem
from transfer_core.data.problems import count_problems

# Nothing was lost by these, or it was meant so.
NOTES = {
    "duplicate",
    "frames",
    "table",
    "not-finite",
    "depth",
    "dicomdir",
    "bands",
    "range",
    "beyond-range",
    "empty-folder",
    "not-in-table",
}
ELSEWHERE = {"small-class", "conflict"}  # stand under what stands out, with their images and a remedy
ROWS = 12  # of a table that is shown whole


def sort_problems(problems: Iterable[Problem]) -> tuple[list[Problem], list[Problem]]:
    """Return the problems that somebody should mend, and the notes; without those that the health check shows."""
    found: tuple[list[Problem], list[Problem]] = [], []
    for each in problems:
        if each.kind not in ELSEWHERE:
            found[_is_note(each)].append(each)
    return found


def _is_note(problem: Problem) -> bool:
    """Tell whether nothing was lost: a text beside the images is one, a file that is called an image and is none is not."""
    other = not problem.file.lower().endswith((*SUFFIXES, ".zip"))
    return problem.kind in NOTES or (problem.kind == "wrong-type" and other)


def show_problems(problems: Sequence[Problem], notes: Sequence[Problem]) -> None:
    """Show both as tables; how many rows there are is said where not all are seen at once."""
    if problems:
        st.markdown("#### Problems")
        st.caption(
            "The rest was taken in. Mend these files and bring the folder again; nothing is lost by it."
        )
        _table(problems, "What is wrong")
    if notes:
        with st.expander(
            f"Good to know ({plural(count_problems(notes).total(), 'note')})", icon=":material/info:"
        ):
            st.caption("Nothing has to be done about these.")
            _table(notes, "Note")


def _table(problems: Sequence[Problem], what: str) -> None:
    rows = [{"File": each.file, what: each.message} for each in problems]
    if len(rows) <= ROWS:
        st.dataframe(rows, hide_index=True, height="content")
    else:
        st.dataframe(rows, hide_index=True, height=35 * (ROWS + 1))
        n = count_problems(problems).total()
        rest = f", as examples of {n:,}" if n > len(rows) else ""
        st.caption(f"{len(rows):,} rows{rest}: scroll in the table to see all.")
