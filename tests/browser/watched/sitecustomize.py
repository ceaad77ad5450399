"""Python loads this at the start of every process under the tests' server, its children too: nothing may leave the machine.

Each look-up of a name and each peer of a socket that would leave becomes a line of the file WATCHED, and is stopped. So
does a library that begins to load under the script of one page, while that of another may look whether it is there.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import sys
import threading
from typing import Any

WHERE = {  # audit event -> which of its arguments names the other side (docs.python.org, audit events table)
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.getnameinfo": 0,
}
WHOLE = ("numpy", "PIL.Image", "pandas")  # at which plotly looks without waiting for them


def leaves(peer: Any) -> bool:
    """Tell whether an address, or a name that is looked up, is one outside this machine."""
    name = peer[0] if isinstance(peer, tuple) else peer
    name = name.decode("latin-1") if isinstance(name, bytes) else name
    if (
        not name or name == "localhost" or name.startswith(("/", "\0"))
    ):  # none, or a socket of the file system
        return False
    try:
        return not ipaddress.ip_address(name).is_loopback
    except ValueError:
        return True


def note(line: dict[str, Any]) -> None:
    """Append a line, whole: several processes write."""
    data = json.dumps({"pid": os.getpid(), **line}).encode() + b"\n"
    handle = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


def hook(event: str, found: tuple[Any, ...]) -> None:
    """Watch; see sys.addaudithook."""
    if event == "import" and found[0] in WHOLE and threading.current_thread().name.startswith("ScriptRunner"):
        note({"event": event, "peer": found[0]})
    if event not in WHERE:
        return
    peer = found[WHERE[event]]
    if leaves(peer):
        note({"event": event, "peer": str(peer)})
        raise OSError(errno.ENETUNREACH, f"{event} to {peer} would leave this machine")


if os.environ.get("WATCHED"):
    sys.addaudithook(hook)
    note({"event": "watched", "peer": " ".join(sys.orig_argv)})
