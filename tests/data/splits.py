"""Data sets of any kind to be split, and what is counted of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from hypothesis import assume
from hypothesis import strategies as st
from pictures import make_row

from transfer_core.data.manifest import TARGET_TRAIN, Manifest, Row
from transfer_core.data.split import Rule, Split, make_split
from transfer_core.errors import UserError

CLASSES = ("a", "b", "c")
DOMAINS = ("here", "there")


def make_manifest(rows: list[Row]) -> Manifest:
    return Manifest("set", tuple(sorted({row.label for row in rows if row.label})), tuple(rows))


def look_alikes(manifest: Manifest) -> list[list[str]]:
    """The images that share a look, in clusters."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in manifest.rows:
        found[row.look].append(row.image)
    return [sorted(each) for _, each in sorted(found.items()) if len(each) > 1]


def attempt(manifest: Manifest, rule: Rule, seed: int = 0, **wishes: object) -> Split:
    """A split; examples too small to be split are passed over."""
    try:
        return make_split(
            manifest,
            rule,
            seed=seed,
            test_domain="here" if rule in ("domain", "transfer") else None,
            **({"alike": look_alikes(manifest)} | wishes),
        )
    except UserError as error:
        assume(error.kind not in {"empty-part", "untrained-class", "one-class", "no-groups", "no-domains", "no-such-domain", "no-given-split", "other-classes"})  # fmt: skip
        raise


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Up to 60 images; some share pixels, groups or looks with others, some have no label or group."""
    number = draw(st.integers(12, 60))
    few = st.integers(0, number // 2)
    facts = st.tuples(
        st.sampled_from([*CLASSES * 4, None]),
        st.sampled_from(DOMAINS),
        st.none() | few,
        st.none() | few,
        st.sampled_from(["train", "train", "val", "test", None]),
        st.integers(0, 2000),
    )
    rows = []
    for n, (label, domain, group, pixels, part, look) in enumerate(draw(st.lists(facts, min_size=number, max_size=number))):  # fmt: skip
        same = f"{1000 + pixels if pixels is not None else n:064x}"
        name = None if group is None else f"patient {group}"
        rows.append(
            make_row(n, label, pixels=same, domain=domain, group=name, given=part, look=f"{look:016x}")
        )
    return make_manifest(rows)


def sides(manifest: Manifest, split: Split, key: Callable[[Row], str | None]) -> dict[str, set[str]]:
    """The sides on which each value of a key stands: images whose labels are hidden are on training's."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in manifest.rows:
        part = split.assignment.get(row.image)
        if key(row) and part:
            found[key(row) or ""].add("train" if part == TARGET_TRAIN else part)
    return found


def crossing(found: Mapping[str, set[str]]) -> list[str]:
    return [key for key, parts in found.items() if len(parts) > 1]
