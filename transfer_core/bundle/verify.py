"""Whether a bundle is whole and its two models, torch and ONNX, say the same. Nothing in it is executed.

The hashes find damage and slips, not a forger, who can write them anew: compare `bundle_id` with the sender's.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.images import Pixels, decode, to_pixels
from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError
from transfer_core.files import read_json
from transfer_core.models.backbones import get_backbone

if TYPE_CHECKING:
    from transfer_core.bundle.graph import Session

FORMAT = 1
ABOUT, MODEL, SMALL = "bundle.json", "model.onnx", "model-int8.onnx"
TOLERANCE = 1e-4  # of a probability
LOG_TOLERANCE = 0.01  # of a probability's logarithm
FEATURE_TOLERANCE = 1e-3  # of the largest feature
MOST_JSON, MOST_INPUTS, MOST_PIXELS = 16_000_000, 64_000_000, 500_000_000  # bytes; the last one unpacked
MOST_FILES = 1000
LONGEST = 500  # characters of what was found
INT8_TOLERANCE = 0.02  # integer arithmetic differs a little between processors
_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")  # a file of the bundle, one folder deep at most


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and in a sentence what was found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Verdict:
    """All checks of a bundle. `bundle_id`: sha-256 over bundle.json, which names the hash of every other file."""

    bundle_id: str
    run: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(each.passed for each in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"passed": self.passed, **asdict(self)}


def read_about(folder: Path) -> dict[str, Any]:
    """Return what bundle.json says; UserError where the folder is no bundle of a known format."""
    path = folder / ABOUT
    if not path.is_file():  # nor a pipe, which would be waited for
        message = f"{folder} is no bundle: it has no {ABOUT}. Name the folder that `transfer-lab export` wrote, unzipped."
        raise UserError(message, "no-bundle")
    try:
        about = _read_json(path)
        known = about["format"]
    except (ValueError, KeyError, TypeError, RecursionError, UserError):
        raise UserError(f"{ABOUT} is damaged: export the bundle again.", "damaged") from None
    if known != FORMAT:
        named = f"format {known}" if isinstance(known, int) and known < 10**6 else "an unknown format"
        message = f"The bundle has {named}, and this version knows format {FORMAT}: use a matching version."
        raise UserError(message, "bad-bundle")
    return dict(about)


def _read_json(path: Path) -> Any:
    _check_size(path, MOST_JSON)
    return read_json(path)


def _check_size(path: Path, most: int) -> None:
    if path.stat().st_size > most:
        raise _wrong(f"{path.name} is larger than {most // 10**6} MB, which no bundle needs.")


@dataclass(frozen=True)
class _Look:
    """The checks of one bundle; each returns what it found, or raises UserError where something is wrong."""

    folder: Path
    about: Mapping[str, Any]

    @cached_property
    def session(self) -> Session:
        """The ONNX model."""
        return self._open(MODEL)

    @cached_property
    def pixels(self) -> Pixels:
        """The golden inputs [n, 3, s, s]."""
        path = self.folder / "golden" / "inputs.npz"
        _check_size(path, MOST_INPUTS)
        with zipfile.ZipFile(path) as packed:
            if sum(each.file_size for each in packed.infolist()) > MOST_PIXELS:
                raise _wrong(
                    f"{path.name} unpacks to more than {MOST_PIXELS // 10**6} MB, which no bundle needs."
                )
        with np.load(path, allow_pickle=False) as stored:
            return np.asarray(stored["pixels"], dtype=np.uint8)

    @cached_property
    def golden(self) -> dict[str, Any]:
        """The expected answers."""
        return dict(_read_json(self.folder / "golden" / "expected.json"))

    def _open(self, name: str) -> Session:
        from transfer_core.bundle.graph import Session

        return Session(self.folder / name)

    def files(self) -> str:
        """Compare the hash of every file."""
        listed = self.about["files"]
        if len(listed) > MOST_FILES:
            raise _wrong(f"{ABOUT} lists {len(listed):,} files, and no bundle has more than {MOST_FILES:,}.")
        for name, digest in listed.items():
            if not _NAME.fullmatch(name):
                raise _wrong(f"{ABOUT} lists {name!r}, which is no file of a bundle.")
            path = self.folder / name
            if not path.is_file():
                raise _wrong(f"{name} is missing: copy the whole bundle.")
            if hash_file(path) != digest:
                raise _wrong(
                    f"{name} is not the file that was exported: its sha-256 differs. Copy or export it again."
                )
        for name in (MODEL, "model.safetensors", "golden/inputs.npz", "golden/expected.json"):
            if name not in listed:
                raise _wrong(f"{ABOUT} does not list {name}: export the bundle again.")
        return f"{len(listed)} files are as they were exported (sha-256)."

    def classes(self) -> str:
        """Compare the classes and their order wherever they stand."""
        from transfer_core.bundle.network import read_weights_header

        names = list(self.about["classes"])
        said = {
            MODEL: json.loads(self.session.about["classes"]),
            "model.safetensors": json.loads(
                read_weights_header(self.folder / "model.safetensors")["classes"]
            ),
            "golden/expected.json": self.golden["classes"],
        }
        for file, found in said.items():
            if found != names:
                raise _wrong(
                    f"The classes in {ABOUT} are not those of {file}, or not in their order: its answers would carry "
                    "wrong names."
                )
        return f"{len(names)} classes, in the same order everywhere."

    def parity(self) -> str:
        """Compare the weights, in torch, with the graph, in ONNX Runtime."""
        import torch

        from transfer_core.bundle.network import load_network

        network, views = self.about["network"], self.about["network"]["views"]
        backbone = get_backbone(network["backbone"]).at_size(int(self.about["input"]["size"]))
        model = load_network(
            self.folder / "model.safetensors", backbone, network["head"], len(self.about["classes"]), views["augment"],
            int(views["count"]), float(self.about["decision"]["temperature"]), int(network.get("networks", 1)),
            int(network.get("cut", 0)),
        )  # fmt: skip
        with torch.no_grad():
            first = [each.numpy() for each in model(torch.from_numpy(self.pixels))]
        second = self.session.say(self.pixels)
        gap = max(_gap(a, b) for a, b in zip(first[:2], second[:2], strict=True))
        if not gap <= TOLERANCE:
            raise _wrong(
                f"model.safetensors and {MODEL} are not the same model: probabilities differ by up to {gap:.1e}, "
                f"more than {TOLERANCE:.0e}."
            )
        # Near 0 and 1 probabilities hide a difference that their logarithms and the features show.
        odds = _gap(*(np.log(np.maximum(each[1], 1e-7)) for each in (first, second)))
        seen = _gap(first[2], second[2]) / max(1.0, float(np.abs(first[2]).max()))
        if not (odds <= LOG_TOLERANCE and seen <= FEATURE_TOLERANCE):
            raise _wrong(
                f"model.safetensors and {MODEL} are not the same model: their probabilities agree on these inputs, but "
                "not what they follow from."
            )
        return f"Probabilities of {len(self.pixels)} inputs differ by at most {gap:.1e} (allowed {TOLERANCE:.0e})."

    def expected(self) -> str:
        """Compare the model's answers with those it gave when it was exported."""
        cases = self.golden["cases"]
        said = [self.about["classes"][int(np.argmax(each["probabilities"]))] for each in cases]
        if said != [each["class"] for each in cases]:
            raise _wrong(
                "The expected classes do not follow from the expected probabilities: golden/expected.json was changed."
            )
        return self._answers(self.session, MODEL, "probabilities", TOLERANCE)

    def small(self) -> str:
        """The same for the int8 model."""
        return self._answers(self._open(SMALL), SMALL, "int8", INT8_TOLERANCE)

    def _answers(self, session: Session, name: str, key: str, tolerance: float) -> str:
        gap = _gap(session.say(self.pixels)[0], np.array([each[key] for each in self.golden["cases"]]))
        if not gap <= tolerance:
            raise _wrong(
                f"{name} gives other answers than when it was exported: a probability differs by {gap:.1e}."
            )
        return (
            f"{len(self.pixels)} answers as when it was exported; a probability differs by at most {gap:.1e}."
        )

    def images(self) -> str:
        """Prepare the golden images, where there are any, as training would, and compare the pixels."""
        pairs = zip(self.golden["cases"], self.pixels, strict=True)
        named = [(each["image"], own) for each, own in pairs if each["image"]]
        if not named:
            return "No images are in the bundle; drawn patterns stand in for them."
        how = self.about["input"]
        for name, own in named:
            if not _NAME.fullmatch(name):
                raise _wrong(f"golden/expected.json names {name!r}, which is no file of a bundle.")
            image = decode((self.folder / "golden" / name).read_bytes(), Reading(**how["reading"]))
            found = to_pixels(image, int(how["size"]), how["geometry"], how["interpolation"])
            if (
                int(np.abs(found.astype(int) - own).max()) > 1
            ):  # another version of Pillow may round otherwise
                raise _wrong(f"golden/{name} does not become the pixels it became when it was exported.")
        return f"{len(named)} images become the pixels they became in training."


