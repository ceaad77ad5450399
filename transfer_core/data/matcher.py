"""Matches somebody's pattern in a process of its own, which can be ended: run as a script, never imported by the server.

Some patterns take exponential time, and Python's `re` neither yields to other threads meanwhile nor can be stopped.
Reads `[pattern, texts]` as JSON from stdin; writes `{"groups": [...]}`, or `{"at": position}` where the pattern is none.
"""

import json
import re
import sys
import warnings
from contextlib import suppress

SECONDS = 60  # of the processor, after which the system ends it: whoever asked may have been killed


def answer(pattern: str, texts: list[str]) -> dict[str, object]:
    """Return what the first bracket matches in each text (without a bracket, all of the match), None where nothing."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        return {"at": error.pos}
    except (OverflowError, RecursionError, MemoryError):  # a repetition beyond counting, brackets without end
        return {"at": None}
    bracket = 1 if compiled.groups else 0
    found = (compiled.search(text) for text in texts)
    return {"groups": [(match.group(bracket) or None) if match else None for match in found]}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with suppress(ImportError):  # there is none on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    json.dump(answer(*json.load(sys.stdin)), sys.stdout)
