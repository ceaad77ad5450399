"""Small pictures, folders and archives that the tests of the data bring in."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Problem, Row
from transfer_core.data.sources import arrange


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The image as a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def noise(seed: int, width: int = 24, height: int = 20) -> Image.Image:
    """A picture that no other seed gives and that has no symmetry."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def png(seed: int) -> bytes:
    return encode(noise(seed))


def empty_png(width: int, height: int) -> bytes:
    """A whole PNG of one-bit zeros, made row by row: a giant costs neither memory nor disk."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    )


def lay_out(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files, given by their paths below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def pack(path: Path, files: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    """Write a zip; the entries may have any names, and any one twice."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
    return path


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder."""
    return {
        each.relative_to(folder).as_posix(): each.read_bytes() if each.is_file() else None
        for each in folder.rglob("*")
    }


def make_row(number: int, label: str | None, **others: Any) -> Row:
    """A row of a manifest, of an image that need not exist."""
    image = hashlib.sha256(str(number).encode()).hexdigest()
    about: dict[str, Any] = {"pixels": f"{number:064x}", "path": f"{number}.png", "width": 32, "height": 32}
    return Row(image=image, label=label, **(about | others))


GOOD = [(f"{label}/good{number}.png", png(10 * ord(label) + number)) for label in "ab" for number in range(4)]
Told = dict[str, str]
FILES = {
    f"{domain}/{label}/{n}.png": png(100 * i + 10 * j + n)
    for i, domain in enumerate(("north", "south"))
    for j, label in enumerate(("crack", "sound"))
    for n in range(4)
}


def bring_files(
    library: Library, files: dict[str, bytes], name: str = "set"
) -> tuple[Manifest, list[Problem]]:
    """Ingest files as a folder would give them."""
    found, problems = arrange([(path, (lambda data=data: data)) for path, data in files.items()])
    return ingest(found, name, library, problems=problems)
