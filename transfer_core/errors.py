"""The one kind of error a user may read."""

from __future__ import annotations


class UserError(Exception):
    """A problem the user can mend, told in one sentence that says what to do.

    `kind` is a stable word for programs (`--json` prints it); `str(error)` is the sentence.
    Pages and the command line show the sentence and never a traceback.
    """

    def __init__(self, message: str, kind: str = "bad-input") -> None:
        super().__init__(message)
        self.kind = kind
