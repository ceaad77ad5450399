"""Compare: which is better, and is the difference real?"""

import streamlit as st

from pages.ui.pairs import show_lead, show_pairs, show_verdicts
from pages.ui.parts import missing, title
from pages.ui.race import describe, show_race, test_images
from pages.ui.side_by_side import show_classes, show_cost, show_depth, show_forest, show_table
from pages.ui.state import choose, chosen, current_run, get_lab, get_manifest, go
from pages.ui.sweep import show_sweep, wishes_of
from pages.ui.text import escape, plural, right_on
from transfer_core.evaluation.chance import no_better_than_guessing
from transfer_core.runs.comparison import MOST, Comparison, compare
from transfer_core.runs.lead import find_lead
from transfer_core.runs.recipes import group_runs
from transfer_core.strategies import get_strategy

FIRST = 6  # recipes shown before anybody chose
lab = get_lab()
wanted = st.session_state.pop("race", None) or st.query_params.get("race")
asked = {*(wanted or "").split(","), chosen("run")}  # a study's runs are there for whoever asks for them
known = {
    run.id: run
    for run in lab.store.runs()
    if (run.result or not run.is_over) and (not run.of_study or run.id in asked)
}
title("Which is better?")
if wanted is None:
    current_run()  # which says so where it is gone
gone = [each for each in (wanted or "").split(",") if each and each not in known]
if gone and len(wanted.split(",")) - len(gone) < 2:
    missing(
        "What this link compares is not here any more, or has no result.",
        "See what runs there are",
        "results/runs.py",
    )
if gone:
    st.warning(
        f"{plural(len(gone), 'run')} of this link {'is' if len(gone) == 1 else 'are'} not here any more, or without a result; "
        "the others are compared.",
        icon=":material/search_off:",
    )
if len(known) < 2:
    missing("Two finished runs are needed to compare.", "Set up a run", "train/new_run.py")

options = {each.id: each for each in group_runs(list(known.values()), test_images)}
home_of = {run.id: recipe.id for recipe in options.values() for run in recipe.runs}
raced = list(dict.fromkeys(home_of[run] for run in (wanted or "").split(",") if run in home_of))
first = raced[0] if raced else home_of.get(chosen("run") or "", next(iter(options)))
same = [each for each in options if test_images(known[each]) == test_images(known[first])]
near = [each for each in options if each not in same and known[each].manifest == known[first].manifest]
others = [each for each in [*same, *near] if each != first]
usual = [each for each in same if each != first] or near[:1]

# The address is the one truth: a value of the widget's own would be a choice behind.
st.session_state["race-picked"] = [first, *usual][:FIRST] if wanted is None else raced[:MOST]
picked = st.multiselect(
    "Runs", list(options), format_func=lambda each: describe(options[each], same=each in same), max_selections=MOST,
    key="race-picked", on_change=lambda: st.query_params.update(race=",".join(st.session_state["race-picked"])),
)  # fmt: skip
if len(picked) < 2 and not others:
    missing("No other run was tested on images of this data set.", "Set up a run", "train/new_run.py")
if len(picked) < 2:
    st.info("Choose two runs or more.", icon=":material/info:")
    st.stop()
st.query_params["race"] = ",".join(picked)
runs = [run for each in picked for run in options[each].runs]
comparable = len({test_images(run) for run in runs}) == 1
if len({run.manifest for run in runs}) > 1:
    st.warning(
        "These runs were tested on different images, of different data sets, so their figures cannot be set side by side. "
        "Take one away, or train on the same data.",
        icon=":material/warning:",
    )
    st.stop()
if not comparable:
    st.warning(
        "These runs were tested on different images, because their splits differ: nothing is tested between them. What is shown "
        "is how each recipe spreads over splits. To compare, run one again on the other's split.",
        icon=":material/warning:",
    )


@st.cache_resource(max_entries=8, show_spinner="Comparing every pair on the same test images")
def compared(
    home: str, facts: tuple[tuple[str, str, str], ...], ended: tuple[str, ...], answers: int
) -> Comparison | None:
    """Return a comparison, kept for all sessions until a run ends, or a name or an answer by hand is added."""
    return compare(lab, [lab.store.get(run) for run, *_ in facts])


recipes = group_runs(runs, test_images if comparable else lambda run: run.manifest)
numbers = {run.id: number for number, recipe in enumerate(recipes, start=1) for run in recipe.runs}
manifest = known[picked[0]].manifest
split = lab.library.get_split(manifest, known[picked[0]].spec.split)
facts = tuple((run.id, run.state, run.name) for run in runs)
ended = tuple(
    run.id for run in lab.store.runs(manifest=manifest) if run.is_over and run.result
)  # twins among them
found = compared(str(lab.home), facts, ended, len(lab.library.answers(manifest)))
if found and len(found.entries) > 1:
    lead = find_lead(found)
    told = lead.ahead if lead.entry is None else lead.entry
    show_lead(found, lead, numbers)
    show_depth(found)
    show_verdicts(found, told, numbers)
    if lead.run:
        test = lab.tested(lead.run)
        if doubt := no_better_than_guessing(test):
            st.warning(f"{escape(lead.run.name)}: {escape(doubt)}", icon=":material/warning:")
        label = f"Take home: {escape(lead.run.name)} ({right_on(test)} of unseen images right)"
        if st.button(label, type="secondary" if doubt else "primary", icon=":material/inventory_2:"):
            choose(run=lead.run.id)
            go("results/take_home.py")
    show_pairs(found, numbers)

st.markdown("#### The race")
show_race(recipes, across=split.rule == "transfer")
if found is None:
    st.caption("The table is here as soon as the first run has been measured on labelled images.")
else:
    st.markdown("#### On unseen images")
    show_forest(found, numbers)
    show_table(found, numbers)
    st.markdown("#### What it costs")
    show_cost(found, numbers)
    if found.contest:
        st.markdown("#### Class by class")
        show_classes(found, told, numbers)
base = known[picked[0]].spec
if get_strategy(base.strategy).freezes != "nothing":
    show_sweep(get_manifest(manifest), split, wishes_of(base))
