"""Work in other processes is as work in this one, and whoever dies of it takes nobody along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.data.pictures import png
from transfer_core.data import crew as crew_module
from transfer_core.data.crew import MANY, Crew
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.errors import UserError


def work(n: int) -> int:
    """What is done in the other process; some numbers are wicked."""
    if n == 17:
        os._exit(3)
    if n == 40:
        time.sleep(600)
    if n == 41:
        print("talks")
        sys.stdout.flush()
        os.write(1, b"and its decoder too")
    if n == 1000:
        raise UserError("the disk is full", "disk-full")
    return n * n


@pytest.mark.parametrize("n", [0, 5, MANY, 3 * MANY + 7])
def test_what_comes_back_is_what_a_loop_gives(n: int) -> None:
    things = range(2000, 2000 + n)
    with Crew(n) as crew:
        assert list(crew.each(work, things, lambda _: -1)) == [work(each) for each in things]


def test_who_dies_hangs_or_talks_harms_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "PATIENCE", 8.0)  # a busy machine needs some to start a process
    with Crew(MANY) as crew:
        found = list(crew.each(work, range(MANY), lambda n: -n))
    assert found == [-n if n in (17, 40) else n * n for n in range(MANY)]


def unlucky(folder: Path, n: int) -> int:
    """Ends the process over one piece, and again when that is asked for alone, but not a third time."""
    if n == 17 and len(before := list(folder.iterdir())) < 2:
        (folder / str(len(before))).touch()
        os._exit(3)
    return n


def test_a_piece_is_given_up_only_where_it_is_the_cause(tmp_path: Path) -> None:
    """Others may have killed the processes that were at it."""
    with Crew(MANY) as crew:
        assert list(crew.each(partial(unlucky, tmp_path), range(MANY), lambda _: -1)) == list(range(MANY))


def test_an_error_arrives_as_it_is_and_ends_it() -> None:
    with Crew(MANY) as crew, pytest.raises(UserError, match="disk is full") as told:
        list(crew.each(work, range(900, 1100), lambda _: -1))
    assert told.value.kind == "disk-full"


def test_an_error_of_the_disk_is_not_taken_for_a_death() -> None:
    with Crew(MANY) as crew, pytest.raises(FileNotFoundError):
        list(crew.each(os.stat, ["/"] * MANY + ["/not/there"], lambda _: None))


def test_nobody_is_left() -> None:
    with Crew(MANY) as crew:
        list(crew.each(work, range(2000, 2000 + MANY), lambda _: -1))
        hands = [psutil.Process(each.pid) for each in crew._started]
        assert hands
    assert not any(each.is_running() for each in hands)


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_nobody_is_left_by_one_who_was_killed() -> None:
    code = (
        "from transfer_core.data.crew import Crew; import time\n"
        "with Crew(1000) as crew:\n"
        " for _ in crew.each(abs, range(1000), abs): print(crew._started[0].pid, flush=True); time.sleep(0.1)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        hand = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    hand.wait(20)


def test_a_file_that_kills_its_decoder_is_left_out_and_the_others_are_there(tmp_path: Path) -> None:
    files = [Candidate(f"{n}.png", partial(png, n), "ab"[n % 2]) for n in range(MANY)]
    files[33] = Candidate("33.png", partial(os._exit, 9), "a")
    manifest, problems = ingest(files, "Many", Library(tmp_path))
    assert {row.path for row in manifest.rows} == {each.path for each in files} - {"33.png"}
    assert [(each.file, each.kind) for each in problems] == [("33.png", "damaged")]
