"""Why a part of a split has no images, of any class or of one: the cause, so that whoever reads it can mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from transfer_core.data.manifest import TARGET_TRAIN, Manifest, Row
from transfer_core.data.units import find_units

NAMES = {
    "train": "training part",
    "val": "validation part",
    "test": "test part",
    TARGET_TRAIN: "part of the target that training may see",
}
ENOUGH = 20  # units of images, from which on it is not their number but their sizes that leave a part empty


def why_empty(
    part: str, rows: Sequence[Row], rule: str, alike: Sequence[Sequence[str]], test_domain: str | None = None
) -> str:
    """Return in a sentence or two why a part would be empty, and what to do. `rows`: the labelled images."""
    empty = f"The {NAMES[part]} would be empty"
    if rule == "given":
        return f"{empty}: no image came in a folder of that name. Bring some, or split by another rule."
    if part == "test" and test_domain is not None:
        return f"{empty}: no image of {test_domain} has a label. Bring some, or test on another domain."
    shared = [row for row in rows if test_domain is None or row.domain != test_domain]
    units = Counter(find_units(shared, alike, groups=rule != "image").values())
    groups = {row.group for row in shared if row.group} if rule != "image" else set()
    what = _counted(len(units), "group" if groups else "image")
    if groups and len(units) < ENOUGH:
        cause = f"there are only {what} to share out, and each stays whole in one part"
        if len(units) == 1:
            cause = "there is only one group, and it stays whole in one part"
        remedy = "Say on the Data page which images belong together, bring images of more groups, or split by another rule."
    elif len(units) < ENOUGH:
        alone = "" if len(units) == len(shared) else ", those that look the same counted as one,"
        cause = f"there are only {what}{alone} to share out"
        remedy = "Bring more images."
    else:
        largest = max(units.values(), default=0)
        cause = f"{_counted(largest, 'image')} of {len(shared):,} stay together in one group or set of look-alikes"
        remedy = "Bring more images, or split by another rule."
    return f"{empty}: {cause}. {remedy}"


def why_without(
    classes: Sequence[str],
    manifest: Manifest,
    counts: Mapping[str, Mapping[str, int]],
    rule: str,
    alike: Sequence[Sequence[str]] = (),
) -> list[str]:
    """Return a sentence for each of these classes that has no image to choose by, or none to test by: where, and why."""
    found = []
    units = find_units(manifest.labelled, alike, groups=rule != "image")
    for name in classes:
        parts = [NAMES[part] for part in ("val", "test") if part in counts and not counts[part].get(name, 0)]
        if parts:
            own = [row for row in manifest.labelled if row.label == name]
            together = len({units[row.image] for row in own})
            found.append(
                f"No image of {name} in the {' nor in the '.join(parts)}: {_why(own, together, rule)}."
            )
    return found


def _why(own: Sequence[Row], units: int, rule: str) -> str:
    if len(own) < 3:
        return f"the class has only {_counted(len(own), 'image')}"
    if rule == "given":
        return "none came in that folder"
    if units < 3:
        what = "group or set of look-alikes" if units == 1 else "groups or sets of look-alikes"
        return f"its {len(own):,} images are of {units} {what}, and each stays whole in one part"
    if units < len(own):
        return "groups or look-alikes that stay together are large; another seed may help"
    return "another seed or larger parts may help"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
