"""A zip on the Start page becomes the open data set, or it is told why not."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import bring as bring_module
from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, button, link_of, marked_up, png, show, widget, words
from transfer_core.runs.uploads import open_upload, receive


def packed(n: int = 24) -> bytes:
    """A zip with one folder per class."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for each in draw_shapes(n, size=32, classes=("disc-solid", "star-dotted")):
            archive.writestr(f"{each.label}/{each.name}.png", png(each))
    return out.getvalue()


def arrive(at: AppTest) -> AppTest:
    """Wait on the data page until everything is read."""
    at.switch_page("study/data.py")
    end = time.monotonic() + 30
    while "You may leave this page" in words(at):
        assert time.monotonic() < end
        time.sleep(0.02)
        at.run()
    assert not at.exception
    return at


@pytest.fixture
def upload(empty: Study, monkeypatch: pytest.MonkeyPatch) -> Callable[[AppTest, str, bytes], None]:
    """What the browser does when a zip is chosen: send it, then tell the page, once."""

    def do(at: AppTest, file: str, content: bytes) -> None:
        told = []

        def sent(token: str, **_: Any) -> tuple[str, str, int, int] | None:
            if told:
                return None
            with receive(open_upload(empty.home, token), file, len(content)) as out:
                out.write(content)
            told.append((token, file.removesuffix(".zip"), 1, len(content)))
            return told[0]

        monkeypatch.setattr(bring_module, "uploader", sent)
        at.run()

    return do


Uploaded = Callable[[AppTest, str, bytes], None]


def test_a_zip_becomes_the_open_data_set(empty: Study, upload: Uploaded) -> None:
    at = show("study/home.py")
    upload(at, "My cells.zip", packed())
    arrive(at)
    assert not at.exception
    assert at.title[0].value == "My cells"
    assert at.metric[0].value == "24"
    assert link_of(at, "data") == empty.manifest.id


@pytest.mark.parametrize("content", [b"no zip", b"", packed()[:-40]])
def test_the_wrong_zip_is_told_and_another_can_be_brought(
    empty: Study, upload: Uploaded, content: bytes
) -> None:
    at = show("study/home.py")
    upload(at, "![x](http:evil.zip", content)
    arrive(at)
    (unread,) = [each.value for each in at.markdown if each.value.startswith(":material/error:")]
    assert "zip" in unread.rpartition("**: ")[2]
    assert "![x]" not in marked_up(at)
    assert not empty.library.datasets()
    widget(at.checkbox, "I want to delete it").check().run()
    button(at, "Delete the upload").click().run()
    assert not list((empty.home / "uploads").glob("*"))
    at.switch_page("study/home.py").run()
    upload(at, "good.zip", packed())
    assert arrive(at).title[0].value == "good"
