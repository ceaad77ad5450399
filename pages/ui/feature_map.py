"""Images laid out by the features that decide, coloured by class or domain; beside them the same before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui.parts import class_colours
from pages.ui.patience import patiently
from pages.ui.scatter import scatter
from pages.ui.state import get_calibration, get_helper, get_lab, get_report
from pages.ui.text import escape, percent, plural
from pages.ui.why import Said, all_said
from transfer_core.errors import UserError
from transfer_core.evaluation.feature_map import FeatureMap, align, draw_sample, load_map
from transfer_core.evaluation.report import Report, load_features
from transfer_core.figures import PART_NAMES, plain
from transfer_core.runs.maps import before, map_path
from transfer_core.runs.store import Run

METHODS = {"pca": "PCA", "tsne": "t-SNE"}
DOMAIN_COLOURS = ("#5b6abf", "#b8860b", "#2f9e8f", "#a05195", "#777777")
NONE = "no domain"
AT_ONCE = 64  # images computed between two steps of the progress bar


def show_maps(run: Run, report: Report, said: Mapping[str, Said]) -> str | None:
    """Show the map of a run, and the one before training or adaptation; return the image that was clicked, if any."""
    try:
        load_features(get_lab().store.folder(run.id))
    except UserError as error:
        st.info(escape(error), icon=":material/info:")
        return None
    lab = get_lab()
    domains = list(report.manifest.domains)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control("Laid out by", list(METHODS), default="pca", format_func=METHODS.__getitem__,
                                      key="map-method", required=True)  # fmt: skip
        by = st.segmented_control("Colour", ["class", "domain"], default="class", key="map-colour", required=True,
                                  format_func=str.capitalize, disabled=not domains)  # fmt: skip
        parts = st.segmented_control("Images", ["test", "all"], default="test", key="map-parts", required=True,
                                     format_func={"test": "Unseen", "all": "All"}.__getitem__)  # fmt: skip
    other = before(lab, run)
    beside = bool(other.features_of) and st.toggle(f"Set beside it: {other.words.lower()}", key="map-before")
    if not other.features_of:
        st.caption(escape(other.words))
    own = _get_map(run, report, method, "own")
    maps = {"After training" if other.features_of == "pretrained" else "This run": own}
    if beside:
        found = _get_map(run, report, method, other.features_of)
        maps = {other.words: FeatureMap(found.places, align(found.xy, own.xy), found.kept, found.agreeing, found.asked),
                **maps}  # fmt: skip
    colours = class_colours(report.manifest.classes) if by == "class" else _domain_colours(domains)
    _legend(colours if by == "class" or domains else class_colours(report.manifest.classes))
    with st.container(key="wrap-page-maps"):
        columns = st.columns(len(maps))
    picked = None
    for place, (words, found) in zip(columns, maps.items(), strict=True):
        with place:
            of_twin = words == other.words and other.features_of != "pretrained"
            known = _twin_said(lab.store.get(other.features_of)) if of_twin else said
            traces = _traces(report, found, known, by, parts, colours)
            shown = sum(len(each["x"]) for each in traces)
            key = f"map-{run.id}-{method}-{by}-{parts}-{words}"
            alt = f"{METHODS[method]} of the features of {shown} images"
            picked = scatter(plain(f"{words} ({plural(shown, 'image')})"), traces, key=key, alt=alt) or picked
            _neighbours(found)
            if words == other.words and not of_twin:
                st.caption(
                    "Right and wrong are those of the trained model: before training nothing is said yet."
                )
    _caveats(report, own, method)
    return picked


def _twin_said(twin: Run) -> dict[str, Said]:
    return all_said(get_report(twin)[0], get_calibration(twin))


def _get_map(run: Run, report: Report, method: str, features_of: str) -> FeatureMap:
    """Return a map, made by the helper where it is not there yet."""
    store, helper = get_lab().store, get_helper()
    path = map_path(store, run, method, features_of)
    if not path.exists():
        if features_of == "pretrained":
            fill_pretrained(run, [report.images[place] for place in draw_sample(report)])
        words = "Laying the images out" + (", which takes some 20 seconds once" if method == "tsne" else "")
        if not helper.is_warm:
            words = f"Starting the helper, then {words[0].lower()}{words[1:]}"
        with st.spinner(words, show_time=True):
            patiently(helper.lay_out, run.id, method, features_of)
    return load_map(path)


def fill_pretrained(run: Run, images: Sequence[str]) -> None:
    """Have the features before training of images computed, with a bar; what is kept already takes no time."""
    bar = st.progress(0.0, "Features before training")
    for at in range(0, len(images), AT_ONCE):
        patiently(get_helper().fill_pretrained, run.id, images[at : at + AT_ONCE])
        done = min(at + AT_ONCE, len(images))
        bar.progress(
            done / len(images), f"Features before training: {done:,} of {plural(len(images), 'image')}"
        )
    bar.empty()


def _domain_colours(domains: list[str]) -> dict[str, str]:
    names = [*domains, NONE]
    return {name: DOMAIN_COLOURS[number % len(DOMAIN_COLOURS)] for number, name in enumerate(names)}


def _traces(report: Report, found: FeatureMap, said: Mapping[str, Said], by: str, parts: str,
            colours: Mapping[str, str]) -> list[dict[str, Any]]:  # fmt: skip
    """Return one trace for each colour and symbol; what is wrong lies on top."""
    dots: dict[tuple[int, str], dict[str, Any]] = {}
    for place, (x, y) in zip(found.places, found.xy, strict=True):
        each = said[report.images[int(place)]]
        if parts == "test" and each.part != "test":
            continue
        name = (each.row.label or each.label) if by == "class" else each.row.domain or NONE
        order, symbol = {False: (2, "x"), True: (1, "circle"), None: (0, "circle-open")}[each.right]
        trace = dots.setdefault(
            (order, name), {"x": [], "y": [], "customdata": [], "marker": _marker(symbol, colours[name])}
        )
        trace["x"].append(round(float(x), 4))
        trace["y"].append(round(float(y), 4))
        trace["customdata"].append([each.row.image, _words(each)])
    return [dots[key] for key in sorted(dots)]


def _marker(symbol: str, colour: str) -> dict[str, Any]:
    """Return how a dot looks; the browser gives it a rim in the colour of the page."""
    rim = {"line": {"width": 1.5, "color": colour}} if symbol == "circle-open" else {}
    return {"symbol": symbol, "color": colour, "size": 10 if symbol == "x" else 7, "opacity": 0.85, **rim}


def _words(each: Said) -> str:
    """Return what stands under a picture; the browser shows it letter by letter."""
    truth = f"is {each.row.label}, " if each.row.label else ""
    facts = [PART_NAMES.get(each.part, each.part), each.row.domain]
    return f"{truth}said {each.label} ({percent(each.sure, 0)})\n{' · '.join(filter(None, facts))}\n{each.row.path.rpartition('/')[2]}"


def _legend(colours: Mapping[str, str]) -> None:
    from html import escape as escape_html

    swatches = "".join(
        f"<span><span style='display:inline-block;width:10px;height:10px;border-radius:5px;background:{colour};"
        f"margin-right:5px'></span>{escape_html(name)}</span>"
        for name, colour in colours.items() if name != NONE
    )  # fmt: skip
    st.html(
        f"<div style='display:flex;gap:6px 18px;flex-wrap:wrap;font-size:0.9rem'>{swatches}"
        "<span>● right</span><span>✕ wrong</span><span>○ no label</span></div>"
    )


def _neighbours(found: FeatureMap) -> None:
    if found.asked:
        st.caption(
            f"{found.agreeing:,} of {found.asked:,} unseen images ({percent(found.agreeing / found.asked)}) have the class "
            "of the training image most like them, by all features, not by this picture."
        )


def _caveats(report: Report, own: FeatureMap, method: str) -> None:
    drawn = ""
    if len(own.places) < len(report.images):
        drawn = f"Drawn from all parts, domains and classes in proportion: {len(own.places):,} of {len(report.images):,} images. "
    if method == "tsne":
        words = (
            "t-SNE keeps neighbours together. How far apart groups lie, and how large they are, means nothing, and groups "
            "may appear where there are none."
        )
    else:
        words = f"PCA: the two directions in which the features differ most hold {percent(own.kept)} of their variance; what lies apart in others looks mixed here."
    st.caption(
        f"{drawn}{words} Axes have no unit. Each map is laid out by itself, then turned to lie like the other."
    )
