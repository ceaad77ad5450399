"""Six views of a training image, as an augmentation makes them."""

from __future__ import annotations

import streamlit as st

from pages.ui.state import get_lab
from transfer_core.data.augment import count_views, make_view
from transfer_core.data.images import decode, to_pixels
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.models.backbones import Backbone


def preview(manifest: Manifest, split: Split, backbone: Backbone, augment: str, geometry: str) -> None:
    """Show the first views of one training image side by side."""
    image = split.part("train")[0]
    path = get_lab().library.image_path(image)
    if not path.exists():
        return
    pixels = to_pixels(decode(path.read_bytes(), manifest.reading), 160, geometry, backbone.interpolation)
    views = max(6, count_views(augment)) if augment != "none" else 1
    shown = [make_view(pixels, augment, view, image, 0).transpose(1, 2, 0) for view in range(min(views, 6))]
    for index, column in enumerate(st.columns(6)):
        if index < len(shown):
            caption = "as it is" if index == 0 else f"view {index + 1}"
            column.image(shown[index], caption=caption, width="stretch", alt=f"training image, {caption}")
