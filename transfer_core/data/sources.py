"""Where candidates come from: a folder, a zip, one file; and what their folders say of them."""

from __future__ import annotations

import os
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

from transfer_core.data.content import HEAD, is_picture
from transfer_core.data.images import SUFFIXES
from transfer_core.data.ingest import Candidate
from transfer_core.data.manifest import Manifest, Problem
from transfer_core.data.names import LONGEST_PATH, short_name
from transfer_core.errors import UserError

MAX_FILE_BYTES = 200_000_000
MAX_RATIO = 200  # unpacked to packed size of a zip entry; images hardly shrink, bombs do
MAX_TOTAL = 500_000_000_000  # bytes that an archive may unpack to
MAX_FILES = 200_000
UNLABELLED = "unlabelled"
TABLES = (".csv", ".tsv")
_PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_JUNK = {"__macosx", ".ds_store", "thumbs.db", "desktop.ini", ".ipynb_checkpoints"}

Entry = tuple[str, Callable[[], bytes]]


def open_source(path: Path, parent: Manifest | None = None) -> tuple[list[Candidate], list[Problem]]:
    """Return the candidates of a folder, a zip or a single image file, and the files left out.

    `parent`: the data set to which they are added, whose domains are known by name.
    """
    if path.is_dir():
        entries, problems = _folder_entries(path)
    elif zipfile.is_zipfile(path) and path.suffix.lower() not in SUFFIXES:
        entries, problems = _zip_entries(path)
    elif path.exists() and _may_be_picture(path.name, make_file_reader(path)):
        entries, problems = [(path.name, make_file_reader(path))], []
    elif path.exists():
        message = f"{path.name} is neither a folder nor a complete zip: pack the class folders as .zip."
        raise UserError(message, "wrong-type")
    else:
        raise UserError(f"There is no file or folder {path}: check the spelling.", "no-such-path")
    if len(entries) > MAX_FILES:
        raise UserError(f"{path.name} holds more than {MAX_FILES:,} files: bring it in parts.", "too-many")
    return arrange(entries, problems, parent)


def _folder_entries(folder: Path) -> tuple[list[Entry], list[Problem]]:
    root = folder.resolve()
    entries: list[Entry] = []
    folders: list[str] = []
    for place, below, names in os.walk(folder):  # without following links to folders
        folders += [Path(place, name).relative_to(folder).as_posix() for name in below]
        for name in names:
            each = Path(place, name)
            # A link may point out of the folder; what it points to was not offered.
            if each.is_file() and (not each.is_symlink() or each.resolve().is_relative_to(root)):
                entries.append((each.relative_to(folder).as_posix(), make_file_reader(each)))
    entries.sort(key=lambda entry: entry[0])
    return entries, _empty_folders(sorted(folders), [name for name, _ in entries])


def _empty_folders(folders: Iterable[str], files: Iterable[str]) -> list[Problem]:
    """Tell of folders in which there is nothing at all: a class of which the images were forgotten."""
    holding = map(PurePosixPath, {name.rpartition("/")[0] for name in files})
    above = {each.as_posix() for folder in holding for each in (folder, *folder.parents)}
    empty = [name.rstrip("/") for name in folders if name.rstrip("/") not in above]
    text = "the folder is empty: 0 images"
    return [
        Problem(name.encode("utf-8", "replace").decode(), "empty-folder", text)
        for name in empty
        if not any(other.startswith(f"{name}/") for other in empty) and not _is_junk(name.split("/"))
    ]


