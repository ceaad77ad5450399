"""The strip of stages above the freeze slider: what is frozen, what trains, how big each is."""

from __future__ import annotations

from html import escape

import streamlit as st

from transfer_core.models.backbones import Backbone

_SNOWFLAKE = (
    "M12 2v20M3.3 7l17.4 10M20.7 7 3.3 17M12 5l-2-2M12 5l2-2M12 19l-2 2M12 19l2 2"
    "M5.9 8.5 3.2 9.2M5.9 8.5 5.2 5.8M18.1 15.5l2.7-.7M18.1 15.5l.7 2.7"
    "M18.1 8.5l2.7.7M18.1 8.5l.7-2.7M5.9 15.5l-2.7.7M5.9 15.5l-.7 2.7"
)
_STYLE = """
<style>
.stages{display:flex;flex-wrap:wrap;gap:6px}
.stage{flex:1 1 72px;min-width:66px;border-radius:8px;padding:8px 8px 6px;font-size:.8rem;line-height:1.25;
  border:1.5px solid var(--st-border-color);color:var(--st-text-color)}
.stage svg{width:14px;height:14px;vertical-align:-2px;margin-right:3px;stroke:currentColor;fill:none;
  stroke-width:2;stroke-linecap:round}
.stage.frozen{background:repeating-linear-gradient(135deg,transparent 0 6px,
  color-mix(in srgb,var(--st-text-color) 6%,transparent) 6px 12px);opacity:.85}
.stage.trains{background:color-mix(in srgb,var(--st-primary-color) 16%,transparent);
  border-color:var(--st-primary-color)}
.stage b{display:block;font-weight:600;overflow-wrap:anywhere}
.stage small{opacity:.85}
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
    icon = f"<svg viewBox='0 0 24 24' aria-hidden='true'><path d='{_SNOWFLAKE}'/></svg>" if frozen else ""
    return (
        f"<div class='stage {kind}' role='listitem'><b>{icon}{escape(name)}</b>"
        f"<small>{word}<br>{_short(parameters)}</small></div>"
    )


def _short(parameters: int) -> str:
    if parameters >= 1e6:
        return f"{parameters / 1e6:.1f} M"
    return f"{parameters / 1e3:.0f} k" if parameters >= 1e3 else str(parameters)
