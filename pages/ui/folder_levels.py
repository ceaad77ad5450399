"""What each level of folders means: a row a level, with a choice, and what would come of it."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from pages.ui.text import escape, plural
from transfer_core.data.levels import MEANINGS, Proposal, Scheme, choose, some_names
from transfer_core.runs.intake import Contents

WORDS = {"class": "class", "group": "group", "domain": "domain", "split": "split", "out": "nothing"}
SHOWN = 8  # names of classes or domains
HELP = (
    "Class: what is to be learnt. Group: patient, part or whatever has several images; kept as a hash only. "
    "Domain: site or device. Split: train, val, test."
)


def ask_levels(proposal: Proposal, likely: Scheme) -> Scheme:
    """Ask what each level means, the likely answer chosen; UserError where the answers do not go together."""
    meanings = []
    for number, (names, meaning) in enumerate(zip(proposal.levels, likely.meanings, strict=True), start=1):
        about, answer = st.columns([3, 1], vertical_alignment="center")
        about.markdown(f"**Level {number}** · {plural(len(names), 'name')}, {plural(sum(names.values()), 'file')}: {escape(some_names(names))}")  # fmt: skip
        meanings.append(
            answer.selectbox(
                f"Level {number} is",
                MEANINGS,
                MEANINGS.index(meaning),
                format_func=WORDS.__getitem__,
                label_visibility="collapsed",
                help=HELP,
                key=f"level-{number}",
            )
        )
    without = list(likely.without)
    if proposal.masks:
        without = st.multiselect("Left out", proposal.masks, without, format_func=escape,
                                 help="Drawings that belong to other images.")  # fmt: skip
    return choose(proposal, meanings, without)


def preview_levels(found: Contents, scheme: Scheme) -> None:
    """Show what a scheme makes of the images."""
    images, _ = found.place(scheme)
    st.markdown(f"{escape(found.proposal.tell(scheme))}")
    for noun, values in {
        "class": [each.label for each in images],
        "domain": [each.domain for each in images],
        "part": [each.given for each in images],
    }.items():
        counts = Counter(each for each in values if each)
        if counts:
            names = ", ".join(f"{escape(name)} {n:,}" for name, n in counts.most_common(SHOWN))
            more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
            st.markdown(
                f"**{plural(len(counts), noun, 'classes' if noun == 'class' else '')}**: {names}{more}."
            )
    groups = Counter(each.person for each in images if each.person)
    if groups:
        several = sum(n > 1 for n in groups.values())
        st.markdown(f"**{plural(len(groups), 'group')}**, {several:,} with several images; their names are kept as a hash only.")  # fmt: skip
    none = sum(each.label is None for each in images)
    if none:
        st.markdown(f":material/info: {plural(none, 'image')} without a label.")
    left = len(found.images) - len(images)
    if left:
        st.markdown(f":material/info: {plural(left, 'file')} left out.")
