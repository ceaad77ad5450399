"""Cards to choose a backbone and a strategy from."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from pages.ui.parts import card
from pages.ui.state import get_helper, get_lab
from pages.ui.text import escape, percent
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.models.backbones import BACKBONES, Backbone, get_backbone
from transfer_core.models.weights import download_weights, find_weights, missing_weights_message
from transfer_core.strategies import STRATEGIES, Strategy, get_strategy
from transfer_core.training.rules import default_strategy, unmet_need
from transfer_core.training.spec import RunSpec

GROUPS = {
    "supervised": "With your labels",
    "adaptation": "From one domain to another",
    "few labels": "Few labels, further labels",
    "baseline": "Baselines",
}
FIRST = ("lite0", "lite2", "resnet50")  # shown before "more"


def pick_backbone(first: RunSpec | None) -> Backbone:
    """Show the backbones and, where weights are missing, the ways to get them; return the chosen one."""
    st.session_state.setdefault("backbone", first.backbone if first else FIRST[0])
    st.markdown("#### Backbone")
    wanted = st.session_state["backbone"]
    shown = list(FIRST) if wanted in FIRST else [*FIRST[:-1], wanted]
    with st.container(key="wrap-backbones"):
        _row(shown)
    with st.expander("More backbones"), st.container(key="wrap-more"):
        others = [each.key for each in BACKBONES if each.key not in shown]
        for start in range(0, len(others), 3):
            _row(others[start : start + 3])
    backbone = get_backbone(wanted)
    if find_weights(backbone, get_lab().home) is None:
        _get_weights(backbone)
    return backbone


def _row(keys: list[str]) -> None:
    for place, key in zip(st.columns(3), keys, strict=False):
        with place:
            _backbone_card(get_backbone(key))


def _backbone_card(backbone: Backbone) -> None:
    is_on = st.session_state["backbone"] == backbone.key
    with card(backbone.key, is_on):
        st.markdown(f"**{escape(backbone.title)}**")
        st.caption(escape(backbone.about))
        st.caption(
            f"**{backbone.parameters / 1e6:.1f} M** parameters · **{backbone.gflops:.2f}** GFLOPs  \n"
            f"**{percent(backbone.top1 / 100)}** right on ImageNet  \n{escape(backbone.licence)}"
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            if find_weights(backbone, get_lab().home):
                st.badge("weights here", icon=":material/check:", color="green")
            else:
                st.badge(f"{backbone.weights.megabytes:.0f} MB", icon=":material/download:", color="gray")
            if _choose_button(backbone.key, is_on):
                st.session_state["backbone"] = backbone.key
                st.session_state.pop("cut", None)
                st.rerun()


def _choose_button(key: str, is_on: bool) -> bool:
    label, icon = ("Chosen", ":material/radio_button_checked:") if is_on else ("Choose", None)
    return st.button(label, key=f"choose-{key}", icon=icon, disabled=is_on)


def _get_weights(backbone: Backbone) -> None:
    home = get_lab().home
    st.warning(missing_weights_message(backbone, home), icon=":material/download:")
    if st.button("Download the weights now", icon=":material/download:"):
        bar = st.progress(0.0, f"Downloading {backbone.title}")
        download_weights(backbone, home, lambda done, total: bar.progress(done / max(total, 1)))
        st.rerun()
    brought = st.file_uploader("Or give the file", type=["safetensors", "pth"], key=f"weights-{backbone.key}")
    if brought:
        with st.spinner("Comparing every tensor", show_time=True), TemporaryDirectory(dir=home) as folder:
            path = Path(folder) / Path(brought.name).name
            path.write_bytes(brought.getbuffer())
            note = get_helper().add_weights(backbone.key, path)
        st.session_state["receipt"] = f"The weights of {backbone.title} are here. {escape(note)}"
        st.rerun()


def pick_strategy(
    first: RunSpec | None, manifest: Manifest, split: Split, backbone: Backbone
) -> type[Strategy]:
    """Show the strategies of one group at a time; return the chosen one."""
    usual = default_strategy(split)
    chosen = get_strategy(st.session_state.setdefault("strategy", first.strategy if first else usual))
    st.markdown("#### Strategy")
    group = st.segmented_control(
        "Which kind", list(GROUPS), default=chosen.group, format_func=lambda each: GROUPS[each],
        label_visibility="collapsed", required=True, key=f"group-{split.id}",
    )  # fmt: skip
    shown = [each for each in STRATEGIES if each.group == group]
    with st.container(key="wrap-strategies"):
        for start in range(0, len(shown), 3):
            for place, each in zip(st.columns(3), shown[start : start + 3], strict=False):
                with place:
                    needed = unmet_need(each, manifest, split, backbone)
                    _strategy_card(each, chosen, needed, first=each.name == usual)
    if chosen.group != group:
        st.caption(f"Chosen: **{chosen.title}**, under *{GROUPS[chosen.group]}*.")
    return chosen


def _strategy_card(each: type[Strategy], chosen: type[Strategy], missing: str | None, *, first: bool) -> None:
    with card(each.name, each is chosen, closed=missing is not None):
        name = each.title if missing is None else f":gray[{each.title}]"
        st.markdown(f"**{name}**" + (" :blue-badge[start here]" if first else ""))
        st.caption(each.about)
        st.caption(
            f":material/checklist: Needs {each.in_need_of()}  \n:material/timer: {each.costs()[0].upper()}{each.costs()[1:]}"
        )
        if missing:
            st.markdown(f":small[:material/block: {escape(missing)}]")
        elif _choose_button(each.name, each is chosen):
            st.session_state["strategy"] = each.name
            st.session_state.pop("cut", None)
            st.rerun()
