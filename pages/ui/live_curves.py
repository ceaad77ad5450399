"""Curves that grow while one looks: zoom and hidden lines survive every update.

`st.plotly_chart` builds a new chart whenever its data change; this component hands new data to the
chart that is there (`Plotly.react` with a constant `uirevision`). Plotly comes from the server itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

_JS = """
const load = () => window.Plotly ? Promise.resolve() : (window.__plotly ||= new Promise((done, fail) => {
  const tag = document.createElement('script');
  tag.src = new URL('plotly.min.js', document.baseURI.replace(/[^/]*$/, '')).href;
  tag.onload = done;
  // The server may be gone for a moment: forget the attempt, the next update tries again.
  tag.onerror = () => { window.__plotly = null; tag.remove(); fail(new Error('plotly is not there yet')); };
  document.head.appendChild(tag);
}));
export default async function (component) {
  const { data, parentElement } = component;
  let box = parentElement.querySelector('.curves');
  if (!box) {
    const head = document.createElement('div');  // text wraps on a narrow screen, a title inside the chart does not
    head.className = 'curves-title';
    head.style.fontWeight = 600;
    parentElement.appendChild(head);
    box = document.createElement('div');
    box.className = 'curves';
    box.style.height = data.height + 'px';
    box.setAttribute('role', 'img');
    parentElement.appendChild(box);
  }
  parentElement.querySelector('.curves-title').textContent = data.title;
  box.setAttribute('aria-label', data.alt);
  try { await load(); } catch { return; }
  const style = getComputedStyle(parentElement.host || parentElement);
  const css = (name, other) => style.getPropertyValue(name).trim() || other;
  const text = css('--st-text-color', '#222'), line = css('--st-border-color', '#ddd');
  const empty = data.lines.every(each => !each.x.length);
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  const layout = {
    uirevision: data.revision, autosize: true, height: data.height,
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    font: { family: css('--st-font', 'sans-serif'), color: text, size: 13 },
    margin: { l: 48, r: 12, t: 40, b: 40 }, hovermode: 'x unified',
    legend: data.many ? { orientation: 'v', x: 1.01, y: 1 } : { orientation: 'h', x: 0, y: 1.02, yanchor: 'bottom' },
    xaxis: { ...axis, title: { text: data.x_title }, tickformat: '~g',
      dtick: data.x_title.startsWith('epoch') ? Math.max(1, Math.ceil(data.end / 10)) : undefined,
      ...(empty ? { range: [0, data.end] } : { autorange: true, autorangeoptions: { include: [0, data.end] } }) },
    yaxis: { ...axis, tickformat: data.format, title: { text: data.y_title },
      ...(empty ? { range: [0, 1], showticklabels: false } : { autorange: true, autorangeoptions: data.bounds }) },
    shapes: data.mark ? [{ type: 'line', x0: data.mark, x1: data.mark, yref: 'paper', y0: 0, y1: 1,
      line: { color: text, width: 1, dash: 'dot' } }] : [],
    annotations: data.mark ? [{ x: data.mark, yref: 'paper', y: 0.02, text: 'best', showarrow: false,
      xanchor: 'left', yanchor: 'bottom', font: { size: 12 } }] : [],
  };
  window.Plotly.react(box, data.lines, layout, {
    displaylogo: false, responsive: true, modeBarButtonsToRemove: ['sendChartToCloud', 'lasso2d', 'select2d'],
  });
}
"""


DASHES = ("solid", "dash", "dot", "dashdot")
Values = Sequence[float | None]  # None: a gap
Series = tuple[Values, Values]  # x, y


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("live_curves", js=_JS, isolate_styles=False)


def live_curves(
    title: str,
    series: Mapping[str, Series],
    *,
    key: str,
    colours: Sequence[str],
    y_title: str,
    end: int,
    most: float | None = None,
    mark: float | None = None,
    format: str = "",  # noqa: A002 - plotly's word
    height: int = 300,
    x_title: str = "epoch",
    dashed: bool = True,
    spreads: Mapping[str, Series] | None = None,
    zoomed: bool = False,
) -> None:
    """Show curves (x, y >= 0) by name, over 0 to `end`; no axis goes beyond `most`.

    `mark` is where a dotted line says "best"; `dashed` draws the first curve dashed. Where colours repeat, dashes tell
    curves apart. `spreads`: by a curve's name, the lowest and highest values around it, shaded. `zoomed`: the axis begins
    where the curves do, and many names stand at the right, so that curves can be told apart.
    """
    least, greatest = ("clipmin", "clipmax") if zoomed else ("minallowed", "maxallowed")
    bounds = {least: 0} | ({} if most is None else {greatest: most})
    lines = _shades(series, spreads or {}, colours) + [
        {
            "x": list(x),
            "y": list(y),
            "name": escape(name, quote=False),  # plotly reads a little HTML in names
            "mode": "lines+markers" if len(x) < 60 else "lines",
            "cliponaxis": False,  # or a curve at 100 % is cut in half
            "line": {
                "color": colours[index % len(colours)],
                "width": 2.5,
                "dash": "dash" if dashed and not index else DASHES[index // len(colours) % len(DASHES)],
            },
        }
        for index, (name, (x, y)) in enumerate(series.items())
    ]
    _component()(
        key=key,
        data={
            "title": title,
            "lines": lines,
            "revision": key,
            "mark": mark,
            "end": end,
            "bounds": bounds,
            "many": zoomed and len(series) > 2,
            "format": format,
            "x_title": x_title,
            "y_title": y_title,
            "height": height,
            "alt": title,
        },
    )


def _shades(
    series: Mapping[str, Series],
    spreads: Mapping[str, Series],
    colours: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a shaded area for each curve that has a spread, in the curve's colour; it goes on over a gap."""
    return [
        {
            "x": _there_and_back(series[name][0], series[name][0]),
            "y": _there_and_back(spreads[name][1], spreads[name][0]),
            "mode": "lines",
            "fill": "toself",
            "fillcolor": f"{colours[index % len(colours)]}2b",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for index, name in enumerate(series)
        if name in spreads
    ]


def _there_and_back(there: Values, back: Values) -> list[float]:
    return [each for each in (*there, *reversed(back)) if each is not None]


def with_gaps(values: Iterable[float | None], parts: Iterable[Hashable]) -> list[float | None]:
    """Return the values of a curve with a gap wherever another part begins; `parts` says of which part each value is."""
    found: list[float | None] = []
    before: Hashable = None
    for value, part in zip(values, parts, strict=True):
        if before not in (None, part):
            found.append(None)
        found.append(value)
        before = part
    return found