def make_file_reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file, unless it is larger than an image can be."""
    return _Reader(partial(_read_file, path))


@dataclass(frozen=True)
class _Reader:
    """What reads a file, or its first bytes alone."""

    read: Callable[[int], bytes]

    def __call__(self) -> bytes:
        return self.read(MAX_FILE_BYTES)


def _read_file(path: Path, most: int) -> bytes:
    if most < MAX_FILE_BYTES:
        with path.open("rb") as file:
            return file.read(most)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError("the file is larger than an image can be", "too-large")
    return path.read_bytes()


def _may_be_picture(name: str, read: Callable[[], bytes]) -> bool:
    """Tell whether a file is called or begins as a picture does. What cannot be read may be: reading it in says why."""
    if name.lower().endswith(SUFFIXES):
        return True
    try:
        return is_picture(read.read(HEAD) if isinstance(read, _Reader) else read())
    except (UserError, OSError):
        return True


class _Archive:
    """An open zip. What is sent to another process is its path; there it is opened once for all entries."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.file = zipfile.ZipFile(path)  # stays open for the readers; reading is thread-safe
        except Exception:  # a damaged list of entries can fail in any way inside the reader
            message = f"{path.name} is not a complete zip file: pack or upload it again."
            raise UserError(message, "damaged") from None

    def __reduce__(self) -> tuple[Callable[[Path], _Archive], tuple[Path]]:
        return _open_again, (self._path,)

    def read(self, info: zipfile.ZipInfo, most: int) -> bytes:
        """Return what an entry holds, so many bytes at most."""
        try:
            with self.file.open(info) as entry:
                return entry.read(most)
        except Exception as error:  # each way of packing fails in its own ways
            raise UserError(f"the entry is damaged ({error})", "damaged") from None


@lru_cache(maxsize=1)
def _open_again(path: Path) -> _Archive:
    return _Archive(path)


def _zip_entries(path: Path) -> tuple[list[Entry], list[Problem]]:
    entries: list[Entry] = []
    problems: list[Problem] = []
    archive = _Archive(path)
    if sum(each.file_size for each in archive.file.infolist()) > MAX_TOTAL:
        raise UserError(
            f"{path.name} unpacks to more than {MAX_TOTAL // 10**9} GB: bring it in parts.", "too-large"
        )
    seen: set[str] = set()
    for info in (each for each in archive.file.infolist() if not each.filename.endswith("/")):
        trouble = _entry_trouble(info)
        if info.filename in seen:
            trouble = "double-name", "the archive holds another file of this name; this one is left out"
        seen.add(info.filename)
        if trouble:
            problems.append(Problem(info.filename, *trouble))
        else:
            entries.append((info.filename, _Reader(partial(archive.read, info))))
    if len(problems) > MAX_FILES:
        raise UserError(f"{path.name} holds more than {MAX_FILES:,} files: bring it in parts.", "too-many")
    names = archive.file.namelist()
    folders = [name for name in names if name.endswith("/") and not re.match(r"/|\.\.|[A-Za-z]:", name)]
    return entries, problems + _empty_folders(folders, [name for name in names if not name.endswith("/")])


def find_tables(path: Path) -> dict[str, Callable[[], bytes]]:
    """Return the tables in a zip or a folder, by their names."""
    if path.is_dir():
        entries, _ = _folder_entries(path)
        return {name: read for name, read in entries if is_table(name)}
    archive = _Archive(path)
    infos = [each for each in archive.file.infolist() if is_table(each.filename)]
    return {
        each.filename: _Reader(partial(archive.read, each))
        for each in infos
        if not _entry_trouble(each, ratio=10_000)
    }


def is_table(name: str) -> bool:
    """Tell whether a file's name is that of a table."""
    return name.lower().endswith(TABLES) and not _is_junk(name.replace("\\", "/").split("/"))


def _entry_trouble(info: zipfile.ZipInfo, ratio: int = MAX_RATIO) -> tuple[str, str] | None:
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    if not parts or ".." in parts or re.match(r"[/\\]|[A-Za-z]:[/\\]", info.filename):
        return "unsafe-path", "the entry points outside the archive"
    if info.external_attr >> 28 == 0xA:  # S_IFLNK
        return "link", "the entry is a link, not a file"
    if info.flag_bits & 1:
        return "encrypted", "the entry is encrypted; remove the password"
    if info.file_size > MAX_FILE_BYTES or info.file_size > ratio * max(info.compress_size, 1):
        return "too-large", "the entry unpacks to more than an image can have"
    return None


