"""A proposal of what each level of folders means, from the paths alone: how many names a level has, which come again, what they say.

What is not sure carries a doubt, and is asked: a wrong class is worse than a question.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property

from transfer_core.data.ingest import Candidate
from transfer_core.data.level_masks import find_masks, is_telling, stem_of
from transfer_core.data.level_words import (
    are_chunks,
    is_images,
    is_labelled,
    is_unlabelled,
    look_numbered,
    name_classes,
    name_sites,
    name_things,
    name_views,
    name_visits,
    parts_of,
)
from transfer_core.data.levels import Meaning, Proposal, Scheme, some_names, split_path
from transfer_core.data.manifest import Manifest

FEW_DOMAINS = 8  # with more names than that, a level above the classes is asked about: they may be persons
FEW_IMAGES, MANY_CLASSES = 3, 20  # more folders with fewer images each than that may be persons or things
SAME = 0.5  # of the file names of a folder, from which it may hold copies
Folders = tuple[str, ...]
NOTHING: Meaning = "out"


def propose(candidates: Sequence[Candidate], parent: Manifest | None = None) -> Proposal:
    """Return what the folders of these images could mean.

    `parent`: the data set to which they are added; a folder named as one of its domains or classes is that, even if it is
    the only one.
    """
    paths = [split_path(each.path) for each in candidates]
    root = _shared_root([each[:-1] for each in paths], _Known(parent))
    paths = [each[root:] for each in paths]
    masks, proven = find_masks(paths)
    without = masks if proven else ()
    folders = [each[:-1] for each in paths if not set(each[:-1]) & set(without)]
    guess = _Guess(folders, _Known(parent))
    meanings = guess.meanings()
    guess.look_at_copies([each for each in paths if not set(each[:-1]) & set(without)])
    shown = tuple(Counter(each[place] for each in paths if len(each) > place + 1)
                  for place in range(max((len(each) - 1 for each in paths), default=0)))  # fmt: skip
    meanings += (NOTHING,) * (len(shown) - len(meanings))  # levels that only masks have
    doubt = guess.doubt
    if masks and not proven:
        doubt = doubt or f"{' and '.join(masks)} may hold drawings that belong to other images"
    careful = tuple(each if each == "split" or guess.is_certain(place) or not doubt else "out"
                    for place, each in enumerate(meanings))  # fmt: skip
    return Proposal(Scheme(meanings, root, without), shown, doubt, masks, Scheme(careful, root, without))


class _Known:
    """What is known by name: the domains and classes of the data set to which images are added."""

    def __init__(self, parent: Manifest | None) -> None:
        self.domains = set(parent.domains) if parent else set()
        self.classes = set(parent.classes) if parent else set()
        self._first = {each.split("/")[0].lower() for each in self.domains} | {
            each.lower() for each in self.classes
        }

    def means(self, folder: str) -> bool:
        """Tell whether a folder says something, even where all images are in it."""
        return bool(parts_of([folder])) or is_unlabelled(folder) or folder.lower() in self._first


def _shared_root(folders: Sequence[Folders], known: _Known) -> int:
    """Return how many leading folders all images share and no meaning hangs on."""
    depth = 0
    while (
        len({each[: depth + 1] for each in folders}) == 1
        and len(folders[0]) > depth
        and not known.means(folders[0][depth])
        and any(len(each) > depth + 1 for each in folders)
    ):
        depth += 1
    return depth


class _Guess:
    """From the names of folders to their meanings. `doubt` says what is not sure; "" where all is."""

    def __init__(self, folders: Sequence[Folders], known: _Known) -> None:
        self._folders = [each for each in folders if not any(map(is_unlabelled, each))]
        self._known = known
        self._found: dict[int, Meaning] = {}
        self._depth = max(map(len, folders), default=0)
        self.doubt = ""

    @cached_property
    def _names(self) -> list[Counter[str]]:
        return [
            Counter(each[place] for each in self._folders if len(each) > place)
            for place in range(self._depth)
        ]

    def is_certain(self, place: int) -> bool:
        """Tell whether a level's own names say what it is."""
        names = self._names[place] if place < self._depth else Counter()
        return (
            name_things(names) or name_visits(names) or name_sites(names) or set(names) <= self._known.domains
        )

    def meanings(self) -> tuple[Meaning, ...]:
        """Return the meaning of each level."""
        self._find_split()
        for place in range(self._depth):
            if place not in self._found and (said := self._said(place)):
                self._found[place] = said
        self._find_groups()
        rest = [place for place in range(self._depth) if place not in self._found]
        several = [place for place in rest if len(self._names[place]) > 1]
        if (
            len(several) == 1
            and len(rest) > 1
            and rest[-1] != several[0]
            and "class" not in self._found.values()
        ):
            several.append(rest[-1])  # one class of several domains, or a name that says nothing
        if several or "class" in self._found.values():
            self._found.update(
                dict.fromkeys(set(rest) - set(several), "out")
            )  # one name alone says nothing beside others
            rest = several
        elif len(rest) > 1:
            self._found.update(dict.fromkeys(rest[:-1], "out"))
            rest = rest[-1:]
        self._find_class(rest)
        self._look_at_depth()
        return tuple(self._found[place] for place in range(self._depth))

    def _doubt(self, why: str) -> None:
        self.doubt = self.doubt or why

    def _find_split(self) -> None:
        for place, names in enumerate(self._names):
            parts = parts_of(names)
            whole = len(parts) == len(names)
            above = any(len(each) > place + 1 and each[place] in parts for each in self._folders)
            if parts and whole and (above or {"train", "test"} & set(parts.values())):
                self._found[place] = "split"
                return
            if parts and above and ("train" in parts.values() or len(set(parts.values())) > 1):
                self._found[place] = "split"
                others = " and ".join(sorted(set(names) - set(parts)))
                self._doubt(f"{others} lies beside {' and '.join(sorted(parts))}")
                return
            if "train" in parts.values() and len(names) <= 3:
                self._doubt(f"{' and '.join(sorted(names))} may be classes, or parts of a split")

    def _said(self, place: int) -> Meaning | None:
        """Return what a level's names say of it by themselves."""
        names = set(self._names[place])
        if not names:
            return "out"  # all of it is unlabelled
        if self._known.domains and names <= self._known.domains:
            return "domain"
        if self._known.classes and len(names & self._known.classes) >= 0.5 * len(names):
            return "class"
        if all(map(is_images, names)) and self._depth > 1:
            return "out"
        if all(is_labelled(each) or is_unlabelled(each) for each in names):
            return "out"
        if are_chunks(names):
            if self._depth == 1:
                self._doubt("the folders may be classes, or no more than parts of one collection")
            return "out"
        return None

    def _find_groups(self) -> None:
        """Ids of persons or things are groups: those of the topmost level, which hold all below together."""
        free = [place for place in range(self._depth) if place not in self._found]
        things = [place for place in free if name_things(self._names[place])]
        visits = [place for place in free if name_visits(self._names[place]) and place not in things]
        ids = things or visits[:1]
        if not ids:
            return
        for place in (*things, *visits):
            self._found[place] = "group" if place == ids[0] else "out"
        if not set(free) - {*things, *visits} and "class" not in self._found.values():
            self._doubt(
                "the folders look like ids of persons or things, and no level is left for the classes"
            )

    def _find_class(self, rest: list[int]) -> None:
        if "class" in self._found.values() and len(rest) < 2:
            self._found.update(dict.fromkeys(rest, "domain"))
            if rest and (look_numbered(self._names[rest[0]]) or len(self._names[rest[0]]) > FEW_DOMAINS):
                self._doubt(f"{some_names(self._names[rest[0]])} could be domains, or persons or things")
        elif len(rest) > 2 or "class" in self._found.values():
            self._guess_many(rest)
        elif len(rest) == 2:
            self._guess_two(*rest)
        elif rest:
            self._found[rest[0]] = "class"
            names = self._names[rest[0]]
            if look_numbered(names):
                self._doubt(f"{some_names(names)} could be classes, or ids of persons or things")
            elif len(names) > MANY_CLASSES and names.total() < FEW_IMAGES * len(names):
                self._doubt(f"{some_names(names)} could be classes, but have few images each")

    def _guess_two(self, above: int, below: int) -> None:
        """One is the class. Classes that come again below each of a few names are those of domains; all else is asked."""
        high, low = self._names[above], self._names[below]
        crossed = self._crossed(above, below)
        numbered = look_numbered(high), look_numbered(low)
        classes_above = name_classes(high) and not name_classes(low)
        found: tuple[Meaning, Meaning] = ("domain", "class")
        if name_sites(low) and not name_sites(high):
            found = "class", "domain"
        elif numbered[1] or (not crossed and len(low) >= max(10, 3 * len(high))):
            found = "class", "group"
        elif numbered[0] or (crossed and len(high) > max(FEW_DOMAINS, 2 * len(low))):
            found = "group", "class"
        elif classes_above or name_views(low):
            found = "class", "domain" if crossed else "out"
        self._found[above], self._found[below] = found
        if (
            found != ("domain", "class")
            or not crossed
            or len(high) > FEW_DOMAINS
            or any(numbered)
            or len(low) == 1
        ):
            self._doubt(f"either {some_names(high)} or {some_names(low)} could be the classes")

    def _guess_many(self, rest: list[int]) -> None:
        """Of three and more only a likely answer is given; it is always asked."""
        if not rest:
            return
        self._doubt("there are several levels, and each could be the classes")
        numbered = [place for place in rest if look_numbered(self._names[place])]
        if "group" not in self._found.values() and numbered:
            self._found[numbered[0]] = "group"
        for place in rest:
            only = place and all(len(each) == 1 for each in self._below(place).values())
            if place in numbered or name_views(self._names[place]) or only:
                self._found.setdefault(place, "out")
        rest = [place for place in rest if place not in self._found]
        if rest and "class" not in self._found.values():
            named = [place for place in rest if name_classes(self._names[place])]
            self._found[named[0] if named else rest[-1]] = "class"
        for place in rest:
            self._found.setdefault(place, "domain")

    def _below(self, place: int) -> dict[Folders, set[str]]:
        """Return the names of a level that lie in each folder above it."""
        found: dict[Folders, set[str]] = defaultdict(set)
        for each in self._folders:
            if len(each) > place:
                found[each[:place]].add(each[place])
        return found

    def _crossed(self, above: int, below: int) -> bool:
        """Tell whether at least half of the lower names come below several of the higher ones."""
        places: dict[str, set[str]] = defaultdict(set)
        for each in self._folders:
            if len(each) > below:
                places[each[below]].add(each[above])
        return 2 * sum(len(each) > 1 for each in places.values()) >= len(places)

    def _look_at_depth(self) -> None:
        """Where files lie at different depths, the same level may not mean the same everywhere."""
        split = [place for place, each in self._found.items() if each == "split"]
        deep = {len(each) for each in self._folders if len(each) > len(split)}
        meant = max((place + 1 for place, each in self._found.items() if each != "out"), default=0)
        if len({min(each, meant) for each in deep}) > 1:
            self._doubt("images lie in folders of different depth")

    def look_at_copies(self, paths: Sequence[tuple[str, ...]]) -> None:
        """Domains with the same files by name may be one set of images, shown in several ways."""
        for place in (place for place, each in self._found.items() if each == "domain"):
            files: dict[str, list[str]] = defaultdict(list)
            for each in paths:
                if len(each) > place + 1:
                    files[each[place]].append(stem_of(each[-1]))
            once = {name: set(own) for name, own in files.items() if len(set(own)) == len(own)}
            for name, own in once.items():
                others = set().union(*(each for other, each in once.items() if other != name))
                if len({each for each in own & others if is_telling(each)}) > SAME * len(own):
                    self._doubt(
                        f"the same file names lie in {name} and in others beside it, as if they were copies"
                    )
