"""Cards to choose a backbone and a strategy from."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from pages.ui.parts import card
from pages.ui.state import get_helper, get_lab
from pages.ui.text import escape, percent
from transfer_core.models.backbones import BACKBONES, Backbone, get_backbone
from transfer_core.models.weights import download_weights, find_weights, missing_weights_message
from transfer_core.strategies import STRATEGIES, Strategy, get_strategy
from transfer_core.training.spec import RunSpec

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


def pick_strategy(first: RunSpec | None) -> type[Strategy]:
    """Show the strategies; return the chosen one."""
    st.session_state.setdefault("strategy", first.strategy if first else STRATEGIES[0].name)
    st.markdown("#### Strategy")
    for place, each in zip(st.columns(len(STRATEGIES)), STRATEGIES, strict=True):
        is_on = st.session_state["strategy"] == each.name
        with place, card(each.name, is_on):
            st.markdown(f"**{each.title}**")
            st.caption(each.about)
            if _choose_button(each.name, is_on):
                st.session_state["strategy"] = each.name
                st.rerun()
    return get_strategy(st.session_state["strategy"])
