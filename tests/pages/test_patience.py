"""What a page waits for does not hold whoever leaves it."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from pages.ui import patience
from transfer_core.errors import UserError


class Place:
    """A place on the page, which the user leaves when something is put there for the third time."""

    def __init__(self) -> None:
        self.put = 0

    def empty(self) -> None:
        self.put += 1
        if self.put == 3:
            raise InterruptedError


def test_a_wait_can_be_left_and_what_was_waited_for_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.st, "empty", Place)
    left, done = threading.Event(), Future[bool]()
    with pytest.raises(InterruptedError):
        patience.patiently(lambda: done.set_result(left.wait(60)))
    assert not done.done()
    left.set()
    assert done.result(60)


def test_what_was_waited_for_is_returned_or_raised() -> None:
    assert patience.patiently(divmod, 7, 3) == (2, 1)
    with pytest.raises(UserError, match="Bring images first"):
        patience.patiently(_refuse)


def _refuse() -> None:
    raise UserError("Bring images first.", "no-images")