def verify(folder: Path) -> Verdict:
    """Look at every file of a bundle and run both models; UserError where the folder is no bundle at all.

    Of a bundle from elsewhere `verify_apart` is to be asked, which also ends where the models do not.
    """
    try:
        look = _Look(folder, read_about(folder))
    except UserError as error:
        if error.kind != "damaged":
            raise
        return bad(str(error))
    checks = [
        _check("files", look.files),
        _check("classes", look.classes),
        _check("torch against ONNX Runtime", look.parity),
        _check("expected answers", look.expected),
        _check("image to pixels", look.images),
    ]
    files, run = look.about.get("files"), look.about.get("run")
    if isinstance(files, dict) and SMALL in files:
        checks.append(_check("int8 model", look.small))
    digest = hash_file(folder / ABOUT)
    return Verdict(digest, str(run.get("id", ""))[:LONGEST] if isinstance(run, dict) else "", tuple(checks))


def bad(sentence: str) -> Verdict:
    """Return the verdict on a bundle that could not be looked at."""
    return Verdict("", "", (Check("bundle", False, sentence),))


def _check(name: str, look: Callable[[], str]) -> Check:
    """Return what a look found; it raises UserError where something is wrong."""
    try:
        return Check(name, True, look())
    except UserError as error:
        found = str(error)
    except Exception as error:  # any kind: the files come from elsewhere, and may say anything
        found = f"It could not be looked at: {type(error).__name__}: {error}."
    return Check(name, False, found if len(found) <= LONGEST else f"{found[:LONGEST]} …")


def _wrong(sentence: str) -> UserError:
    return UserError(sentence, "bad-bundle")


def hash_file(path: Path) -> str:
    """Return the sha-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _gap(first: npt.NDArray[Any] | Sequence[Any], second: npt.NDArray[Any]) -> float:
    """Return the largest difference; infinity where the shapes differ, NaN where a number is none."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return float(np.abs(a - b).max()) if a.shape == b.shape else float("inf")
