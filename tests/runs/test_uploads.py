"""Uploads: what has arrived counts, what was cut off does not, and without a token nothing is written."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages.ui.upload_route import ROUTE
from transfer_core.errors import UserError
from transfer_core.files import read_json
from transfer_core.runs import unread, uploads
from transfer_core.runs.unread import is_resumable
from transfer_core.runs.uploads import (
    Upload,
    begun,
    close_upload,
    make_token,
    open_upload,
    receive,
    receive_slice,
    received,
    received_part,
)


@pytest.fixture
def upload(home: Path) -> Upload:
    return open_upload(home, make_token(home))


def send(upload: Upload, path: str, data: bytes, size: int | None = None, times: int = 1) -> None:
    """Send data in pieces; `size` is what is announced."""
    with receive(upload, path, size) as out:
        for _ in range(times):
            out.write(data)


def write_and_fail(upload: Upload) -> None:
    with receive(upload, "worse.png", None) as out:
        out.write(b"1")
        raise RuntimeError


def contents(folder: Path) -> dict[str, bytes]:
    files = read_json(folder / "upload.json")["files"]
    return {path: (folder / name).read_bytes() for path, name in files.items()}


@given(st.dictionaries(st.text(min_size=1, max_size=30).filter(lambda t: t.strip("/") and "\0" not in t), st.binary(max_size=50), min_size=1, max_size=8))  # fmt: skip
def test_whatever_files_are_called_they_arrive_and_stay_in_their_folder(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    home = tmp_path_factory.mktemp("home")
    found = open_upload(home, make_token(home))
    sent = {path.encode("utf-8", "replace").decode(): data for path, data in files.items()}
    for path, data in sent.items():
        send(found, path, data)
    assert received(found) == {path: len(data) for path, data in sent.items()}
    assert contents(close_upload(found, "set")) == sent
    outside = {path.name for path in home.rglob("*") if path.is_file() and path.parent != found.folder}
    assert outside == {"secret", "secret.lock"}


def test_a_file_sent_twice_is_there_once(upload: Upload) -> None:
    send(upload, "a/1.png", b"old")
    send(upload, "a/1.png", b"newer")
    assert received(upload) == {"a/1.png": 5}
    assert contents(close_upload(upload, "set")) == {"a/1.png": b"newer"}


def test_what_is_cut_off_does_not_count(upload: Upload) -> None:
    send(upload, "whole.png", b"123")
    with pytest.raises(UserError, match="broke off"):
        send(upload, "torn.png", b"12", size=3)
    with pytest.raises(RuntimeError):
        write_and_fail(upload)
    assert received(upload) == {"whole.png": 3}
    assert not list(upload.folder.glob(".*.part"))


def test_a_line_that_was_cut_off_is_sent_again(upload: Upload) -> None:
    send(upload, "one.png", b"1")
    send(upload, "two.png", b"2")
    whole = upload.listing.read_bytes()
    for end in range(len(whole)):
        upload.listing.write_bytes(whole[:end])
        assert received(upload).items() <= {"one.png": 1, "two.png": 1}.items()


@given(data=st.binary(min_size=1, max_size=60), cuts=st.lists(st.integers(0, 60)), torn=st.integers(0, 5))
def test_a_file_in_slices_is_the_file_whatever_breaks_off(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[int], torn: int
) -> None:
    """Slices in order, one of them torn and sent again, another sent twice: the bytes are those of the file."""
    home = tmp_path_factory.mktemp("home")
    upload = open_upload(home, make_token(home))
    ends = sorted({min(each, len(data)) for each in cuts if each} | {len(data)})
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        assert received(upload) == {}
        if number == torn:
            with pytest.raises(UserError, match="broke off"):
                send_slice(upload, data, start, end, upto=end - 1)
        assert received_part(upload, "set.zip") == start
        send_slice(upload, data, start, end)
        if end < len(data):
            assert is_resumable(upload.folder)
            if start:  # the first one begins anew
                with pytest.raises(UserError) as refused:
                    send_slice(upload, data, start, end)
                assert refused.value.kind == "gap"
    assert contents(close_upload(upload, "set")) == {"set.zip": data}
    assert begun(upload) == 0


def send_slice(upload: Upload, data: bytes, start: int, end: int, upto: int | None = None) -> None:
    with receive_slice(upload, "set.zip", start, end, len(data)) as out:
        out.write(data[start : end if upto is None else upto])


def test_a_piece_that_comes_twice_at_once_is_there_once(upload: Upload) -> None:
    """The line dies, the piece is sent again, and then the first sender's bytes come after all."""
    data = b"0123456789"
    send_slice(upload, data, 0, 4)
    late = receive_slice(upload, "set.zip", 4, 8, 10)
    out = late.__enter__()
    out.write(data[4:6])
    assert received_part(upload, "set.zip") == 4  # what has not come whole does not count
    send_slice(upload, data, 4, 8)
    out.write(data[6:8])
    with pytest.raises(UserError, match="not the next piece"):
        late.__exit__(None, None, None)
    send_slice(upload, data, 8, 10)
    assert contents(close_upload(upload, "set")) == {"set.zip": data}


