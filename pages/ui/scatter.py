"""Dots that show their image when pointed at, and tell the page which one was clicked.

Plotly's own hover boxes cannot show pictures. Thumbnails come from `/thumb/IMAGE`, each when it is first pointed at,
so that a page of thousands of dots sends none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

_JS = """
const base = () => document.baseURI.replace(/[^/]*$/, '');
const load = () => window.Plotly ? Promise.resolve() : (window.__plotly ||= new Promise((done, fail) => {
  const tag = document.createElement('script');
  tag.src = new URL('plotly.min.js', base()).href;
  tag.onload = done;
  tag.onerror = () => { window.__plotly = null; tag.remove(); fail(new Error('plotly is not there yet')); };
  document.head.appendChild(tag);
}));
export default async function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector('.scatter');
  if (!root) {
    root = document.createElement('div');
    root.className = 'scatter';
    root.style.position = 'relative';
    root.innerHTML = '<div class="plot"></div><div class="card" hidden><img alt=""><div class="words"></div></div>';
    parentElement.appendChild(root);
  }
  const box = root.querySelector('.plot'), card = root.querySelector('.card');
  const image = card.querySelector('img'), words = card.querySelector('.words');
  box.style.height = data.height + 'px';
  box.setAttribute('role', 'img');
  box.setAttribute('aria-label', data.alt);
  try { await load(); } catch { return; }
  const style = getComputedStyle(parentElement.host || parentElement);
  const css = (name, other) => style.getPropertyValue(name).trim() || other;
  const text = css('--st-text-color', '#222'), line = css('--st-border-color', '#ddd');
  Object.assign(card.style, { position: 'absolute', zIndex: 9, pointerEvents: 'none', padding: '6px', width: '172px',
    borderRadius: '8px', border: '1px solid ' + line, background: css('--st-background-color', '#fff'), color: text,
    fontSize: '12px', lineHeight: 1.35, boxShadow: '0 2px 10px rgba(0,0,0,.25)', overflowWrap: 'anywhere',
    whiteSpace: 'pre-line' });
  Object.assign(image.style, { width: '160px', height: '160px', objectFit: 'contain', display: 'block' });
  const axis = { showgrid: false, zeroline: false, showticklabels: false, ticks: '', showline: true, mirror: true,
    linecolor: line };
  const layout = {
    uirevision: data.revision, autosize: true, height: data.height, hovermode: 'closest', dragmode: 'pan',
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', clickmode: 'event',
    font: { family: css('--st-font', 'sans-serif'), color: text, size: 13 },
    margin: { l: 8, r: 8, t: 44, b: 8 },
    title: { text: data.title, x: 0, xanchor: 'left', y: 0.98, yanchor: 'top', font: { size: 15 } },
    showlegend: false, xaxis: { ...axis, scaleanchor: 'y' }, yaxis: axis,
  };
  const traces = data.traces.map(each => ({ ...each, type: 'scattergl', mode: 'markers', hoverinfo: 'none',
    marker: { ...each.marker, line: { width: 1, color: css('--st-background-color', '#fff'), ...each.marker.line } } }));
  await window.Plotly.react(box, traces, layout, { displaylogo: false, responsive: true, scrollZoom: true,
    modeBarButtonsToRemove: ['sendChartToCloud', 'lasso2d', 'select2d'] });
  box.removeAllListeners('plotly_hover');
  box.removeAllListeners('plotly_unhover');
  box.removeAllListeners('plotly_click');
  box.on('plotly_hover', event => {
    const [hash, said] = event.points[0].customdata;
    image.src = new URL('thumb/' + hash, base()).href;
    words.textContent = said;
    card.hidden = false;
    const frame = root.getBoundingClientRect(), x = event.event.clientX - frame.left, y = event.event.clientY - frame.top;
    card.style.left = Math.max(0, x + 196 > frame.width ? x - 190 : x + 16) + 'px';
    card.style.top = Math.max(0, Math.min(y - 90, frame.height - 240)) + 'px';
  });
  box.on('plotly_unhover', () => { card.hidden = true; });
  box.on('plotly_click', event => setTriggerValue('picked', event.points[0].customdata[0]));
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("scatter", js=_JS, isolate_styles=False)


def scatter(
    title: str, traces: Sequence[Mapping[str, Any]], *, key: str, alt: str, height: int = 460
) -> str | None:
    """Show traces of dots and return the image that was clicked just now, else None.

    A trace has x, y, marker as plotly takes them, and customdata: (image, words) of each dot.
    """
    data = {"title": title, "traces": list(traces), "revision": key, "alt": alt, "height": height}
    found = _component()(key=key, data=data, on_picked_change=lambda: None)
    return getattr(found, "picked", None)
