"""Whether a bundle is whole and its two models, torch and ONNX, say the same. Nothing in it is executed.

The hashes find damage and slips, not a forger, who can write them anew: compare `bundle_id` with the sender's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.images import Pixels, decode, to_pixels
from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError
from transfer_core.files import read_json
from transfer_core.models.backbones import Backbone, get_backbone

FORMAT = 1
ABOUT = "bundle.json"
TOLERANCE = 1e-4  # of a probability
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
    if not path.is_file():
        message = f"{folder} is no bundle: it has no {ABOUT}. Name the folder that `transfer-lab export` wrote, unzipped."
        raise UserError(message, "no-bundle")
    try:
        about = read_json(path)
        known = about["format"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: export the bundle again.", "bad-bundle") from None
    if known != FORMAT:
        message = f"The bundle has format {known!r}, and this version knows format {FORMAT}: use a matching version."
        raise UserError(message, "bad-bundle")
    return dict(about)


def verify(folder: Path) -> Verdict:
    """Look at every file of a bundle and run both models; UserError where the folder is no bundle at all."""
    about = read_about(folder)
    checks = [
        _check("files", lambda: _files(folder, about)),
        _check("classes", lambda: _classes(folder, about)),
    ]
    checks.append(_check("torch against ONNX Runtime", lambda: _parity(folder, about)))
    checks.append(_check("expected answers", lambda: _expected(folder, about, "model.onnx", TOLERANCE)))
    if "model-int8.onnx" in about.get("files", {}):
        small = "model-int8.onnx"
        checks.append(_check("int8 model", lambda: _expected(folder, about, small, INT8_TOLERANCE)))
    checks.append(_check("image to pixels", lambda: _images(folder, about)))
    digest = hashlib.sha256((folder / ABOUT).read_bytes()).hexdigest()
    return Verdict(digest, str(about.get("run", {}).get("id", "")), tuple(checks))


def _check(name: str, look: Callable[[], str]) -> Check:
    """Return what a look found; it raises UserError where something is wrong."""
    try:
        return Check(name, True, look())
    except UserError as error:
        return Check(name, False, str(error))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        # Any kind: the files come from elsewhere, and may say anything.
        return Check(name, False, f"It could not be looked at: {type(error).__name__}: {error}.")


def _wrong(sentence: str) -> UserError:
    return UserError(sentence, "bad-bundle")


def _files(folder: Path, about: Mapping[str, Any]) -> str:
    listed = about["files"]
    for name, digest in listed.items():
        if not _NAME.fullmatch(name):
            raise _wrong(f"{ABOUT} lists {name!r}, which is no file of a bundle.")
        path = folder / name
        if not path.is_file():
            raise _wrong(f"{name} is missing: copy the whole bundle.")
        if hash_file(path) != digest:
            raise _wrong(
                f"{name} is not the file that was exported: its sha-256 differs. Copy or export it again."
            )
    for name in ("model.onnx", "model.safetensors", "golden/inputs.npz", "golden/expected.json"):
        if name not in listed:
            raise _wrong(f"{ABOUT} does not list {name}: export the bundle again.")
    return f"{len(listed)} files are as they were exported (sha-256)."


def hash_file(path: Path) -> str:
    """Return the sha-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _classes(folder: Path, about: Mapping[str, Any]) -> str:
    """Compare the classes and their order wherever they stand."""
    from transfer_core.bundle.graph import Session
    from transfer_core.bundle.network import read_weights_header

    names = list(about["classes"])
    said = {
        "model.onnx": json.loads(Session(folder / "model.onnx").about["classes"]),
        "model.safetensors": json.loads(read_weights_header(folder / "model.safetensors")["classes"]),
        "golden/expected.json": read_json(folder / "golden" / "expected.json")["classes"],
    }
    for file, found in said.items():
        if found != names:
            raise _wrong(
                f"The classes in {ABOUT} are not those of {file}, or not in their order: its answers would carry wrong names."
            )
    return f"{len(names)} classes, in the same order everywhere."