def arrange(
    entries: Iterable[Entry], problems: Iterable[Problem] = (), parent: Manifest | None = None
) -> tuple[list[Candidate], list[Problem]]:
    """Read label, domain and part from each file's folders.

    Known shapes: `class/image`, `domain/class/image`, either of them below `train`, `val`, `test`;
    a folder called `unlabelled` in the place of the class gives images without a label. Where images are added to
    `parent`, a folder named as one of its domains is that domain, even if it is the only one.
    """
    found = list(problems)
    known = set(parent.domains) if parent else set()
    images: list[tuple[tuple[str, ...], str, Callable[[], bytes]]] = []
    for name, read in entries:
        name = name.encode("utf-8", "replace").decode()  # a file's name need not be text
        whole = unicodedata.normalize("NFC", name).replace("\\", "/")
        parts = tuple(each for each in whole.split("/") if each not in ("", "."))
        if _is_junk(parts) or not parts:
            continue
        if len(name) > LONGEST_PATH:
            found.append(Problem(name, "long-name", "its path is too long; left out"))
            continue
        if is_table(parts[-1]):
            found.append(Problem(name, "table", "a table; it was not asked what it says of the images"))
            continue
        if parts[-1].lower() == "dicomdir":
            found.append(Problem(name, "dicomdir", "a list of the DICOM files beside it, not a picture"))
            continue
        # Scans and downloads are called anything; what a file is, its content says.
        if not _may_be_picture(parts[-1], read):
            found.append(Problem(name, "wrong-type", "not an image; left out"))
            continue
        images.append((parts[:-1], name, read))
    meant = {*_PARTS, UNLABELLED, *(each.split("/")[0].lower() for each in known)}
    root = _shared_root([folders for folders, _, _ in images], meant)
    images = [(folders[root:], name, read) for folders, name, read in images]
    parts_named = _PARTS if _has_parts([folders for folders, _, _ in images]) else {}
    domains = known - set(parent.classes if parent else ())
    return [_place(*each, parts_named, domains) for each in images], found


def _is_junk(parts: Iterable[str]) -> bool:
    return any(each.lower() in _JUNK or each.startswith("._") for each in parts)


def _shared_root(folders: list[tuple[str, ...]], meant: Set[str]) -> int:
    """Return how many leading folders all images share and no meaning hangs on; those in `meant` have one."""
    depth = 0
    while (
        len({each[: depth + 1] for each in folders}) == 1
        and len(folders[0]) > depth
        and folders[0][depth].lower() not in meant
        and any(len(each) > depth + 1 for each in folders)
    ):
        depth += 1
    return depth


def _means_something(folder: str) -> bool:
    return folder.lower() in _PARTS or folder.lower() == UNLABELLED


def _has_parts(folders: list[tuple[str, ...]]) -> bool:
    """Tell whether train, val and test are parts here, and not classes, as `valid` beside `invalid`."""
    above_classes = any(name.lower() in _PARTS for each in folders for name in each[:-1][:2])
    return above_classes or all(_means_something(each[-1]) for each in folders if each)


def _place(
    folders: tuple[str, ...],
    name: str,
    read: Callable[[], bytes],
    parts: Mapping[str, str],
    domains: Set[str] = frozenset(),
) -> Candidate:
    given = None
    rest = list(folders)
    for position, folder in enumerate(rest[:2]):  # train/domain/class or domain/train/class
        if folder.lower() in parts:
            given = parts[rest.pop(position).lower()]
            break
    label = rest.pop() if rest and "/".join(rest) not in domains else None
    if label is not None and label.lower() == UNLABELLED:
        label = None
    return Candidate(name, read, short_name(label), short_name("/".join(rest) or None), given=given)


def list_folders(roots: Iterable[Path]) -> list[Path]:
    """Return the folders directly below these roots, those that lead elsewhere left out."""
    found = []
    for root in roots:
        if root.is_dir():
            own = root.resolve()
            found += [
                each for each in sorted(root.iterdir()) if each.is_dir() and each.resolve().parent == own
            ]
    return found


def check_inside(path: Path, roots: Iterable[Path]) -> None:
    """Raise UserError where a folder does not lie below one of these roots, links followed."""
    real = path.resolve()
    if not any(real != root.resolve() and real.is_relative_to(root.resolve()) for root in roots):
        raise UserError(f"{path} is not below a folder that may be read here.", "outside")
