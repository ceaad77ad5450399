"""How soon it is there: the run list on the command line, and the first page in a browser.

    uv run python benchmarks/start.py

The first page (heading and main button visible in headless Chromium) is timed from the start of a warm
server process, beside a Streamlit app that shows one word, on the same machine in the same run.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from common import Check, finish
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
ROUNDS = 5


def time_runs(home: Path) -> float:
    """Return the median seconds of `transfer-lab runs` as a whole process."""
    times = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        command = [sys.executable, "-m", "transfer_core", "runs"]
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            cwd=ROOT,
            env=os.environ | {"TRANSFER_LAB_HOME": str(home)},
        )
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])  # the first warms the disk


def time_page(browser: Browser, script: Path, home: Path, selectors: list[str]) -> tuple[float, float]:
    """Return seconds until the server answers, and from then until the page shows its selectors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port),
               "--server.headless", "true", "--browser.gatherUsageStats", "false", "--server.address", "127.0.0.1"]  # fmt: skip
    started = time.perf_counter()
    server = subprocess.Popen(command, cwd=script.parent, env=os.environ | {"TRANSFER_LAB_HOME": str(home)},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.02)
        up = time.perf_counter()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        for selector in selectors:
            page.wait_for_selector(selector, state="visible")
        shown = time.perf_counter()
        page.close()
        return up - started, shown - up
    finally:
        server.kill()
        server.wait()


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("This benchmark needs Chromium: install it with your package manager.")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        empty = folder / "empty.py"
        empty.write_text("import streamlit as st\nst.title('Hello')\nst.button('Main')\n")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        selectors = ["h1", "[data-testid=stButton] button"]
        ours, plain = [], []
        for _ in range(ROUNDS + 1):
            ours.append(time_page(browser, ROOT / "app.py", folder / "home", selectors))
            plain.append(time_page(browser, empty, folder / "home", selectors))
        runs = time_runs(folder / "home")
        browser.close()
    rows = [
        {"what": what, "server up s": statistics.median(e[0] for e in each[1:]),
         "first page s": statistics.median(e[1] for e in each[1:])}
        for what, each in (("Transfer Lab", ours), ("empty Streamlit page", plain))
    ]  # fmt: skip
    rows.append({"what": "transfer-lab runs (whole process)", "server up s": 0.0, "first page s": runs})
    checks = [
        Check(
            "first page after a warm server start, s",
            statistics.median(each[1] for each in ours[1:]),
            2.5,
            at_least=False,
        ),
        Check("transfer-lab runs, s", runs, 0.7, at_least=False),
    ]
    finish("start", rows, checks)


if __name__ == "__main__":
    main()