def _parity(folder: Path, about: Mapping[str, Any]) -> str:
    """Compare the weights, in torch, with the graph, in ONNX Runtime."""
    import torch

    from transfer_core.bundle.graph import Session
    from transfer_core.bundle.network import load_network

    network, views = about["network"], about["network"]["views"]
    torch_model = load_network(
        folder / "model.safetensors", _backbone(about), network["head"], len(about["classes"]), views["augment"],
        int(views["count"]), float(about["decision"]["temperature"]),
    )  # fmt: skip
    pixels = _inputs(folder)
    with torch.no_grad():
        first = [each.numpy() for each in torch_model(torch.from_numpy(pixels))]
    second = Session(folder / "model.onnx").say(pixels)
    gap = max(_gap(a, b) for a, b in zip(first[:2], second[:2], strict=True))
    if not gap <= TOLERANCE:
        raise _wrong(
            f"model.safetensors and model.onnx are not the same model: probabilities differ by up to {gap:.1e}, "
            f"more than {TOLERANCE:.0e}."
        )
    return f"Probabilities of {len(pixels)} inputs differ by at most {gap:.1e} (allowed {TOLERANCE:.0e})."


def _expected(folder: Path, about: Mapping[str, Any], name: str, tolerance: float) -> str:
    """Compare a model's answers with those it gave when it was exported."""
    from transfer_core.bundle.graph import Session

    cases = read_json(folder / "golden" / "expected.json")["cases"]
    chances = Session(folder / name).say(_inputs(folder))[0]
    key = "probabilities" if name == "model.onnx" else "int8"
    wanted = np.array([each[key] for each in cases])
    gap = _gap(chances, wanted)
    if not gap <= tolerance:
        raise _wrong(
            f"{name} gives other answers than when it was exported: a probability differs by {gap:.1e}."
        )
    if name == "model.onnx":
        classes = [about["classes"][number] for number in wanted.argmax(1)]
        if classes != [each["class"] for each in cases]:
            raise _wrong(
                "The expected classes do not follow from the expected probabilities: golden/expected.json was changed."
            )
    return f"{len(cases)} answers as when it was exported; a probability differs by at most {gap:.1e}."


def _images(folder: Path, about: Mapping[str, Any]) -> str:
    """Prepare the golden images, where there are any, as training would, and compare the pixels."""
    cases, pixels = read_json(folder / "golden" / "expected.json")["cases"], _inputs(folder)
    named = [(each["image"], own) for each, own in zip(cases, pixels, strict=True) if each["image"]]
    if not named:
        return "No images are in the bundle; drawn patterns stand in for them."
    how = about["input"]
    for name, own in named:
        if not _NAME.fullmatch(name):
            raise _wrong(f"golden/expected.json names {name!r}, which is no file of a bundle.")
        image = decode((folder / "golden" / name).read_bytes(), Reading(**how["reading"]))
        found = to_pixels(image, int(how["size"]), how["geometry"], how["interpolation"])
        if int(np.abs(found.astype(int) - own).max()) > 1:  # another version of Pillow may round otherwise
            raise _wrong(f"golden/{name} does not become the pixels it became when it was exported.")
    return f"{len(named)} images become the pixels they became in training."


def _backbone(about: Mapping[str, Any]) -> Backbone:
    return get_backbone(about["network"]["backbone"]).at_size(int(about["input"]["size"]))


def _inputs(folder: Path) -> Pixels:
    with np.load(folder / "golden" / "inputs.npz", allow_pickle=False) as stored:
        return np.asarray(stored["pixels"], dtype=np.uint8)


def _gap(first: npt.NDArray[Any] | Sequence[Any], second: npt.NDArray[Any]) -> float:
    """Return the largest difference; infinity where the shapes differ, NaN where a number is none."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return float(np.abs(a - b).max()) if a.shape == b.shape else float("inf")
