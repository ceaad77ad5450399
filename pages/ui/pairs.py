"""What a comparison says: who leads and why, a sentence for each pair with it, and a small table of all pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape as html_escape

import streamlit as st

from pages.ui.text import escape, plural
from transfer_core.evaluation.contest import Pair
from transfer_core.evaluation.pair_words import MEASURES, points, sentence, signed
from transfer_core.runs.comparison import Comparison
from transfer_core.runs.lead import Lead
from transfer_core.runs.lead_words import alone, headline, tell_lead
from transfer_core.runs.verdicts import basis

SAID = 6  # sentences at most before the rest is folded away
FEW = 10  # groups
WIDE = 10  # entries beyond which the table of pairs holds signs only
ICONS = {
    "better": ":material/trending_up:",
    "cannot tell": ":material/balance:",
    "worse": ":material/trending_down:",
}
SIGNS = {"better": ("+", "better"), "cannot tell": ("?", "cannot tell"), "worse": ("−", "worse")}

_STYLE = """<style>
.lab-pairs{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
.lab-pairs th,.lab-pairs td{padding:.3rem .5rem;border:1px solid var(--lab-line);text-align:center;font-weight:400}
.lab-pairs th[scope=row]{text-align:left;max-width:22rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.lab-pairs b{font-weight:600}
.lab-pairs .better{box-shadow:inset 3px 0 0 var(--lab-accent);font-weight:600}
.lab-pairs .none{opacity:.4}
.lab-pairs small{display:block;opacity:.75;white-space:nowrap}
@media (max-width:1100px){.lab-pairs th[scope=row]{white-space:normal;min-width:8rem;max-width:12rem}.lab-pairs td{padding:.3rem}}
</style>"""


def show_lead(found: Comparison, lead: Lead, numbers: Mapping[str, int]) -> None:
    """Say who leads and by what, or why none does and whom to take."""

    def name(entry: int) -> str:
        return _name(found, entry, numbers)

    *why, last = tell_lead(found, lead, name, escape)
    st.markdown(f"### {headline(lead, name)}  \n{why[0] if why else last}")
    if why[1:]:
        st.markdown("\n".join(f"- {each}" for each in why[1:]))
    if why:
        st.markdown(last)
    for each in found.caveats:
        st.info(escape(each), icon=":material/info:")


def show_verdicts(found: Comparison, entry: int, numbers: Mapping[str, int]) -> None:
    """Say how an entry compares with every other, and on what that rests; nothing where nothing can be tested."""
    if not found.contest:
        return
    pairs = found.against(entry)
    _say(found, pairs[:SAID], numbers)
    if pairs[SAID:]:
        with st.expander(f"And {plural(len(pairs) - SAID, 'other')}"):
            _say(found, pairs[SAID:], numbers)
    st.caption(
        f"{basis(pairs, once=any(each.seeds == 1 for each in found.entries))} Validation images choose who leads; test images "
        "only confirm it, or speak against it."
    )
    if found.contest.grouped and found.contest.units < FEW:
        st.info(
            f"Only {plural(found.contest.units, 'group')} are held out: so few can prove little. Split again with another seed, "
            "or bring more groups.",
            icon=":material/info:",
        )


def _say(found: Comparison, pairs: Sequence[Pair], numbers: Mapping[str, int]) -> None:
    for pair in pairs:
        first = f"**{numbers[found.entries[pair.first].recipe.id]}**"  # its name stands above
        st.markdown(
            f"{ICONS[pair.verdict]} {sentence(pair, first, _name(found, pair.second, numbers))} {escape(alone(found, pair))}"
        )


def _name(found: Comparison, entry: int, numbers: Mapping[str, int]) -> str:
    recipe = found.entries[entry].recipe
    return f"**{numbers[recipe.id]} {escape(recipe.name)}**"


def show_pairs(found: Comparison, numbers: Mapping[str, int]) -> None:
    """Show for every row and column whether the row is better than the column, where there are three or more."""
    if not found.contest or len(found.entries) < 3:
        return
    order = range(len(found.entries))
    wide = len(found.entries) > WIDE
    head = "".join(f"<th scope='col'>{numbers[each.recipe.id]}</th>" for each in found.entries)
    body = "".join(
        f"<tr><th scope='row' title='{_plain(found, row)}'><b>{numbers[found.entries[row].recipe.id]}</b> {_plain(found, row)}</th>"
        f"{''.join(_cell(found, row, column, wide=wide) for column in order)}</tr>"
        for row in order
    )
    with st.expander(
        "Every pair: is the row better than the column?", icon=":material/grid_on:", expanded=not wide
    ):
        with st.container(key="scroll-pairs"):
            st.html(
                f"{_STYLE}<div style='overflow-x:auto'><table class='lab-pairs'><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
            )
        st.caption(
            "**+** the row is better, **−** it is worse, **?** cannot tell."
            if wide
            else f"Numbers: difference in {MEASURES[found.measure]} on the test images, row less column, in points."
        )


def _cell(found: Comparison, row: int, column: int, *, wide: bool) -> str:
    if row == column or not found.contest:
        return "<td class='none'>·</td>"
    pair = found.contest.pair(row, column)
    sign, word = SIGNS[pair.verdict]
    p = "p < 0.001" if pair.p_corrected < 0.001 else f"p = {pair.p_corrected:.3f}"
    told = f"{word}: {points(pair)}, corrected {p}"
    inside = sign if wide else f"{signed(pair.gap.value)}<small>{word}</small>"
    kind = "better" if pair.verdict == "better" else "other"
    return f"<td class='{kind}' title='{html_escape(told)}'>{inside}</td>"


def _plain(found: Comparison, entry: int) -> str:
    return html_escape(found.entries[entry].name, quote=True)
