"""The strip of stages above the freeze slider: what is frozen, what trains, how big each is."""

from __future__ import annotations

from html import escape

import streamlit as st

from transfer_core.models.backbones import Backbone

# A snowflake as a mask: Streamlit's sanitiser takes SVG elements out, and any style with a "<" in it.
_SNOWFLAKE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' "
    "stroke='black' stroke-width='2' stroke-linecap='round'%3E%3Cpath d='M12 2v20M3.3 7l17.4 10M20.7 7 3.3 17"
    "M12 5l-2-2M12 5l2-2M12 19l-2 2M12 19l2 2'/%3E%3C/svg%3E"
)
_STYLE = f"""
<style>
.stages{{display:grid;grid-template-columns:repeat(auto-fill,minmax(60px,1fr));gap:6px}}
.stage{{border-radius:8px;padding:8px 7px 6px;font-size:.8rem;line-height:1.25;
  border:1.5px solid var(--lab-line);color:var(--lab-text)}}
.stage .flake{{display:inline-block;width:11px;height:11px;vertical-align:-1px;margin-right:3px;
  background:currentColor;mask:url("{_SNOWFLAKE}") center/contain no-repeat}}
.stage.frozen{{background:repeating-linear-gradient(135deg,transparent 0 6px,
  color-mix(in srgb,var(--lab-text) 6%,transparent) 6px 12px);opacity:.85}}
.stage.trains{{background:color-mix(in srgb,var(--lab-accent) 16%,transparent);
  border-color:var(--lab-accent)}}
.stage b{{display:block;font-weight:600;overflow-wrap:anywhere}}
.stage small{{opacity:.85}}
</style>
"""


def stage_strip(backbone: Backbone, cut: int, classes: int) -> None:
    """Show the stages of a backbone with `cut` of them frozen, and the head."""
    boxes = [_box(stage.name, stage.parameters, index < cut) for index, stage in enumerate(backbone.stages)]
    boxes.append(_box("head", (backbone.feature_dim + 1) * classes, frozen=False))
    st.html(_STYLE)  # by itself: Streamlit drops a style that stands beside other elements
    st.html(f"<div class='stages' role='list'>{''.join(boxes)}</div>")


def _box(name: str, parameters: int, frozen: bool) -> str:
    kind, word = ("frozen", "frozen") if frozen else ("trains", "trains")
    icon = "<span class='flake'></span>" if frozen else ""
    return (
        f"<div class='stage {kind}' role='listitem'><b>{escape(name)}</b>"
        f"<small>{icon}{word}<br>{_short(parameters)}</small></div>"
    )


def _short(parameters: int) -> str:
    if parameters >= 1e6:
        return f"{parameters / 1e6:.1f} M"
    return f"{parameters / 1e3:.0f} k" if parameters >= 1e3 else str(parameters)
