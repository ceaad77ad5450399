"""A bundle from elsewhere, looked at in a process of its own: its models may loop for ever, ask for all memory, or crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from transfer_core.bundle.verify import Check, Verdict, bad, verify
from transfer_core.errors import UserError

CHECKER = (sys.executable, "-m", "transfer_core.bundle.apart")
LIMIT = 600.0  # seconds; the largest bundle takes one or two minutes
MEMORY = 24_000_000_000  # bytes, where the system can hold a process to it


def verify_apart(folder: Path) -> Verdict:
    """Return what `verify` says; a bundle that it does not survive, or not in time, is a bad one."""
    try:
        done = subprocess.run(
            [*CHECKER, str(folder.absolute())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
        )
    except subprocess.TimeoutExpired:
        return bad(f"Looking at it takes longer than {LIMIT / 60:.0f} minutes, which no bundle needs.")
    lines = done.stdout.splitlines()
    try:
        answer = json.loads(lines[-1] if lines else b"")
    except ValueError:
        return bad("Looking at it ended in a crash: it is damaged, or asks for more memory than there is.")
    if "error" in answer:
        raise UserError(answer["error"]["message"], answer["error"]["kind"])
    checks = tuple(Check(**each) for each in answer["checks"])
    return Verdict(answer["bundle_id"], answer["run"], checks)


def main(folder: str) -> None:
    """Write what `verify` says as one line of JSON."""
    with suppress(ImportError, ValueError, OSError):  # there is none on Windows, or less is allowed already
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = verify(Path(folder)).to_json()
    except UserError as error:
        answer = {"error": {"kind": error.kind, "message": str(error)}}
    print(f"\n{json.dumps(answer)}")


if __name__ == "__main__":
    main(sys.argv[1])
