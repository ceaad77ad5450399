"""A home that can only be read: what is there is shown, and what would write says so in a sentence."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring
from transfer_core.files import get_secret
from transfer_core.runs.unread import GONE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes rights away as Linux does")
THREE = ("disc-solid", "cross-outline", "star-dotted")
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def obey_modes() -> None:
    """Let the program that begins now obey modes of files even where root begins it."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def set_writable(home: Path, writable: bool) -> None:
    for path in (home, *home.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200 if writable else path.stat().st_mode & ~0o222)


@pytest.fixture
def read_only(home: Path) -> Iterator[Path]:
    bring(home, draw_shapes(60, seed=3, size=32, classes=THREE))
    Study(home).ended(name="kept")
    get_secret(home)
    (home / "uploads" / f"{'0' * 32}{GONE}").mkdir(
        parents=True
    )  # was being removed when the server was killed
    set_writable(home, False)
    yield home
    set_writable(home, True)


def test_it_can_be_looked_at_and_not_changed(read_only: Path) -> None:
    code = (
        "from transfer_core.cli import main\n"
        "from transfer_core.files import get_home, get_secret, is_writable\n"
        "from transfer_core.runs.one_server import only_server\n"
        "from transfer_core.data.library import Library\n"
        "from transfer_core.runs.intake import Intake\n"
        "assert not is_writable(get_home()) and len(get_secret(get_home())) == 32\n"
        "with only_server(get_home(), ''), only_server(get_home(), ''): pass\n"
        "assert Intake(Library(get_home())).recover() == []\n"
        "changes = ['rename', 'kept', 'other'], ['delete', 'kept', '--yes'], ['delete', 'Shapes', '--yes']\n"
        "for what in (['runs'], ['show', 'kept'], ['datasets'], *changes, ['runs']):\n"
        "    print(main(what), flush=True)"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, preexec_fn=obey_modes, capture_output=True, text=True, check=True)
    assert said.stdout.count("kept") == 3
    assert [line for line in said.stdout.splitlines() if line.isdigit()] == [
        "0",
        "0",
        "0",
        "2",
        "2",
        "2",
        "0",
    ]
    assert said.stderr.count("cannot be written: give this user the right to write there") == 3
    assert "Traceback" not in said.stderr
