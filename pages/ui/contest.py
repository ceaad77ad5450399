"""Several strategies at once: the same data, backbone and augmentation, queued by one click, raced on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui.state import choose, get_lab, go, start_token
from pages.ui.text import duration, escape, plural
from transfer_core.data.augment import get_augmentation
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.models.backbones import get_backbone
from transfer_core.runs.series import Series, look_up, start_missing
from transfer_core.strategies import STRATEGIES, get_strategy
from transfer_core.training.rules import default_strategy, make_spec, unmet_need
from transfer_core.training.spec import RunSpec

COMMON = (
    "backbone",
    "augment",
    "views",
    "test_views",
    "size",
    "geometry",
    "device",
    "seed",
    "cache",
    "select",
)
CHANGED = (
    "cut",
    "epochs",
    "batch_size",
    "patience",
    "class_weights",
    "precision",
    "networks",
)  # where they are not as usual


def contest(manifest: Manifest, split: Split, wishes: Mapping[str, Any]) -> None:
    """Show a choice of strategies and the button that starts them all, each with its own defaults."""
    backbone = get_backbone(wishes.get("backbone", "lite0"))
    possible = [each.name for each in STRATEGIES if unmet_need(each(), manifest, split, backbone) is None]
    usual = ["source_only", "dann"] if split.rule == "transfer" else ["fine_tuning"]
    usual.append(default_strategy(split))
    with st.expander("Compare several strategies", icon=":material/sports_score:"):
        picked = st.multiselect(
            "Strategies", possible, default=[each for each in usual if each in possible],
            format_func=lambda name: get_strategy(name).title,
        )  # fmt: skip
        st.caption(
            "All get the same images, backbone, augmentation, image size and seed. What you changed above of frozen stages, epochs, batch size, patience, "
            "class weights, precision or networks holds for all that train stages; everything else is as usual for each strategy. "
            "Where one of them cannot learn with the augmentation above, all get *Another camera*."
        )
        try:
            series = _look_up(manifest, split, wishes, picked)
        except UserError as error:
            st.error(escape(error), icon=":material/error:")
            return
        if facts := _facts(series):
            st.caption(facts)
        missing = len(series.missing)
        label = f"Start {plural(missing, 'run')} and watch the race" if missing else "Show the race"
        if st.button(label, disabled=len(picked) < 2, icon=":material/sports_score:", key="start-race"):
            token = start_token("-".join(spec.id for spec in series.specs))
            runs = start_missing(get_lab(), series, token)
            choose(run=runs[0].id)
            st.session_state["race"] = ",".join(run.id for run in runs)
            if here := _here(series):
                st.session_state["receipt"] = here
            go("results/compare.py")


def _look_up(manifest: Manifest, split: Split, wishes: Mapping[str, Any], picked: Sequence[str]) -> Series:
    """Return the runs of the strategies that were picked, with those that are there already."""
    shared = {name: wishes[name] for name in COMMON if name in wishes}
    policy = get_augmentation(wishes["augment"])
    if not all(get_strategy(name).can_learn_from(policy.views, mixes=policy.mixes) for name in picked):
        shared |= {"augment": "safe", "views": None, "test_views": False}  # what all of them can learn from
    specs = [_entrant(manifest, split, shared, wishes, name) for name in picked]
    # First the twin of the others, then by what is frozen: a probe has an answer in seconds.
    specs.sort(key=lambda spec: (spec.strategy != "source_only", -spec.cut))
    return look_up(get_lab(), manifest, split, specs)


def _here(series: Series) -> str:
    """Say which runs are there already, of equal settings and seed, and are used again; "" where none is."""
    told = []
    for runs, one, several in (
        (series.done, "is trained already and is used again", "are trained already and are used again"),
        (series.waiting, "is on its way already", "are on their way already"),
    ):
        if runs:
            names = ", ".join(f"**{escape(run.name)}**" for run in runs)
            told.append(f"{names} {one if len(runs) == 1 else several}.")
    return " ".join(told)


def _facts(series: Series) -> str:
    told = [_here(series)] if _here(series) else []
    if series.missing and series.seconds:
        told.append(f"{plural(len(series.missing), 'run')} to train: about {duration(series.seconds)}.")
    return " ".join(told)


def _entrant(
    manifest: Manifest, split: Split, shared: Mapping[str, Any], wishes: Mapping[str, Any], name: str
) -> RunSpec:
    """Return the spec of one strategy: its defaults, what all share, and what was changed where its stages train."""
    own = make_spec(manifest, split, {**shared, "strategy": name})
    if own.cut == len(own.make_backbone().stages):
        return own
    chosen = {each: wishes[each] for each in ("strategy", "backbone", "device") if each in wishes}
    usual = make_spec(manifest, split, chosen)
    changed = {
        each: wishes[each] for each in CHANGED if each in wishes and wishes[each] != getattr(usual, each)
    }
    if get_strategy(name).freezes != "chosen":
        changed.pop("cut", None)
    return make_spec(manifest, split, {**shared, **changed, "strategy": name})
