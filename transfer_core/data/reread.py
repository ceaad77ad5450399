"""Images that are kept as they were brought, read in another way: another black and another white."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from transfer_core.data.crew import Crew
from transfer_core.data.depth import Values
from transfer_core.data.images import get_look, hash_pixels, make_thumbnail, open_image, to_rgb
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Reading, Row


def reread(
    library: Library,
    manifest: Manifest,
    reading: Reading,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Return the version of a data set whose images are read in this way, not stored yet.

    Thumbnails are made anew: galleries show the newest reading.
    """
    rows: list[Row] = []
    with Crew(len(manifest.rows)) as crew:
        for row in crew.each(partial(_again, library, reading), manifest.rows, lambda row: row):
            rows.append(row)
            if progress:
                progress(len(rows), len(manifest.rows))
    return replace(manifest, rows=tuple(rows), reading=reading, parent=manifest.id)


def _again(library: Library, reading: Reading, row: Row) -> Row:
    opened = open_image(library.image_path(row.image).read_bytes())
    if not isinstance(opened, Values):
        return row  # 8 bits are what they are
    image = to_rgb(opened, reading)
    library.store_thumbnail(row.image, make_thumbnail(image))
    return replace(row, pixels=hash_pixels(image), look=get_look(image))
