"""A table of labels: what each of its columns means, and what would come of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import streamlit as st

from pages.ui.text import escape, plural
from transfer_core.data.column_names import names_person
from transfer_core.data.ingest import Candidate
from transfer_core.data.label_table import (
    Columns,
    Table,
    guess_domain,
    guess_group,
    guess_label,
    guess_path,
    lay_over,
    settle,
)
from transfer_core.data.problems import count_problems
from transfer_core.errors import UserError

NAMED = 3  # files of a kind of problem that are named
KINDS = {
    "missing": ("row", "for a file that was not brought"),
    "outside": ("row", "for a place outside the images"),
    "unclear": ("row", "for a name that several files have"),
    "conflict": ("image", "with two classes in the table"),
    "not-in-table": ("image", "that the table does not name"),
}


def ask_columns(table: Table, images: list[Candidate]) -> Columns | None:
    """Ask what each column means, the likely answer chosen; None as long as nobody said which names the classes."""
    names, none = list(table.columns), "none"
    path = guess_path(table, images)
    group = guess_group(table, {path})
    domain = guess_domain(table, {path, group or ""})
    try:
        label = guess_label(table, {path, group or "", domain or ""})
    except UserError:
        label = None
    places = st.columns(4)
    path = places[0].selectbox("File names", names, index=names.index(path))
    said = places[1].selectbox("Classes", names, index=names.index(label) if label else None,
                               placeholder="choose the column")  # fmt: skip
    groups = places[2].selectbox("Groups", [none, *names], index=names.index(group) + 1 if group else 0,
                                 help="Patient, part or module, if a column names it.")  # fmt: skip
    domains = places[3].selectbox("Domains", [none, *names], index=names.index(domain) + 1 if domain else 0,
                                  help="Site or device, if a column names it.")  # fmt: skip
    if said is None:
        st.info("Several columns could name the classes: choose one.", icon=":material/help:")
        return None
    columns = settle(
        table, Columns(path, said, *(None if each == none else each for each in (domains, groups)))
    )
    rest = [name for name in names if name not in columns.used]
    extra: list[str] = list(columns.extra or ())
    if rest:
        extra = st.multiselect(
            "Further columns to keep", rest, extra, format_func=escape,
            help="As further labels of the images. All other columns are forgotten once the images are read.",
        )  # fmt: skip
    persons = [name for name in extra if names_person(name)]
    if persons:
        st.warning(f"{escape(', '.join(persons))} may name persons, and would be kept as it is.", icon=":material/person_alert:")  # fmt: skip
    if columns.group and names_person(columns.group):
        st.caption(
            f":material/lock: What {escape(columns.group)} says is kept as a salted hash only: it tells that images "
            "belong together, and not whose they are."
        )
    return replace(columns, extra=tuple(extra))


def preview_table(table: Table, columns: Columns, candidates: list[Candidate]) -> bool:
    """Show what the table would do; return whether it says anything."""
    told, problems = lay_over(table, columns, candidates)
    counts = Counter(each.label for each in told if each.label)
    st.dataframe([dict(zip(table.columns, row, strict=True)) for row in table.rows[:5]], hide_index=True)
    if counts:
        shown = ", ".join(f"{escape(label)} {n:,}" for label, n in counts.most_common(8))
        more = f" and {len(counts) - 8} more" if len(counts) > 8 else ""
        st.markdown(f"**{counts.total():,} of {plural(len(told), 'image')}** get a class: {shown}{more}.")
    for kind, n in count_problems(problems).most_common():
        first = [each.file for each in problems if each.kind == kind and each.file][:NAMED]
        shown = escape(", ".join(first)) + (", ..." if n > NAMED else "")
        st.markdown(f":material/info: {plural(n, KINDS[kind][0])} {KINDS[kind][1]}: {shown}")
    return bool(counts)
