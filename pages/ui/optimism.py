"""The optimism gap: how much better a random split looks than one that keeps groups together."""

from __future__ import annotations

from statistics import mean

import streamlit as st

from pages.ui.following import follow, now_or_next
from pages.ui.state import choose, draw_split, get_lab, go
from pages.ui.text import percent
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Rule
from transfer_core.errors import UserError
from transfer_core.runs.run import STUDY, Run
from transfer_core.training.rules import make_spec
from transfer_core.training.spec import RunSpec

PROBE = "feature_extraction"
SEEDS = (0, 1, 2)
RULES: tuple[Rule, ...] = ("image", "group")


def show_optimism(manifest: Manifest) -> None:
    """Show the gap where it was measured, and offer to measure it where there are groups enough."""
    known = {run.spec.id: run for run in reversed(get_lab().store.runs(manifest=manifest.id))}
    probes = [run for run in known.values() if run.spec.strategy == PROBE]
    if len(probes) < len(SEEDS) * len(
        RULES
    ):  # the splits need not be drawn to know that it was not asked yet
        _ask(manifest)
        return
    try:
        specs = {rule: [_spec(manifest, rule, seed) for seed in SEEDS] for rule in RULES}
    except UserError:
        return  # too few groups or images for it
    runs: list[Run | None] = [known.get(spec.id) for each in specs.values() for spec in each]
    done = [run for run in runs if run and run.result]
    if len(done) == len(runs):
        _tell({rule: [known[spec.id] for spec in each] for rule, each in specs.items()})
    elif watched := now_or_next(run for run in runs if run):
        follow([run for run in runs if run])
        st.caption(
            f":material/hourglass: How much a random split flatters is being measured: {len(done)} of {len(runs)} done."
        )
        if st.button("Watch it", type="tertiary", icon=":material/monitoring:"):
            choose(run=watched.id)
            go("train/live.py")
    else:
        _ask(manifest)


def _ask(manifest: Manifest) -> None:
    if not st.button("How much would a random split flatter?", icon=":material/query_stats:",
                     help="Trains six quick linear probes: three random splits, three that keep groups together."):  # fmt: skip
        st.caption("Trains six quick linear probes, one after the other; each can be cancelled.")
        return
    specs = {(rule, seed): _spec(manifest, rule, seed) for rule in RULES for seed in SEEDS}
    for (rule, seed), spec in specs.items():
        get_lab().library.add_split(draw_split(manifest, rule, seed=seed))
        get_lab().start(spec, name=f"Linear probe by {rule}, seed {seed}", token=STUDY + spec.id)
    st.rerun()


def _spec(manifest: Manifest, rule: Rule, seed: int) -> RunSpec:
    split = draw_split(manifest, rule, seed=seed)
    return make_spec(manifest, split, {"strategy": PROBE, "seed": seed})


def _tell(runs: dict[Rule, list[Run]]) -> None:
    found = {
        rule: [float(get_lab().tested(run)["accuracy"]) for run in each if run.result]
        for rule, each in runs.items()
    }
    by_image, by_group = mean(found["image"]), mean(found["group"])
    gap = round(100 * by_image, 1) - round(
        100 * by_group, 1
    )  # of what is shown: whoever subtracts gets the same
    spread = {rule: f"{percent(min(each))} to {percent(max(each))}" for rule, each in found.items()}
    st.markdown(
        f":material/query_stats: A linear probe is right on **{percent(by_image)}** of unseen images of random splits "
        f"({spread['image']}), and on **{percent(by_group)}** where groups are kept together ({spread['group']}; three each)."
    )
    if gap > 1:
        st.caption(f"A random split would flatter by about {gap:.1f} points: split by group.")
    else:
        st.caption("A random split does not flatter here, as far as three splits can tell.")
