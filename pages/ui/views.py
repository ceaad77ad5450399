"""Six views of a training image, as an augmentation makes them."""

from __future__ import annotations

import streamlit as st

from pages.ui.state import get_lab
from transfer_core.data.augment import count_views, draw_mixture, make_view
from transfer_core.data.images import Pixels, decode, to_pixels
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.models.backbones import Backbone


def preview(manifest: Manifest, split: Split, backbone: Backbone, augment: str, geometry: str) -> None:
    """Show the first views of one training image side by side."""
    train = split.part("train")
    image, place = train[0], get_lab().library.image_path

    def read(image: str) -> Pixels:
        content = decode(place(image).read_bytes(), manifest.reading)
        return to_pixels(content, 160, geometry, backbone.interpolation)

    def partner(view: int) -> Pixels | None:
        mixture = draw_mixture(augment, view, image, 0, train)
        return read(mixture[0]) if mixture and place(mixture[0]).exists() else None

    if not place(image).exists():
        return
    pixels = read(image)
    views = max(6, count_views(augment)) if augment != "none" else 1
    shown = [
        make_view(pixels, augment, view, image, 0, partner(view)).transpose(1, 2, 0)
        for view in range(min(views, 6))
    ]
    for index, column in enumerate(st.columns(6)):
        if index < len(shown):
            caption = "as it is" if index == 0 else f"view {index + 1}"
            column.image(shown[index], caption=caption, width="stretch", alt=f"training image, {caption}")
