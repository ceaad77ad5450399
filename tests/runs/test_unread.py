"""A whole upload is never taken away by itself: whatever ends the server, whenever, it becomes a data set or stays."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pages.bringing import picture, png
from transfer_core.data.library import Library
from transfer_core.errors import UserError
from transfer_core.files import write_json
from transfer_core.runs import intake as intake_module
from transfer_core.runs import unread
from transfer_core.runs.intake import Arrival, Intake
from transfer_core.runs.unread import KEPT, TRIES, Starts, find_unread, mark_whole, remove, set_aside
from transfer_core.runs.uploads import Upload, close_upload, make_token, open_upload, receive

FILES = {f"{'ab'[n % 2]}/{n}.png": png(picture(n)) for n in range(8)}


def send(home: Path) -> Upload:
    upload = open_upload(home, make_token(home))
    for path, data in FILES.items():
        with receive(upload, path, len(data)) as out:
            out.write(data)
    return upload


def ended(arrival: Arrival) -> Arrival:
    end = time.monotonic() + 30
    while not arrival.is_over:
        assert time.monotonic() < end
        time.sleep(0.01)
    return arrival


def starts(folder: Path, reached: list[int]) -> int:
    """So many starts, each cut off after so many of 1000 files; return how many were let begin."""
    for number, done in enumerate(reached):
        start = Starts(folder)
        try:
            start.begin()
        except UserError:
            return number
        tell = start.watching(lambda *_: None)
        for each in range(1, done + 1):
            tell(each, 1000)
    return len(reached)


@pytest.mark.parametrize(
    ("reached", "begun"),
    [
        ([0] * 9, TRIES),
        ([5, 5, 5, 5, 5, 9], 1 + TRIES),  # a file that takes the server along is at its place each time
        (list(range(1, 40)), 39),
        ([1, 0, 0, 2, 0, 0, 3, 0, 0, 0, 4], 10),
    ],
)
def test_only_starts_that_got_no_further_count(
    home: Path, monkeypatch: pytest.MonkeyPatch, reached: list[int], begun: int
) -> None:
    monkeypatch.setattr(unread, "TOLD_EVERY", -1.0)
    assert starts(home, reached) == begun


def test_a_spoilt_count_is_none(home: Path) -> None:
    (home / "starts.json").write_bytes(b"")  # a power cut
    assert starts(home, [0]) == 1


@pytest.mark.parametrize("error", [UserError("The disk is full.", "disk-full"), RuntimeError("odd")])
def test_what_could_not_be_read_stays_and_is_read_when_somebody_says_so(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    intake, folder = Intake(library), close_upload(send(home), "Cells")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(intake_module, "ingest", fail)
        (arrival,) = intake.recover()
        assert ended(arrival).kept
    assert Intake(library).recover() == [], "not again by itself"
    (found,) = Intake(library).unread()
    assert (found.name, found.error) == ("Cells", arrival.error)
    assert ended(intake.retry(found.upload)).dataset
    assert not folder.exists()
    assert library.datasets()[0].images == len(FILES)


def test_the_clearing_of_broken_uploads_takes_no_whole_one(library: Library, home: Path) -> None:
    broken, whole, asked, failed = (send(home) for _ in range(4))
    mark_whole(whole, len(FILES), sum(map(len, FILES.values())), {"name": "Whole"})
    set_aside(asked, name="Asked")
    write_json(close_upload(failed, "Failed") / "failed.json", {"error": "It is odd."})
    past = time.time() - KEPT - 10
    for path in (home / "uploads").rglob("*"):
        os.utime(path, (past, past))
    assert Intake(library).recover() == []
    assert not broken.folder.exists()
    assert {(each.name, each.error, each.asks) for each in find_unread(home)} == {
        ("Whole", "", False), ("Asked", "", True), ("Failed", "It is odd.", False)
    }  # fmt: skip


def test_half_a_whole_upload_is_not_marked(home: Path) -> None:
    upload = send(home)
    for files, size in ((len(FILES), 1), (7, sum(map(len, FILES.values()))), (0, 0)):
        with pytest.raises(UserError, match="Not all of it"):
            mark_whole(upload, files, size, {})
    assert find_unread(home) == []


def test_an_upload_that_was_half_removed_is_not_read_as_a_smaller_one(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is killed while it takes away what it has read."""
    folder = close_upload(send(home), "Cells")
    cut = threading.Event()

    def half(doomed: Path, **_: Any) -> None:
        for path in sorted(doomed.iterdir())[:4]:
            path.unlink()
        cut.set()

    with monkeypatch.context() as patch:
        patch.setattr(unread.shutil, "rmtree", half)
        (arrival,) = Intake(library).recover()
        assert ended(arrival).dataset
    assert cut.is_set()
    assert Intake(library).recover() == []
    assert [each.images for each in library.datasets()] == [len(FILES)]
    assert not list(folder.parent.glob("*"))
    remove(folder)  # what is gone already is no error
