"""The page of the demo for tests: really served, and opened in a real browser that keeps what it asks for and says."""

import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from own_videos import tiny_model, write_clip

from diffret_core.checkpoints import load_checkpoint, save_checkpoint
from diffret_core.config import ScoringConfig
from diffret_core.course.page.server import HOST, PORTS, free_port
from diffret_core.index import ModelName, build_index

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import figure_pictures  # noqa: E402

HOSTILE_FILES = (
    "<img src=x onerror=window.hurt=1>.mp4",
    "</script><script>window.hurt=2</script>.mp4",  # as a path: folders may be called so
    "\"'><svg onload=window.hurt=3>.mp4",
    "it's & <b>bold&lt;</b>.mp4",
)
HOSTILE_WORDS = '</script><img src=x onerror="window.hurt=4"> & "it\'s" <svg onload=window.hurt=5>'
"""Names and words that would do something in a page that took them for markup."""

TOKENS: dict[int, str] = {}
"""Port of a page that is served -> its token."""


def write_hostile_index(folder: Path) -> Path:
    """Index videos whose names are markup, with a small random model that is found again by its folder."""
    for number, name in enumerate(HOSTILE_FILES):
        write_clip(folder / "videos" / name, seed=number)
    save_checkpoint(folder / "model", tiny_model(scoring=ScoringConfig(num_candidates=len(HOSTILE_FILES))))
    model, name = load_checkpoint(folder / "model"), ModelName("checkpoint", str(folder / "model"))
    report = build_index(folder / "videos", folder / "index", model, name, num_workers=1)
    assert report.num_encoded == len(HOSTILE_FILES)
    return folder / "index"


@contextmanager
def served(*command: str) -> Iterator[int]:
    """Start a server by `python COMMAND --port N`, wait until it listens, give its port, and end it."""
    port = free_port(PORTS)
    line = [sys.executable, *command, "--port", str(port)]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said: list[str] = []
    try:
        for words in process.stdout:
            said.append(words)
            if words.startswith("The demo is at"):
                TOKENS[port] = re.search(r"[?]token=(\S+)", words).group(1)
                break
        else:
            raise AssertionError("".join(said))
        threading.Thread(target=lambda: said.extend(process.stdout), daemon=True).start()
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(60)
    assert process.returncode == 0, "".join(said)


def wait_for(port: int) -> None:
    """Wait until something listens."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")


def answer(
    port: int, path: str, *, host: str = HOST, has_token: bool = True, **headers: str
) -> http.client.HTTPResponse:
    """Ask for a path exactly as it is written, with the page's token in a header; the body is in `body`."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", f"{host}:{port}")
    if has_token:
        connection.putheader("Authorization", f"token {TOKENS[port]}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    response.body = response.read()
    connection.close()
    return response


class Opened(NamedTuple):
    """A page in a browser.

    Attributes:
        page: Playwright's page.
        asked: Every address it asked for.
        errors: What it said of errors, and those it did not catch.
    """

    page: object
    asked: list[str]
    errors: list[str]


@contextmanager
def chromium() -> Iterator[object]:
    """Start headless Chromium; skips where there is none, or nothing to drive it with."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    try:
        path = figure_pictures.find_chromium()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def opened(browser, port: int) -> Iterator[Opened]:
    """Open the page, and wait for its controls."""
    page, asked, errors = browser.new_page(viewport={"width": 1400, "height": 1000}), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda one: asked.append(one.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://{HOST}:{port}/?token={TOKENS[port]}", timeout=120_000)
    page.get_by_label("sentence").wait_for(timeout=120_000)
    yield Opened(page, asked, errors)
    page.close()


def bars(page):
    """Heights of the bars on the page, in pixels, by the name of their candidate."""
    read = "all => all.map(one => [one.textContent, Number(one.parentElement.getAttribute('height'))])"
    return dict(page.eval_on_selector_all("svg rect > title", read))


def stretched(values):
    """Values from 0 for the lowest to 1 for the highest."""
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values]
