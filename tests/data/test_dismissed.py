"""What somebody looked at and left as it is stays so in later versions, until there is something new to see."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from pictures import encode, noise
from PIL import Image

from transfer_core.data.dismissed import get_dismissed, get_held
from transfer_core.data.edit import exclude, relabel
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest


def near(seed: int) -> bytes:
    values = np.clip(np.asarray(noise(seed, 80, 80), dtype=np.int16) + 1, 0, 255).astype(np.uint8)
    return encode(Image.fromarray(values))


def sharp(seed: int) -> bytes:
    return encode(noise(seed, 80, 80))


@pytest.fixture
def manifest(library: Library) -> Manifest:
    files = {f"{'ab'[n % 2]}/{n}.png": partial(sharp, n) for n in range(12)}
    files["a/near.png"] = partial(near, 0)
    candidates = [Candidate(path, read, path[0]) for path, read in files.items()]
    return ingest(candidates, "set", library)[0]


def test_it_holds_in_a_version_and_in_the_next(library: Library, manifest: Manifest) -> None:
    assert len(get_held(library, manifest)) == 1
    library.dismiss(manifest.id, "near-duplicates")
    assert get_held(library, manifest) == []
    other = next(row for row in manifest.rows if row.path == "b/3.png")
    second = library.add_version(relabel(manifest, {other.image: "a"}), "one label")
    third = library.add_version(exclude(second, [other.image]), "one left out")
    assert get_held(library, third) == []
    library.dismiss(third.id, "near-duplicates", back=True)
    assert len(get_held(library, third)) == 1
    assert get_dismissed(library, second) == ["near-duplicates"]


def test_a_further_image_asks_anew(library: Library, manifest: Manifest) -> None:
    library.dismiss(manifest.id, "near-duplicates")
    new = [Candidate("b/near.png", partial(near, 5), "b")]
    later, _ = ingest(new, library.version_name(manifest.id), library, parent=manifest)
    assert get_dismissed(library, later) == []
    assert len(get_held(library, later)) == 2


def test_a_version_whose_parent_is_gone_asks_anew(library: Library, manifest: Manifest) -> None:
    library.dismiss(manifest.id, "near-duplicates")
    later = library.add_version(exclude(manifest, [manifest.rows[3].image]), "one left out")
    library.delete(manifest.id)
    assert get_dismissed(library, later) == []
