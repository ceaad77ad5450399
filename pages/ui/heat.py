"""Heat maps on the screen: asked of the helper once, kept, drawn over their pictures, with a scale."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from PIL import Image

from pages.ui.patience import patiently
from pages.ui.state import get_helper, get_lab, get_manifest
from pages.ui.text import plural
from transfer_core.data.images import decode
from transfer_core.errors import UserError
from transfer_core.evaluation.heat import SCALE, Heat, draw_heat, read_heat, to_png
from transfer_core.runs.store import Run

AT_ONCE = 12  # images asked for together, between two steps of the progress bar
THUMB = 240  # pixels that a thumbnail is drawn out to at most
MOST_KEPT = 50_000  # maps of some 200 bytes
HONEST = (
    "A heat map shows where the score of a class is sensitive. It does not show that the reason is right, and it is "
    "coarse: a spot may lie beside what caused it."
)


@st.cache_resource(show_spinner=False)
def _kept() -> dict[tuple[str, int, str, str], Heat]:
    """Return the maps of this server by run, attempt, image and class."""
    return {}


def explained(run: Run, wanted: Mapping[str, str]) -> dict[str, Heat]:
    """Return the maps of images for a class each, with a spinner or a bar while they are made; UserError if they cannot."""
    kept = _kept()
    missing = [image for image, name in wanted.items() if (run.id, run.attempt, image, name) not in kept]
    if missing:
        helper = get_helper()
        words = (
            "Looking"
            if helper.is_warm
            else "Starting the helper, which takes some ten seconds the first time"
        )
        bar = st.progress(0.0, "Looking") if len(missing) > AT_ONCE else None
        with st.spinner(words, show_time=True):
            for at in range(0, len(missing), AT_ONCE):
                part = {image: wanted[image] for image in missing[at : at + AT_ONCE]}
                found = patiently(helper.explain, run.id, part)
                if len(kept) > MOST_KEPT:
                    kept.clear()
                kept |= {(run.id, run.attempt, image, part[image]): heat for image, heat in found.items()}
                if bar:
                    done = min(at + AT_ONCE, len(missing))
                    bar.progress(done / len(missing), f"Looking: {done} of {plural(len(missing), 'image')}")
        if bar:
            bar.empty()
    return {
        image: kept[run.id, run.attempt, image, name]
        for image, name in wanted.items()
        if (run.id, run.attempt, image, name) in kept
    }


def picture_of(manifest: str, image: str, edge: int | None = None) -> Image.Image:
    """Return an image as training sees it; from its thumbnail where `edge` pixels are enough of it."""
    library = get_lab().library
    thumb = library.thumb_path(image)
    if edge is not None and thumb.exists():
        return Image.open(thumb).convert("RGB")
    try:
        return decode(library.image_path(image).read_bytes(), get_manifest(manifest).reading)
    except FileNotFoundError:
        message = "This image is no longer stored here: bring the data set again, which puts it back."
        raise UserError(message, "missing-image") from None


def overlay(run: Run, image: str, heat: Heat, opacity: float, edge: int) -> bytes:
    """Return a PNG of an image with its map over it, `edge` pixels long."""
    return _overlay(run.manifest, image, run.spec.geometry, heat.tolist(), opacity, edge)


@st.cache_data(max_entries=300, show_spinner=False)  # drawn anew at every click it would take a second
def _overlay(
    manifest: str, image: str, geometry: str, heat: list[list[float]], opacity: float, edge: int
) -> bytes:
    picture = picture_of(manifest, image, edge if edge <= THUMB else None)
    return to_png(draw_heat(picture, read_heat(heat), geometry, opacity, edge))


def show_scale(opacity: float) -> None:
    """Show which colour means what, with the line at half the most."""
    stops = []
    for number, colour in enumerate(SCALE):
        share = number / (len(SCALE) - 1)
        strength = f"{100 * opacity * share**0.8:.0f}%"
        stops.append(f"color-mix(in srgb,{colour} {strength},#9a9a9a)")
    st.html(
        "<div style='font-size:0.85rem;display:flex;gap:8px;align-items:center;flex-wrap:wrap'>"
        "<span>no influence</span>"
        f"<span style='flex:1;max-width:220px;height:12px;border-radius:3px;border:1px solid var(--lab-line);"
        f"background:linear-gradient(to right,{','.join(stops)})'></span><span>most</span>"
        "<span style='margin-left:10px;display:inline-block;width:22px;height:12px;border:2px solid #fff;"
        "outline:1.5px solid #000;border-radius:3px'></span><span>half the most or more</span></div>"
    )
