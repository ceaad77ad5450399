"""One damaged small file stops nothing but what it is about."""

from __future__ import annotations

import os

import pytest

from tests.support import Lab
from transfer_core.data.library import Library
from transfer_core.data.split import make_split
from transfer_core.errors import UserError
from transfer_core.evaluation.decision import FILE, load_wishes
from transfer_core.files import ASIDE, get_secret
from transfer_core.runs.records import notices
from transfer_core.training.estimate import read_timings

BAD = [b"", b"{", b"\x00" * 100, b"[1, 2]", b'{"name": 3}', b"\xff\xfe"]


@pytest.mark.parametrize("bad", BAD)
def test_a_damaged_manifest_is_shown_and_deleted_and_the_rest_goes_on(lab: Lab, bad: bytes) -> None:
    whole = lab.relabelled({lab.manifest.rows[0].image: None}).manifest
    path = lab.library.folder / lab.manifest.id / "manifest.json"
    path.write_bytes(bad)
    library = Library(lab.home)
    with pytest.raises(UserError, match=r"is damaged .* bring its images again, or delete it"):
        library.get(lab.manifest.id)
    assert {each.id for each in library.datasets() if each.damage} == {lab.manifest.id}
    assert library.get(whole.id).rows == whole.rows
    images = [library.image_path(row.image) for row in whole.rows]
    for each in images:
        os.utime(each, (0, 0))  # old enough to be swept
    assert library.sweep_orphans() == 0, "whose images they are nobody can tell"
    library.delete(lab.manifest.id)
    assert [each.id for each in library.datasets()] == [whole.id]
    assert all(each.exists() for each in images)


@pytest.mark.parametrize("bad", [*BAD[:3], BAD[-1]])
def test_what_stands_beside_a_data_set_may_be_damaged(lab: Lab, bad: bytes) -> None:
    folder, library = lab.library.folder / lab.manifest.id, lab.library
    library.decide(lab.split)
    for name in ("about.json", "dismissed.json", "decided.json", "answers.json"):
        (folder / name).write_bytes(bad)
    (about,) = library.datasets()
    assert (about.name, about.images, about.damage) == ("Shapes", len(lab.manifest.rows), "")
    assert (library.decided(about.id), library.answers(about.id)) == (None, {})
    assert not library.dismissed(about.id)
    assert [each.read_bytes() for each in folder.glob(f"answers.json{ASIDE}*")] == [bad], (
        "somebody's work is kept"
    )
    assert ["answers.json" in each for each in notices(lab.home)] == [True], "and is all that is told of"
    (folder / "splits" / f"{lab.split.id}.json").write_bytes(bad)
    with pytest.raises(UserError, match="the same choices on the Split page make it again"):
        library.get_split(about.id, lab.split.id)
    library.add_split(make_split(lab.manifest, fractions=(0.5, 0.25, 0.25)))
    assert library.get_split(about.id, lab.split.id) == lab.split
    (lab.home / "timings.json").write_bytes(bad)
    assert not any(read_timings(lab.home).values())
    (folder / FILE).write_bytes(bad)
    with pytest.raises(UserError, match="choose again on the page Decide"):
        load_wishes(folder)
    get_secret(lab.home)
    (lab.home / "secret").write_bytes(bad)
    assert len(get_secret(lab.home)) == 32
    assert get_secret(lab.home) == get_secret(lab.home)
