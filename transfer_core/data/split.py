"""Splitting without leaks: which images train, choose and test, and proof that they are apart."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from transfer_core.data.manifest import PARTS, TARGET_TRAIN, Manifest, Row
from transfer_core.data.receipt import Receipt, make_receipt
from transfer_core.data.split_causes import why_empty
from transfer_core.data.ungrouped import names_groups, tell_held_out, tell_ungrouped
from transfer_core.data.units import deal, find_units
from transfer_core.errors import UserError

Rule = Literal["image", "group", "domain", "given", "transfer"]
RULES: tuple[Rule, ...] = ("image", "group", "domain", "given", "transfer")
FRACTIONS = (0.60, 0.15, 0.25)


@dataclass(frozen=True)
class Split:
    """Which part every image belongs to that takes part; `assignment` maps image hash to part."""

    manifest: str
    rule: Rule
    seed: int
    fractions: tuple[float, float, float]
    assignment: Mapping[str, str]
    receipt: Receipt
    test_domain: str | None = None
    train_domain: str | None = None
    alike: tuple[tuple[str, ...], ...] = ()  # images that look nearly the same and were kept on one side

    @cached_property
    def id(self) -> str:
        """Sixteen hex digits over everything that decides the split."""
        content = [self.manifest, self.rule, self.seed, self.fractions, sorted(self.assignment.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def part(self, name: str) -> list[str]:
        """Return the image hashes of a part, in a canonical order."""
        return sorted(image for image, part in self.assignment.items() if part == name)

    @cached_property
    def new_classes(self) -> list[str]:
        """The classes of the target's images that the source does not have; none where both ask the same."""
        if self.rule != "transfer":
            return []
        own, other = (
            {name for part in parts for name, count in self.receipt.counts[part].items() if count}
            for parts in (("train", "val"), (TARGET_TRAIN, "test"))
        )
        return sorted(other - own)

    @cached_property
    def absent_classes(self) -> list[str]:
        """The classes of the source that no labelled image of the target is of; none where the target has no labels."""
        if self.rule != "transfer" or self.new_classes:
            return []
        counts = [self.receipt.counts[part] for part in (TARGET_TRAIN, "test")]
        found = {name for each in counts for name, count in each.items() if count}
        return sorted(set(self.receipt.counts["train"]) - found) if found else []

    def tell_absent(self) -> str:
        """Return a sentence on the classes that the target lacks, "" where there are none such."""
        if not self.absent_classes:
            return ""
        return (
            f"{self.test_domain} has no labelled image of {', '.join(self.absent_classes)}: figures are over the classes that it has. "
            f"Adaptation may be misled where it expects classes to be as frequent as in {self.train_domain}: among the settings, "
            "take validation_loss under “Chosen by”, and 0 as “Weight of equal class shares”."
        )

    def unlabelled(self, manifest: Manifest) -> dict[str, int]:
        """Return how many images of each part have no label; without the parts where all have one."""
        bare = {row.image for row in manifest.rows if row.label is None}
        return dict(Counter(part for image, part in self.assignment.items() if image in bare))

    def keeps_groups(self, manifest: Manifest) -> bool:
        """Tell whether figures must treat groups as independent: all but where single images were drawn."""
        return self.rule != "image" and any(manifest.by_image[image].group for image in self.part("test"))

    def ungrouped(self, manifest: Manifest) -> str:
        """Return a sentence on the images that name no group where others do, "" where there are none such."""
        return tell_ungrouped(manifest, self.assignment, dealt=self.rule not in ("domain", "given"))

    def held_out(self, manifest: Manifest) -> str:
        """Return in words what a split by group holds out: whole groups only where every image names one."""
        return tell_held_out(manifest, self.assignment)

    def units(self, manifest: Manifest, n: int) -> str:
        """Return in words what `n` units of the test part are that figures treat as independent."""
        alone = not all(manifest.by_image[image].group for image in self.part("test"))
        return f"{n:,} groups and single images" if alone else f"{n:,} group{'s' * (n != 1)}"

    def free(self, manifest: Manifest) -> set[str]:
        """Return the images that no part has and that training may look at without a label.

        Not those of a group, of pixels or of a domain that is tested or chosen by, nor those that came in a
        test or validation folder.
        """
        rows = sorted(manifest.rows, key=lambda row: row.image)
        units = find_units(rows, self.alike)
        kept = {units[image] for image, part in self.assignment.items() if part in ("val", "test")}
        return {
            row.image
            for row in rows
            if row.image not in self.assignment
            and units[row.image] not in kept
            and row.given not in ("val", "test")
            and (self.test_domain is None or row.domain != self.test_domain)
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Split:
        """Return the split that `to_json` described."""
        given = dict(data)
        given["fractions"] = tuple(given["fractions"])
        given["receipt"] = Receipt(**given["receipt"])
        given["alike"] = tuple(map(tuple, given.get("alike", ())))
        return cls(**given)


def usual_rule(manifest: Manifest) -> tuple[Rule, str]:
    """Return the rule to split by where nobody chose one, and why: whatever is known to belong together stays together."""
    if {"train", "test"} <= {row.given for row in manifest.rows}:
        return "given", "the images came in train and test folders"
    groups = {row.group for row in manifest.labelled if row.group}
    if names_groups(manifest.labelled):
        known = (
            "1 group is known, and it may not"
            if len(groups) == 1
            else f"{len(groups):,} groups are known, and none may"
        )
        return "group", f"{known} be on both sides"
    return "image", "fewer than half of the images name a group" if groups else "no groups are known"


def make_split(
    manifest: Manifest,
    rule: Rule = "image",
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    test_domain: str | None = None,
    train_domain: str | None = None,
    other_classes: bool = False,
    alike: Sequence[Sequence[str]] = (),
) -> Split:
    """Return a stratified, seeded split of the labelled images.

    `image`: every image on its own (identical pixels stay together); `group`: whole groups, for
    images of one patient or part; `domain`: `test_domain` is the test part, the rest trains (or
    `train_domain` alone, where it is named); `given`: as the upload's train, val and test folders say;
    `transfer`: `train_domain` (or all others) gives training and validation, `test_domain` the test part
    and, in "target_train", images that training may see and whose labels it may not, by group where
    there are groups. Classes are matched by name, and a target with other ones than the source is refused
    unless `other_classes` says that it asks another question. Clusters of images that look `alike` stay together as
    identical pixels do, wherever the rule leaves a choice. The order of rows does not matter.
    """
    rows = sorted(manifest.labelled, key=lambda row: row.image)
    shares = _check_fractions(fractions)
    _check_classes(manifest)
    if (test_domain or train_domain) and rule not in ("domain", "transfer"):
        raise UserError(
            f"Split by {rule}, images of all domains are mixed: split by domain or from one to another (transfer), or name no domain."
        )
    rng = np.random.default_rng([seed, 20_240])
    if rule == "given":
        assignment = _as_given(rows, alike, shares, rng)
    elif rule == "domain":
        wanted = [row for row in rows if train_domain in (None, row.domain) or row.domain == test_domain]
        assignment = _leave_domain_out(wanted, alike, test_domain, shares, rng)
    elif rule == "transfer":
        assignment = _transfer(manifest, alike, train_domain, test_domain, shares, rng, other_classes)
    elif rule == "group":
        if not any(row.group for row in rows):
            raise UserError("This data set names no groups: split by image instead.", "no-groups")
        assignment = deal(rows, find_units(rows, alike), shares, rng)
    elif rule == "image":
        assignment = deal(rows, find_units(rows, alike, groups=False), shares, rng)
    else:
        raise UserError(f"There is no split rule {rule!r}; choose one of {', '.join(RULES)}.")
    counts = Counter(assignment.values())
    for part in (*PARTS, TARGET_TRAIN) if rule == "transfer" else PARTS:
        if not counts[part]:
            raise UserError(why_empty(part, rows, rule, alike, test_domain), "empty-part")
    _check_trained(assignment, manifest, other_classes)
    receipt = make_receipt(manifest, assignment, alike)
    held = tuple(tuple(each) for each in alike)
    return Split(manifest.id, rule, seed, shares, assignment, receipt, test_domain, train_domain, held)


def _check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    good = len(fractions) == 3 and all(0 < each < 1 for each in fractions)
    if not good or abs(sum(fractions) - 1) > 1e-6:
        message = "The parts for training, validation and test must be three shares that add up to 1, such as 0.6, 0.15, 0.25."
        raise UserError(message)
    return fractions[0], fractions[1], fractions[2]


def _check_classes(manifest: Manifest) -> None:
    if len(manifest.classes) < 2:
        few = "only one class" if manifest.classes else "no class"
        message = f"{manifest.name} has {few} with labels; bring images of at least two."
        raise UserError(message, "one-class")


def _check_trained(assignment: Mapping[str, str], manifest: Manifest, other_classes: bool) -> None:
    by_image = manifest.by_image
    learnt = ("train", TARGET_TRAIN) if other_classes else ("train",)
    trained = {by_image[image].label for image, part in assignment.items() if part in learnt}
    unseen = [name for name in manifest.classes if name not in trained]
    if unseen:
        message = f"No image of {', '.join(unseen)} would be trained on: bring more images or split by another rule."
        raise UserError(message, "untrained-class")


def _leave_domain_out(
    rows: Sequence[Row],
    alike: Sequence[Sequence[str]],
    test_domain: str | None,
    shares: Sequence[float],
    rng: np.random.Generator,
) -> dict[str, str]:
    _check_domains(rows, test_domain)
    units = find_units(rows, alike)
    tested = {units[row.image] for row in rows if row.domain == test_domain}
    outside = [row for row in rows if row.domain != test_domain and units[row.image] not in tested]
    both = shares[0] + shares[1]
    assignment = deal(outside, units, (shares[0] / both, shares[1] / both, 0.0), rng)
    return assignment | {row.image: "test" for row in rows if row.domain == test_domain}


def _transfer(
    manifest: Manifest,
    alike: Sequence[Sequence[str]],
    source: str | None,
    target: str | None,
    shares: Sequence[float],
    rng: np.random.Generator,
    other_classes: bool,
) -> dict[str, str]:
    """Split the source into train and val, the target's images, labelled or not, into target_train and test."""
    rows = sorted(manifest.rows, key=lambda row: row.image)
    _check_domains(rows, target)
    if source is not None and source not in manifest.domains:
        names = ", ".join(each for each in manifest.domains if each != target)
        raise UserError(f"Name the domain to learn from, one of {names}.", "no-such-domain")
    if source == target:
        raise UserError("Source and target are the same domain: name two different ones.", "no-such-domain")
    there = [row for row in rows if row.domain == target]
    here = [row for row in rows if row.domain != target and source in (None, row.domain) and row.label]
    if not other_classes:
        _check_same_classes(here, there)
    units = find_units(rows, alike)
    parts = deal(there, units, (1 - shares[2], 0.0, shares[2]), rng)
    # Who is tested in the target is not learnt from in the source either.
    tested = {units[image] for image, part in parts.items() if part == "test"}
    here = [row for row in here if units[row.image] not in tested]
    # Nor does it choose by what training sees of the target without its label.
    seen = {units[image] for image, part in parts.items() if part == "train"}
    both = shares[0] + shares[1]
    free = [row for row in here if units[row.image] not in seen]
    assignment = deal(free, units, (shares[0] / both, shares[1] / both, 0.0), rng)
    assignment |= {row.image: "train" for row in here if units[row.image] in seen}
    return {image: TARGET_TRAIN if part == "train" else part for image, part in parts.items()} | assignment


def _check_same_classes(here: Sequence[Row], there: Sequence[Row]) -> None:
    """Refuse classes of the target that the source does not have: names are compared, never numbers."""
    own, other = {row.label for row in here}, {row.label for row in there if row.label}
    strange = sorted(str(each) for each in other - own)
    if strange:
        have = ", ".join(sorted(str(each) for each in own))
        message = (
            f"The target has classes that the source does not have: {', '.join(strange)}. "
            f"The source has: {have}. Rename folders or relabel so that the names agree; "
            "only multi-task learning (multi_task) takes domains that ask different questions."
        )
        raise UserError(message, "other-classes")


def _check_domains(rows: Sequence[Row], wanted: str | None) -> None:
    domains = sorted({row.domain for row in rows if row.domain})
    if len(domains) < 2:
        raise UserError("This data set has fewer than two domains: split by image or group.", "no-domains")
    if wanted not in domains:
        message = f"Name the domain to test on, one of {', '.join(domains)}."
        raise UserError(message, "no-such-domain")


def _as_given(
    rows: Sequence[Row], alike: Sequence[Sequence[str]], shares: Sequence[float], rng: np.random.Generator
) -> dict[str, str]:
    """Follow the folders; where they name no validation part, take one out of the training part."""
    named = {row.given for row in rows}
    if "train" not in named or "test" not in named:
        message = "This data set was not brought in train and test folders: split by image or group."
        raise UserError(message, "no-given-split")
    assignment = {row.image: row.given or "train" for row in rows}
    if "val" not in named:
        own = [row for row in rows if assignment[row.image] == "train"]
        both = shares[0] + shares[1]
        parts = (shares[0] / both, shares[1] / both, 0.0)
        assignment |= deal(own, find_units(own, alike), parts, rng)
    return assignment
