"""What the library forgets is gone, and nothing else is."""

import os
import time

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