def test_only_what_is_to_come_has_to_fit_on_the_disk(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    send_slice(upload, b"0123456789", 0, 5)
    monkeypatch.setattr(uploads, "free_bytes", lambda _: uploads.SPARE + 5)
    send_slice(upload, b"0123456789", 5, 10)
    assert received(upload) == {"set.zip": 10}


def test_many_at_once_lose_nothing(upload: Upload) -> None:
    threads = [
        threading.Thread(
            target=lambda start=start: [send(upload, f"{n}.png", b"x" * n) for n in range(start, 200, 8)]
        )
        for start in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert received(upload) == {f"{n}.png": n for n in range(200)}


@pytest.mark.parametrize("path", ["", "///", "a\0b", "x" * 1001])
def test_what_is_no_name_is_refused(upload: Upload, path: str) -> None:
    with pytest.raises(UserError) as refused:
        send(upload, path, b"1")
    assert refused.value.kind == "bad-name"


def test_caps_hold_whatever_is_announced(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE", 10)
    for size in (11, None):
        with pytest.raises(UserError) as refused:
            send(upload, "big.png", b"123456", size, times=2)
        assert refused.value.kind == "too-large"
    monkeypatch.setattr(uploads, "MAX_FILES", 0)
    with pytest.raises(UserError) as refused:
        send(upload, "one.png", b"1")
    assert refused.value.kind == "too-many"
    assert received(upload) == {}


def test_a_disk_that_would_be_full_takes_nothing(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "free_bytes", lambda _: uploads.SPARE + 2)
    with pytest.raises(UserError) as refused:
        send(upload, "one.png", b"123", size=3)
    assert refused.value.kind == "disk-full"
    assert not list(upload.folder.iterdir())


def test_tokens_are_this_homes_own(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for token in (
        "",
        "../../etc",
        "0" * 64,
        make_token(elsewhere),
        make_token(home)[:-1] + "x",
        "a" * 32 + "\u00e9",
    ):
        with pytest.raises(UserError) as refused:
            open_upload(home, token)
        assert refused.value.kind == "no-upload"


def test_a_broken_upload_can_be_gone_on_with_for_a_day(
    upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(upload, "one.png", b"1")
    assert is_resumable(upload.folder)
    now = unread.time.time()
    monkeypatch.setattr(unread.time, "time", lambda: now + unread.KEPT + 1)
    assert not is_resumable(upload.folder)


# -- over HTTP ----------------------------------------------------------------------------


@pytest.fixture
def client(home: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("TRANSFER_LAB_HOME", str(home))
    return TestClient(Starlette(routes=[ROUTE]), base_url="http://localhost:8501")


def test_over_http(client: TestClient, home: Path) -> None:
    token = make_token(home)
    name = "Größe/../ü [1].png"
    sent = client.put(f"/upload/{token}", content=b"123", headers={"X-File": quote(name)})
    assert sent.status_code == 204
    assert client.get(f"/upload/{token}").json() == {"files": {name: 3}, "begun": 0}
    assert client.delete(f"/upload/{token}").status_code == 204
    assert client.get(f"/upload/{token}").json() == {"files": {}, "begun": 0}


def test_what_is_whole_is_marked_and_no_longer_forgotten_over_http(client: TestClient, home: Path) -> None:
    token = make_token(home)
    client.put(f"/upload/{token}", content=b"123", headers={"X-File": "a.png"})
    whole = {"for": "data", "name": "x", "files": 1, "size": 3}
    for told in ("no", "[]", "9" * 20_000, json.dumps(whole | {"size": 4})):
        assert client.post(f"/upload/{token}", content=told).status_code == 400
    assert client.post(f"/upload/{token}", json=whole).status_code == 204
    assert client.delete(f"/upload/{token}").status_code == 204
    assert client.get(f"/upload/{token}").json()["files"] == {"a.png": 3}
    assert contents(close_upload(open_upload(home, token), "x")) == {"a.png": b"123"}


@pytest.mark.parametrize("token", ["x", "..%2f..%2fetc", "0" * 64])
def test_without_a_token_nothing_is_written(client: TestClient, home: Path, token: str) -> None:
    for answer in (
        client.put(f"/upload/{token}", content=b"1", headers={"X-File": "a.png"}),
        client.get(f"/upload/{token}"),
    ):
        assert answer.status_code in (400, 404)
    assert not list((home / "uploads").glob("*"))


def test_a_body_without_an_end_is_cut_at_the_cap(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE", 1000)
    token = make_token(home)
    answer = client.put(
        f"/upload/{token}", content=(b"x" * 100 for _ in range(50)), headers={"X-File": "a.png"}
    )
    assert answer.status_code == 413
    assert "at most" in answer.json()["error"]
    assert not [path for path in (home / "uploads").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("piece", "status"),
    [
        ("bytes 5-9/20", 409), ("bytes 0-30/20", 409), ("bytes 9-0/20", 409), ("bytes 0-1/99999999999999", 413),
        ("items 0-1/2", 400), ("bytes 0-4/*", 400), ("bytes */5", 400), ("", 400), ("bytes 0-1/9999999999999999", 400),
    ],
)  # fmt: skip
def test_a_piece_that_cannot_be_is_refused(client: TestClient, home: Path, piece: str, status: int) -> None:
    token = make_token(home)
    headers = {"X-File": "a.zip", "Content-Range": piece}
    answer = client.put(f"/upload/{token}", content=b"12345", headers=headers)
    assert answer.status_code == status
    assert client.get(f"/upload/{token}", headers={"X-File": "a.zip"}).json() == {"part": 0}
    assert client.get(f"/upload/{token}").json()["files"] == {}


def test_pieces_over_http(client: TestClient, home: Path) -> None:
    token = make_token(home)
    for piece, status in (("bytes 0-2/5", 204), ("bytes 2-3/5", 409), ("bytes 3-4/5", 204)):
        first, last = (int(each) for each in piece[6:].partition("/")[0].split("-"))
        headers = {"X-File": "a.zip", "Content-Range": piece}
        sent = client.put(f"/upload/{token}", content=b"12345"[first : last + 1], headers=headers)
        assert sent.status_code == status
    assert client.get(f"/upload/{token}").json() == {"files": {"a.zip": 5}, "begun": 0}
    assert contents(close_upload(open_upload(home, token), "x")) == {"a.zip": b"12345"}
