"""Masks beside images: drawings that belong to other images and are of no class, told by their folders or their own names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from transfer_core.data.level_words import (
    MASK_SUFFIX,
    denies_mask,
    is_images,
    parts_of,
    says_label,
    says_mask,
)

SHORT = 4  # digits up to which two files may have the same name by chance


def find_masks(paths: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], bool]:
    """Return the names of folders that may hold masks, and whether it is plain that they do.

    It is where each has an image it belongs to by its name, or where such a folder lies beside one called images or train.
    """
    names: dict[int, set[str]] = defaultdict(set)
    for each in paths:
        for place, folder in enumerate(each[:-1]):
            names[place].add(folder)
    beside = {
        name: names[place] - {name}
        for place in names
        for name in names[place]
        if says_mask(name) or says_label(name)
    }
    found = {name for name, others in beside.items() if not any(map(denies_mask, others))}
    if not found:
        return (), False
    drawn: dict[str, set[str]] = defaultdict(set)
    plain: set[str] = set()
    for each in paths:
        stem = stem_of(each[-1])
        if under := found & set(each[:-1]):
            drawn[next(iter(under))].add(MASK_SUFFIX.sub("", stem))
        else:
            plain.add(stem)

    def is_plain(name: str) -> bool:
        if any(is_images(each) or parts_of([each]) for each in beside[name]):
            return True
        return sum(map(is_telling, drawn[name] & plain)) >= 0.8 * len(drawn[name])

    found = {name for name in found if is_plain(name) or says_mask(name)}
    return tuple(sorted(found)), all(map(is_plain, found))


def stem_of(name: str) -> str:
    """Return a file's name without its suffix, in lower case."""
    return (name.rpartition(".")[0] or name).lower()


def is_telling(stem: str) -> bool:
    """Tell whether two files of this name hardly have it by chance."""
    return len(stem) > SHORT or not stem.isdigit()


def image_of(path: Sequence[str], here: Collection[tuple[Sequence[str], str]]) -> str | None:
    """Return the name of the image that a file is the mask of: one in the same folder, whose name it has with an ending more.

    `here`: folders and stem of each file.
    """
    stem = stem_of(path[-1])
    own = MASK_SUFFIX.sub("", stem)
    return own if own and own != stem and (path[:-1], own) in here else None
