"""The few styles that Streamlit's theme does not reach: accents, wrapping on narrow screens, spacing."""

from __future__ import annotations

import streamlit as st

# Streamlit gives its colours as CSS variables to components only; these are the same for the page.
_LIGHT = {"accent": "#0b6e75", "line": "#d5dee0", "text": "#17262b"}
_DARK = {"accent": "#3fb5bd", "line": "#2c3d42", "text": "#e6eef0"}

_STYLE = """
[data-testid=stLayoutWrapper]:has(>.st-key-revive){display:none}
.stMainBlockContainer{padding-top:3rem}
[class*=st-key-card-]>:last-child{margin-top:auto}
[data-testid=stSidebarHeader]{height:2.5rem}
[data-testid=stMetricValue],[data-testid=stTable] td{font-variant-numeric:tabular-nums}
[data-testid=stLayoutWrapper]:has(>.st-key-summary){position:sticky;top:4.5rem}
[data-testid=stButtonGroup] [role=radiogroup]{flex-wrap:wrap;row-gap:.3rem;mask-image:none}
[data-testid=stButtonGroup] [aria-checked=true],[data-testid=stButtonGroup] [aria-checked=true] *{color:var(--lab-accent)!important}
[class*=st-key-card-] button:disabled *{color:var(--lab-text)!important}
[class*=st-key-matrix]{overflow-x:auto}
[class*=st-key-matrix] [data-testid=stHorizontalBlock]{flex-wrap:nowrap;gap:.5rem}
[class*=st-key-matrix] [data-testid=stColumn]{min-width:3.6rem!important;overflow-wrap:anywhere}
[class*=st-key-matrix] button{padding-left:0;padding-right:0}
@media (max-width:1100px){
  [data-testid=stColumn]:has(.st-key-summary){order:-1}
  [data-testid=stLayoutWrapper]:has(>.st-key-summary){position:static}
  .stMainBlockContainer{padding-left:1.5rem;padding-right:1.5rem}
  :is([class*=st-key-wrap],[class*=st-key-wrap] > div) > [data-testid=stHorizontalBlock]{flex-wrap:wrap}
  :is([class*=st-key-wrap],[class*=st-key-wrap] > div) > [data-testid=stHorizontalBlock] > [data-testid=stColumn]{min-width:210px}
  [class*=st-key-wrap-gallery] [data-testid=stColumn]{min-width:110px!important}
  :is(.st-key-wrap-strategies,.st-key-wrap-backbones,.st-key-wrap-more){display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));align-items:stretch}
  :is(.st-key-wrap-strategies,.st-key-wrap-backbones,.st-key-wrap-more) > div,:is(.st-key-wrap-strategies,.st-key-wrap-backbones,.st-key-wrap-more) > div > [data-testid=stHorizontalBlock]{display:contents}
  :is(.st-key-wrap-strategies,.st-key-wrap-backbones,.st-key-wrap-more) > div > [data-testid=stHorizontalBlock] > [data-testid=stColumn]{width:auto;max-width:none}
  :is([class*=st-key-wrap-page],[class*=st-key-wrap-page] > div) > [data-testid=stHorizontalBlock] > [data-testid=stColumn]{min-width:100%}
}
"""


def show_theme() -> None:
    """Put the styles onto the page, in the colours of the theme the viewer has."""
    colours = _DARK if st.context.theme.type == "dark" else _LIGHT
    variables = "".join(f"--lab-{name}:{value};" for name, value in colours.items())
    st.html(f"<style>:root{{{variables}}}{_STYLE}</style>")
