"""Changes to a data set. Each makes a new version with the old one as its parent; the old one stays as it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from transfer_core.data.manifest import Manifest, Row
from transfer_core.errors import UserError


def relabel(manifest: Manifest, labels: Mapping[str, str | None]) -> Manifest:
    """Return a version in which these images have these labels; None takes a label away."""
    _refuse_unknown(manifest, labels)
    clean = {
        image: unicodedata.normalize("NFC", label).strip() if label else None
        for image, label in labels.items()
    }
    return _version(
        manifest,
        [
            replace(row, label=clean[row.image] or None, claims=() if clean[row.image] else row.claims)
            if row.image in clean
            else row
            for row in manifest.rows
        ],
    )


def merge_classes(manifest: Manifest, names: Iterable[str], into: str) -> Manifest:
    """Return a version in which all images of these classes are of one."""
    doomed = set(names)
    unknown = doomed - set(manifest.classes)
    if unknown:
        raise UserError(f"There is no class {', '.join(sorted(unknown))} in this data set.", "no-class")
    return relabel(manifest, {row.image: into for row in manifest.rows if row.label in doomed})


def exclude(manifest: Manifest, images: Iterable[str]) -> Manifest:
    """Return a version without these images."""
    doomed = set(images)
    _refuse_unknown(manifest, doomed)
    rest = [row for row in manifest.rows if row.image not in doomed]
    if not rest:
        raise UserError("Nothing would be left of the data set: delete it instead.", "no-images")
    return _version(manifest, rest)


def keep_first(manifest: Manifest, clusters: Iterable[Sequence[str]]) -> Manifest:
    """Return a version with one image of each cluster: the one that has a label, then the first by path."""
    by_image = manifest.by_image
    doomed: set[str] = set()
    for cluster in clusters:
        best = min(cluster, key=lambda image: (by_image[image].label is None, by_image[image].path))
        doomed |= set(cluster) - {best}
    return exclude(manifest, doomed)


def group_together(manifest: Manifest, clusters: Iterable[Sequence[str]]) -> Manifest:
    """Return a version in which the images of each cluster are of one group, with all of the groups they were of.

    Two patients whose images look alike become one group: a split then keeps both on one side, which is safe.
    """
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    by_image = manifest.by_image
    for cluster in clusters:
        names = [by_image[image].group or f"alike {image[:8]}" for image in cluster]
        for name in names[1:]:
            root[find(name)] = find(names[0])
    own = {image: by_image[image].group or f"alike {image[:8]}" for each in clusters for image in each}

    def group(row: Row) -> str | None:
        name = own.get(row.image, row.group)
        return find(name) if name else None

    return _version(manifest, [replace(row, group=group(row)) for row in manifest.rows])


def set_groups(manifest: Manifest, groups: Mapping[str, str | None]) -> Manifest:
    """Return a version in which these images are of these groups; None takes a group away."""
    _refuse_unknown(manifest, groups)
    return _version(
        manifest,
        [replace(row, group=groups[row.image]) if row.image in groups else row for row in manifest.rows],
    )


def _refuse_unknown(manifest: Manifest, images: Iterable[str]) -> None:
    if not set(images) <= manifest.by_image.keys():
        raise UserError("That image is not in this data set.", "no-image")


def _version(manifest: Manifest, rows: Sequence[Row]) -> Manifest:
    classes = tuple(sorted({row.label for row in rows if row.label is not None}))
    return replace(manifest, classes=classes, rows=tuple(rows), parent=manifest.id)
