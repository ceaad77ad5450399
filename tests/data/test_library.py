"""What the library forgets is gone, and nothing else is."""

import hashlib
import json
import os
import time
from dataclasses import replace

from transfer_core.data.edit import exclude
from transfer_core.data.library import ORPHAN_AGE


def test_orphans_of_a_cut_off_ingest_are_swept_and_only_they(lab):
    library = lab.library
    old, young = "ab" * 32, "cd" * 32
    for image in (old, young):
        library.store_image(image, b"bytes", b"thumbnail")
    past = time.time() - ORPHAN_AGE - 1
    for path in (library.image_path(old), library.thumb_path(old)):
        os.utime(path, (past, past))
    for row in lab.manifest.rows:
        os.utime(library.image_path(row.image), (past, past))
    assert library.sweep_orphans() == len(b"bytes") + len(b"thumbnail")
    assert not library.image_path(old).exists()
    assert library.image_path(young).exists()
    assert all(library.image_path(row.image).exists() for row in lab.manifest.rows)


def test_a_note_stays_when_the_same_images_come_again(lab):
    lab.library.add(lab.manifest, note="Groups are inferred.")
    lab.library.add(lab.manifest)
    assert lab.library.about(lab.manifest.id).note == "Groups are inferred."


def test_two_branches_never_share_a_version_number(lab):
    """Change, change, go back, change otherwise: the third and the fourth version, not twice the third."""
    library, rows = lab.library, lab.manifest.rows
    second = library.add_version(exclude(lab.manifest, [rows[0].image]), "one")
    third = library.add_version(exclude(second, [rows[1].image]), "two")
    fourth = library.add_version(exclude(second, [rows[2].image]), "another")
    names = [library.about(each.id).name for each in (second, third, fourth)]
    assert names == ["Shapes, version 2", "Shapes, version 3", "Shapes, version 4"]
    assert [fourth.name, fourth.parent] == ["Shapes, version 4", second.id]


def test_another_data_set_of_a_taken_name_gets_a_number(lab):
    names = [lab.library.add(exclude(replace(lab.manifest, name="Shapes"), [row.image])).name for row in lab.manifest.rows[:2]]  # fmt: skip
    assert names == ["Shapes (2)", "Shapes (3)"]
    assert len({each.name for each in lab.library.datasets()}) == 3


def test_the_same_content_stays_what_it_was(lab):
    """A change that is taken back leads to the data set before it, which does not become its own grandchild."""
    library, gone = lab.library, lab.manifest.rows[0]
    second = library.add_version(exclude(lab.manifest, [gone.image]), "one left out")
    again = replace(second, rows=(*second.rows, gone), classes=lab.manifest.classes, parent=second.id)
    stored = library.add_version(again, "brought back")
    assert (stored.id, stored.name, stored.parent) == (lab.manifest.id, "Shapes", None)
    assert library.get(lab.manifest.id) == lab.manifest
    assert library.about(lab.manifest.id).name == "Shapes"
    library.rename(lab.manifest.id, "Drawings")
    assert library.add(replace(lab.manifest, name="Another")).name == "Drawings"


def test_ids_of_before_hold(lab):
    """What a row can say grew since: of images of which nothing new is said, the id is what it always was."""
    late = ("claims",)
    rows = sorted(json.dumps({name: value for name, value in vars(row).items() if name not in late}, sort_keys=True)
                  for row in lab.manifest.rows)  # fmt: skip
    content = json.dumps([lab.manifest.classes, {"depth": "full-range", "background": "#ffffff"}, rows])
    assert lab.manifest.id == hashlib.sha256(content.encode()).hexdigest()[:16]
    stored = lab.library.folder / lab.manifest.id / "manifest.json"
    assert not any(name in stored.read_text() for name in late)
