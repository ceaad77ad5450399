"""The data sets on disk: manifests, content-addressed image bytes, thumbnails and splits.

datasets/<id>/manifest.json, about.json (name, created, problems), splits/<id>.json
images/ab/<sha-256 of the file that was brought>, what is kept of it      thumbs/ab/<the same>.jpg
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock

from transfer_core.data.about import ABOUT, MANIFEST, About, read_about, read_manifest, read_split
from transfer_core.data.manifest import Manifest, Problem
from transfer_core.data.names import short_name
from transfer_core.data.problems import bounded
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.files import (
    folder_bytes,
    get_secret,
    is_id,
    read_kept,
    read_work,
    sync_all,
    write_bytes,
    write_json,
)

ORPHAN_AGE = 3600.0  # seconds
VERSION = ", version "  # stands between the name of a data set and the number of a changed one


class Library:
    """The data sets below one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "datasets"

    def add(
        self, manifest: Manifest, problems: Iterable[Problem] = (), note: str = "", group_pattern: str = ""
    ) -> Manifest:
        """Store a manifest, with a remark on where it comes from; return it as it is stored.

        The same content again stays what it is, with its name, date and parent; only the problems are those of now. A
        name that another data set has gets a number.
        """
        sync_all()  # the images first: a manifest must not name one that a power cut can take away
        folder = self.folder / manifest.id
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "names.lock"):  # or two that arrive at once take the same name
            known = vars(self.about(manifest.id)) if (folder / ABOUT).exists() else {}
            if known and not known["damage"]:
                manifest = self.get(manifest.id).named(known["name"])
            else:
                manifest = manifest.named(known.get("name") or self._free_name(short_name(manifest.name)))
                write_json(folder / MANIFEST, manifest.to_json())
            about = {
                "id": manifest.id,
                "name": manifest.name,
                "created": known.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
                "images": len(manifest.rows),
                "classes": manifest.classes,
                "problems": [each.to_json() for each in bounded(problems)],
                "note": note or known.get("note", ""),
                "group_pattern": group_pattern or known.get("group_pattern", ""),
            }
            write_json(folder / ABOUT, about)  # last: a data set exists once this file does
        return manifest

    def add_version(self, manifest: Manifest, note: str, group_pattern: str | None = None) -> Manifest:
        """Store a changed data set beside the one it came from, named after it, with what was changed.

        `group_pattern`: where the change made groups, the pattern on paths that did so, "" where none did.
        """
        before = self.about(manifest.parent or "")
        pattern = before.group_pattern if group_pattern is None else group_pattern
        named = manifest.named(self.version_name(before.id))
        return self.add(named, before.problems, note, pattern)

    def _free_name(self, name: str) -> str:
        taken = {each.name for each in self.datasets()}
        base, _, number = name.rpartition(VERSION)
        if name not in taken:
            return name
        if base and number.isdigit():
            return self._next_version(base)
        return next(each for n in count(2) if (each := f"{name} ({n})") not in taken)

    def _next_version(self, base: str) -> str:
        """Return the name after the last version, whichever branch that is on: a number means one data set."""
        numbers = [each.name.removeprefix(base + VERSION) for each in self.datasets()]
        last = max((int(each) for each in numbers if each.isdigit()), default=1)
        return f"{base}{VERSION}{last + 1}"

    def decide(self, split: Split) -> Split:
        """Store a split that somebody chose for what comes next; `decided` returns it."""
        self.add_split(split)
        write_json(self.folder / split.manifest / "decided.json", {"split": split.id, "at": time.time()})
        return split

    def decided(self, dataset: str) -> tuple[str, float] | None:
        """Return the split that was chosen last for a data set, and when (seconds since 1970); None where none was."""
        path = self.folder / dataset / "decided.json"
        told: dict[str, Any] = read_kept(path, {}) if is_id(dataset) else {}
        return (told["split"], told["at"]) if {"split", "at"} <= told.keys() else None

    def before(self, manifest: Manifest) -> Manifest | None:
        """Return the version a data set came from, where its images are read in the same way."""
        with suppress(UserError):  # there is none, it was deleted, or it is damaged
            found = self.get(manifest.parent or "")
            return found if found.reading == manifest.reading else None
        return None

    def version_name(self, parent: str) -> str:
        """Return what a new version of a data set is called."""
        name = self.about(parent).name
        base, _, number = name.rpartition(VERSION)
        return self._next_version(base if base and number.isdigit() else name)

    def dismissed(self, dataset: str) -> list[str] | None:
        """Return the kinds of findings that somebody looked at and left as they are; None where nobody was asked yet.

        `data.dismissed.get_dismissed` also knows what was left in the version before.
        """
        path = self.folder / dataset / "dismissed.json"
        kinds: list[str] = read_kept(path, [""]) if is_id(dataset) else [""]
        return None if "" in kinds else kinds

    def dismiss(self, dataset: str, kind: str, *, back: bool = False) -> None:
        """Leave a kind of finding as it is, or bring it `back`."""
        kinds = {*(self.dismissed(dataset) or ()), kind} - ({kind} if back else set())
        self.set_dismissed(dataset, kinds)

    def set_dismissed(self, dataset: str, kinds: Iterable[str]) -> None:
        """Say which kinds of findings are left as they are."""
        write_json(self.folder / self.about(dataset).id / "dismissed.json", sorted(kinds))

    def get(self, dataset: str) -> Manifest:
        """Return the manifest of a data set by its whole id; UserError where it is damaged."""
        return read_manifest(self._about_path(dataset).with_name(MANIFEST))

    def about(self, dataset: str) -> About:
        """Return name, date, counts and problems of a data set."""
        return read_about(self._about_path(dataset))

    def _about_path(self, dataset: str) -> Path:
        path = self.folder / dataset / ABOUT
        if not is_id(dataset) or not path.exists():
            raise UserError(f"There is no data set {dataset!r}; see the list of data sets.", "no-data")
        return path

    def datasets(self) -> list[About]:
        """Return all data sets, newest first; of a damaged one what is still known, with its `damage`."""
        found: list[About] = []
        for path in self.folder.glob(f"*/{ABOUT}"):
            with suppress(FileNotFoundError):  # deleted since it was listed
                found.append(read_about(path))
        return sorted(found, key=lambda each: (each.created, each.id), reverse=True)

    def find(self, ref: str) -> About:
        """Return the data set that an id, an unambiguous beginning of one, or a name means."""
        known = self.datasets()
        hits = [each for each in known if ref in (each.id, each.name)]
        hits = hits or [each for each in known if len(ref) >= 3 and each.id.startswith(ref)]
        if not hits:
            raise UserError(
                f"There is no data set {ref!r}; `transfer-lab datasets` lists what there is.", "no-data"
            )
        if len({each.id for each in hits}) > 1 and hits[0].id != ref:
            ids = ", ".join(each.id for each in hits)
            raise UserError(f"{ref!r} could mean any of {ids}: give more of the id.", "ambiguous")
        return hits[0]

    def rename(self, dataset: str, name: str) -> None:
        """Give a data set another name."""
        about = {key: value for key, value in asdict(self.about(dataset)).items() if key != "damage"}
        write_json(self.folder / dataset / ABOUT, about | {"name": short_name(name.strip()) or dataset})

    def image_path(self, image: str) -> Path:
        """Return where an image is: the bytes that were brought, without what they said of a person."""
        return self.home / "images" / image[:2] / image

    def thumb_path(self, image: str) -> Path:
        """Return where the thumbnail of an image is."""
        return self.home / "thumbs" / image[:2] / f"{image}.jpg"

    def store_image(self, image: str, data: bytes, thumbnail: bytes | None = None) -> None:
        """Store bytes, and a thumbnail, under their hash; they are safe from a power cut once a data set is added.

        What is there already stays, unless a power cut spoilt it.
        """
        path = self.image_path(image)
        if not path.exists() or path.stat().st_size != len(data) or path.read_bytes() != data:
            write_bytes(path, data, sync=False)
        if thumbnail is not None:
            self.store_thumbnail(image, thumbnail)

    def store_thumbnail(self, image: str, thumbnail: bytes) -> None:
        """Store a thumbnail, in the place of an older one: another data set may show the same values otherwise."""
        path = self.thumb_path(image)
        if not path.exists() or path.read_bytes() != thumbnail:
            write_bytes(path, thumbnail, sync=False)

    def pseudonym(self, patient: str) -> str:
        """Return a name for a patient: the same for the same one in this home, and not to be turned back.

        An identifier is short and can be guessed; without the salt, which never leaves this home, guessing is no use.
        """
        digest = hmac.new(get_secret(self.home), patient.encode(), hashlib.sha256).hexdigest()
        return f"patient {digest[:10]}"

    def add_split(self, split: Split) -> Split:
        """Store a split beside its data set."""
        write_json(self._split_path(split.manifest, split.id), split.to_json())
        return split

    def get_split(self, dataset: str, split: str) -> Split:
        """Return a stored split."""
        path = self._split_path(dataset, split)
        if not (is_id(dataset) and is_id(split)) or not path.exists():
            raise UserError(f"There is no split {split!r} of this data set; make one first.", "no-split")
        return read_split(path)

    def answers(self, dataset: str) -> dict[str, str | None]:
        """Return what was answered by hand of images without a label, in order; None where somebody could not tell."""
        path = self.folder / dataset / "answers.json"
        return read_work(path) if is_id(dataset) else {}

    def answer(self, dataset: str, image: str, answer: str | None) -> None:
        """Keep an answer, or that somebody could not tell; what was answered before stays."""
        with self._answering(dataset) as answers:
            answers.setdefault(image, answer)

    def forget_answer(self, dataset: str, image: str) -> None:
        """Take an answer back."""
        with self._answering(dataset) as answers:
            answers.pop(image, None)

    @contextmanager
    def _answering(self, dataset: str) -> Iterator[dict[str, str | None]]:
        """Let the answers be changed by one at a time: two people may label at once."""
        folder = self.folder / self.about(dataset).id
        with FileLock(folder / "answers.lock"):
            answers = self.answers(dataset)
            yield answers
            write_json(folder / "answers.json", answers)

    def _split_path(self, dataset: str, split: str) -> Path:
        return self.folder / dataset / "splits" / f"{split}.json"

    def held(self, dataset: str) -> tuple[set[str], set[str]]:
        """Return the images that only this data set has, and those that others have too.

        Which images a damaged one has nobody knows: all that no other has, young ones apart, are its own. While another
        is damaged, none are: they may be that one's too.
        """
        others = [each for each in self.datasets() if each.id != dataset]
        if self.about(dataset).damage:
            unsure = any(each.damage for each in others)
            return set() if unsure else {path.stem for path in self._orphans(others)}, set()
        images = {row.image for row in self.get(dataset).rows}
        elsewhere = images if any(each.damage for each in others) else self._images_of(others)
        return images - elsewhere, images & elsewhere

    def weigh(self, dataset: str, images: Iterable[str]) -> int:
        """Return the bytes of a data set's own folder, of these images and of their thumbnails."""
        return folder_bytes(self.folder / dataset) + sum(
            path.stat().st_size for image in images for path in self._files(image)
        )

    def _files(self, image: str) -> list[Path]:
        return [path for path in (self.image_path(image), self.thumb_path(image)) if path.exists()]

    def delete(self, dataset: str) -> tuple[int, list[str]]:
        """Remove a data set and the images only it holds; return freed bytes and the images that were there and went."""
        own, _ = self.held(dataset)
        freed = self.weigh(dataset, own)
        folder = self.folder / dataset
        (folder / ABOUT).unlink()
        shutil.rmtree(folder)
        gone = sorted(image for image in own if self.image_path(image).exists())
        for path in (path for image in own for path in self._files(image)):
            path.unlink()
        return freed, gone

    def sweep_orphans(self) -> int:
        """Remove images no data set knows, but young ones, which may be being read in right now; return bytes."""
        known = self.datasets()
        if any(each.damage for each in known):
            return 0  # whose images nobody can tell
        freed = 0
        for path in self._orphans(known):
            freed += path.stat().st_size
            path.unlink()
        return freed

    def _images_of(self, datasets: Iterable[About]) -> set[str]:
        return {row.image for each in datasets for row in self.get(each.id).rows}

    def _orphans(self, datasets: Iterable[About]) -> list[Path]:
        """Return the files of images that none of these data sets holds, without young ones."""
        known, now = self._images_of(datasets), time.time()
        return [
            path
            for path in [*self.home.glob("images/*/*"), *self.home.glob("thumbs/*/*")]
            if path.stem not in known and now - path.stat().st_mtime > ORPHAN_AGE
        ]
