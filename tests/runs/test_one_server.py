"""A home has one server, and whoever comes second is told where the first is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from transfer_core.errors import UserError
from transfer_core.runs.one_server import only_server

SERVE = """
import sys
from pathlib import Path
from transfer_core.runs.one_server import only_server
with only_server(Path(sys.argv[1]), "http://localhost:1"):
    print("here", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_of_the_first_until_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        try:
            with pytest.raises(UserError) as refused, only_server(tmp_path, "http://localhost:2"):
                pass
            assert all(
                each in str(refused.value) for each in ("http://localhost:1", str(first.pid), str(tmp_path))
            )
            (tmp_path / "server.json").write_text("{")  # as it is for a moment
            with (
                pytest.raises(UserError, match="has just begun"),
                only_server(tmp_path, "http://localhost:2"),
            ):
                pass
        finally:
            first.kill()
    with only_server(tmp_path, "http://localhost:2"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["server.lock"]
