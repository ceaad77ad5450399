"""The freeze-depth explorer: one click trains the same recipe with every number of frozen stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.ui.contest import COMMON
from pages.ui.state import choose, get_lab, go, start_token
from pages.ui.text import duration, escape, plural
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.models.weights import find_weights
from transfer_core.runs.series import Series, look_up, start_missing
from transfer_core.runs.sweep import sweep_specs
from transfer_core.strategies import get_strategy
from transfer_core.training.rules import unmet_need
from transfer_core.training.spec import RunSpec


def wishes_of(spec: RunSpec) -> dict[str, Any]:
    """Return what a sweep keeps of a run's settings: all but where it learns, is tested and is frozen."""
    given = ("manifest", "split", "cut", "source", "target")
    return {name: value for name, value in spec.to_json().items() if name not in given}


def show_sweep(manifest: Manifest, split: Split, wishes: Mapping[str, Any]) -> None:
    """Offer the sweep with what it will cost, or lead to it where it is done; nothing is drawn before it is opened."""
    box = st.expander("Sweep the freeze depth", icon=":material/ac_unit:", on_change="rerun", key="sweep")
    if not box.open:
        return
    strategy = get_strategy(wishes["strategy"])
    wanted = {**wishes}
    if strategy.freezes != "chosen":
        wanted = {name: wishes[name] for name in COMMON if name in wishes} | {"strategy": "fine_tuning"}
    with box:
        try:
            sweep = look_up(get_lab(), manifest, split, sweep_specs(manifest, split, wanted))
        except UserError as error:
            st.error(escape(error), icon=":material/error:")
            return
        _offer(sweep, manifest, split)


def _offer(sweep: Series, manifest: Manifest, split: Split) -> None:
    spec = sweep.specs[0]
    backbone, strategy = spec.make_backbone(), get_strategy(spec.strategy)
    st.markdown(
        f"The same run, **{escape(strategy.title)}** on **{escape(backbone.title)}**, once for every number of frozen stages, "
        f"{sweep.specs[0].cut} to {sweep.specs[-1].cut}: how accurate, how long, how many parameters. Everything else is equal."
    )
    done = len(sweep.done)
    facts = [f"{done} of {plural(len(sweep.specs), 'run')} done already, used again"] if done else []
    facts += [f"{len(sweep.waiting)} on their way"] if sweep.waiting else []
    if sweep.missing:
        how_long = f"about {duration(sweep.seconds)} on {spec.device}" if sweep.seconds else (
            "how long that takes is known after the first fine-tuning with this backbone"
        )  # fmt: skip
        facts.append(f"{plural(len(sweep.missing), 'run')} to train: {how_long}")
    st.caption("; ".join(facts) + ".")
    needed = unmet_need(spec.make_strategy(), manifest, split, backbone, spec.cut)
    if needed:
        st.warning(escape(needed), icon=":material/warning:")
    ready = find_weights(backbone, get_lab().home) is not None and not needed
    label = f"Train {plural(len(sweep.missing), 'run')} and watch" if sweep.missing else "Show the sweep"
    if st.button(label, icon=":material/ac_unit:", disabled=not ready, key="start-sweep"):
        token = start_token("-".join(each.id for each in sweep.specs))
        runs = start_missing(get_lab(), sweep, token)
        choose(run=runs[0].id)
        st.session_state["race"] = ",".join(run.id for run in runs)
        go("results/compare.py")
