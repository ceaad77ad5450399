"""What each level of folders means: a class, a group, a domain, a part of a split, or nothing.

A scheme says it for all images; `level_guess` proposes one.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from transfer_core.data.ingest import Candidate
from transfer_core.data.level_masks import image_of, stem_of
from transfer_core.data.level_words import is_unlabelled, parts_of
from transfer_core.data.manifest import Problem
from transfer_core.data.names import short_name
from transfer_core.errors import UserError

Meaning = Literal["class", "group", "domain", "split", "out"]
MEANINGS: tuple[Meaning, ...] = ("class", "group", "domain", "split", "out")


@dataclass(frozen=True)
class Scheme:
    """What the folders below the first `root` ones mean, from the top; images in folders called as in `without` are left out."""

    meanings: tuple[Meaning, ...]
    root: int = 0
    without: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scheme:
        """Return the scheme that `asdict` described."""
        return cls(tuple(data["meanings"]), data["root"], tuple(data["without"]))


@dataclass(frozen=True)
class Proposal:
    """A scheme, the number of images of each name at each level, and why it is not sure ("" where it is).

    `masks`: folders that may be left out. `cautious`: the scheme where a table says the classes: what is not sure means nothing.
    """

    scheme: Scheme
    levels: tuple[Mapping[str, int], ...]
    doubt: str = ""
    masks: tuple[str, ...] = ()
    cautious: Scheme = Scheme(())

    @property
    def is_sure(self) -> bool:
        """Whether nobody need be asked."""
        return not self.doubt

    def tell(self, scheme: Scheme) -> str:
        """Return what a scheme takes the folders for, in one line: "class / group / image"."""
        told = list(scheme.meanings)
        words = [f"group ({len(names):,}, hashed)" if each == "group" else "nothing" if each == "out" else each
                 for each, names in zip(told, self.levels, strict=False)]  # fmt: skip
        left = f"; left out: {', '.join(scheme.without)}" if scheme.without else ""
        return " / ".join([*words, "image"]) + left

    def note(self, scheme: Scheme) -> list[Problem]:
        """Return what is worth knowing of a scheme: nothing where each level is a class, a domain or a split."""
        if not scheme.without and not {"group", "out"} & set(scheme.meanings):
            return []
        return [Problem("", "levels", f"folders taken as {self.tell(scheme)}")]

    def ask(self) -> str:
        """Return what is asked of whoever brings the images: the doubt, and each level with examples."""
        levels = [f"{place}: {some_names(names)}" for place, names in enumerate(self.levels, start=1)]
        return f"What the folders mean is unclear: {self.doubt}. Level {'; level '.join(levels)}."


def some_names(names: Mapping[str, int]) -> str:
    """Return a level's most frequent names, and how many more there are."""
    most = [name for name, _ in Counter(names).most_common(3)]
    return ", ".join(most) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def split_path(name: str) -> tuple[str, ...]:
    """Return the folders and the name of a file, whatever parts them, in one spelling of Unicode."""
    whole = unicodedata.normalize("NFC", name).replace("\\", "/")
    return tuple(each for each in whole.split("/") if each not in ("", "."))


def apply_scheme(candidates: Iterable[Candidate], scheme: Scheme) -> tuple[list[Candidate], list[Problem]]:
    """Return the candidates with what their folders say of them, and what was left out.

    Groups are handed on as persons: what is stored of them is a salted hash.
    """
    candidates = list(candidates)
    paths = [split_path(each.path) for each in candidates]
    here = {(each[:-1], stem_of(each[-1])) for each in paths if each}
    gone: Counter[str] = Counter()
    found: list[Candidate] = []
    problems: list[Problem] = []
    at = {
        each: [place for place, meaning in enumerate(scheme.meanings) if meaning == each] for each in MEANINGS
    }
    parts = parts_of({path[scheme.root :][place] for path in paths for place in at["split"]
                      if len(path) > scheme.root + place + 1})  # fmt: skip
    for each, path in zip(candidates, paths, strict=True):
        folders = path[scheme.root : -1]
        if out := next((folder for folder in folders if folder in scheme.without), None):
            gone[out] += 1
            continue
        if own := image_of(path, here):
            problems.append(Problem(each.path, "mask", f"a drawing that belongs to {own}; left out"))
            continue
        said = {meaning: "/".join(folders[place] for place in at[meaning] if place < len(folders)) or None
                for meaning in MEANINGS}  # fmt: skip
        label = None if any(map(is_unlabelled, folders)) else said["class"]
        domain, given = short_name(said["domain"]), parts.get(said["split"] or "")
        told = replace(each, label=short_name(label), domain=domain, person=said["group"], given=given)
        found.append(told)
    problems += [Problem(name, "left-out", f"{n:,} files in folders called {name} were left out")
                 for name, n in sorted(gone.items())]  # fmt: skip
    return found, problems


def choose(proposal: Proposal, meanings: Collection[str], without: Collection[str] | None = None) -> Scheme:
    """Return the scheme that somebody chose; UserError where it does not go with the folders that are there."""
    unknown = [each for each in meanings if each not in MEANINGS]
    if unknown:
        raise UserError(f"{unknown[0]!r} is no meaning of a folder: use {', '.join(MEANINGS)}.", "bad-levels")
    if len(meanings) != len(proposal.levels):
        n, said = len(proposal.levels), len(meanings)
        raise UserError(
            f"There {'is 1 level' if n == 1 else f'are {n} levels'} of folders, and {said} "
            f"{'was' if said == 1 else 'were'} named. {proposal.ask()}",
            "bad-levels",
        )
    told: tuple[Meaning, ...] = tuple(meanings)  # type: ignore[arg-type]
    splits = [names for each, names in zip(told, proposal.levels, strict=True) if each == "split"]
    if len(splits) > 1:
        raise UserError("Only one level of folders can be the split: choose one.", "bad-levels")
    if splits and not parts_of(splits[0]):
        raise UserError(
            f"No folder of that level is called like a part of a split: {some_names(splits[0])}. It needs train, val or test.",
            "bad-levels",
        )
    left = proposal.scheme.without if without is None else tuple(without)
    return replace(proposal.scheme, meanings=told, without=left)
