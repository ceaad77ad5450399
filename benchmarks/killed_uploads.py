"""What the benchmark of kills does to uploads: a server and those who read for it are killed under a real browser."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Error as PageError
from playwright.sync_api import Page, sync_playwright

from tests.browser.serving import Server
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.sources import open_source

LONGEST = 600.0  # seconds for anything
IMAGES, EDGE = 200, 300  # of an upload
Row = dict[str, Any]


def wait_until(is_so: Callable[[], bool], what: str) -> float:
    """Wait; return the seconds it took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > LONGEST:
            raise TimeoutError(what)
        time.sleep(0.05)
    return time.monotonic() - began


def end(process: psutil.Process) -> bool:
    """Kill a process; False where it had ended by itself."""
    with suppress(psutil.NoSuchProcess):
        if process.status() != psutil.STATUS_ZOMBIE:
            process.kill()
            with suppress(psutil.TimeoutExpired):
                process.wait(20)
            return True
    return False


def children(parent: psutil.Process, module: str) -> list[psutil.Process]:
    """The living children of a process that run a module."""
    found = []
    for each in parent.children():
        with suppress(psutil.Error):
            if module in each.cmdline() and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def draw_folder(folder: Path, seed: int) -> Path:
    """Pictures that take some time to read, no two alike, in two classes."""
    rng = np.random.default_rng(seed)
    for number in range(IMAGES):
        path = folder / "cells" / ("sound" if number % 2 else "crack") / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rough = Image.fromarray(rng.integers(40, 216, (10, 10, 3), dtype=np.uint8))
        rough.resize((EDGE, EDGE), Image.Resampling.BICUBIC).save(path, compress_level=1)
    return folder / "cells"


def read_directly(home: Path, folder: Path) -> str:
    """The data set that a folder is, read without a server."""
    found, problems = open_source(folder)
    named = [_under(each, folder.name) for each in found]
    return ingest(named, folder.name, Library(home), problems=problems)[0].id


def _under(candidate: Any, name: str) -> Any:
    return replace(candidate, path=f"{name}/{candidate.path}")


class Visitor:
    """Somebody at a browser who brings a folder and does what the page says until it is there."""

    def __init__(self, server: Server, page: Page, folder: Path, wanted: str) -> None:
        self._server, self._page, self._folder, self._wanted = server, page, folder, wanted
        self.clicks = 0

    @property
    def is_here(self) -> bool:
        """Whether what was brought is a data set."""
        return (self._server.home / "datasets" / self._wanted / "about.json").exists()

    def open(self) -> None:
        self._page.goto(self._server.address)
        self._page.locator("input.dir").wait_for(state="attached")

    def choose(self) -> None:
        self._page.locator("input.dir").set_input_files(str(self._folder), timeout=60_000)

    def go_on(self) -> None:
        """Do what the page offers, where it offers anything."""
        if self._page.get_by_text("broke off").count():
            self.choose()
            return
        for label in ("Read it", "Try again"):
            button = self._page.get_by_role("button", name=label)
            if button.count():
                button.first.click()
                self.clicks += 1
                return


def kill_servers(folder: Path, kills: dict[str, int], chance: random.Random) -> list[Row]:
    """Send and read uploads through kills; return how many became the data set that a direct reading makes."""
    done = dict.fromkeys(kills, 0)
    uploads = same = clicks = 0
    with sync_playwright() as play:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        seconds = 0.0
        while done != kills or not seconds:
            images = draw_folder(folder / f"images-{uploads}", chance.randrange(1 << 30))
            home = folder / f"home-{uploads}"
            home.mkdir()
            wanted = read_directly(folder / f"direct-{uploads}", images)
            server = Server(home)
            server.start()
            page = browser.new_context().new_page()
            page.set_default_timeout(1000 * LONGEST)
            try:
                visitor = Visitor(server, page, images, wanted)
                visitor.open()
                began = time.monotonic()
                visitor.choose()
                if not seconds:  # the first is not disturbed: it tells how long one takes
                    _see_through(visitor)
                    seconds = time.monotonic() - began
                    uploads += 1
                    continue
                whom = [each for each in kills for _ in range(3) if done[each] < kills[each]]
                chance.shuffle(whom)
                for each in whom[: chance.randint(2, 4)]:
                    if done[each] < kills[each] and _harm(each, server, visitor, chance.uniform(0, seconds)):
                        done[each] += 1
                        print(f"{each} {done[each]}: killed, upload {uploads}", flush=True)
                _see_through(visitor)
                uploads += 1
                names = [about.id for about in Library(home).datasets()]
                wait_until(partial(_is_empty, home / "uploads"), "an upload was left")
                same += names == [wanted]
                clicks += visitor.clicks
            finally:
                page.context.close()
                server.kill()
                server.end_workers()
            shutil.rmtree(images)
            shutil.rmtree(home)
        browser.close()
    word = {"of": "uploads", "n": uploads - 1, "as undisturbed": same}
    print(f"asked to be read by a click: {clicks}", flush=True)
    return [{"killed": each, "kills": number, **word} for each, number in done.items()]


def _is_empty(folder: Path) -> bool:
    return not list(folder.glob("*"))


def _harm(whom: str, server: Server, visitor: Visitor, after: float) -> bool:
    """Kill the server, or one that reads for it, so many seconds from now; False where all was here before."""
    began = time.monotonic()
    process = psutil.Process(server._process.pid)  # type: ignore[union-attr]
    while time.monotonic() - began < after or whom == "reader":
        if visitor.is_here:
            return False
        hands = children(process, "transfer_core.data.crew") if whom == "reader" else []
        if hands:
            time.sleep(after / 4)
            return end(hands[int(after * 1000) % len(hands)])
        if time.monotonic() - began > 3 * after + 20:
            return False  # nobody reads: it broke off before
        with suppress(PageError):
            visitor._page.wait_for_timeout(20)  # the page goes on sending meanwhile
    server.kill()
    server.start()
    with suppress(PageError):
        visitor.open()
        visitor._page.wait_for_timeout(1500)
        visitor.go_on()
    return True


def _see_through(visitor: Visitor) -> None:
    began = last = time.monotonic()
    while not visitor.is_here:
        if time.monotonic() - began > LONGEST:
            raise TimeoutError("an upload never arrived")
        visitor._page.wait_for_timeout(100)
        if time.monotonic() - last > 8:  # somebody who waits looks again
            with suppress(PageError):
                visitor.open()
                visitor._page.wait_for_timeout(1000)
                visitor.go_on()
            last = time.monotonic()
