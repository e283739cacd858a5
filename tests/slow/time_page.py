"""How fast the page of the demo is, and how it looks: run by hand, since times on a shared machine prove nothing in CI.

    python tests/slow/time_page.py PICTURES

It serves the samples as `make demo` does (after one such start, so that the videos' features are kept), opens the page
in Chromium with an empty cache, at once (cold) and again when the next kernel has been heated, and moves sliders. Times
of a slider are from the key that moves it to the changed picture in the page, by the browser's own clock. PICTURES is a
folder for screenshots at three widths.
"""

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import figure_pictures  # noqa: E402

PORT, NUM_MOVES = 8921, 12
HEATED_SECONDS = 45
ANSWERED = "text=On the map"
WATCH = """name => {
  const labels = [...document.querySelectorAll(".noUi-handle")];
  const handle = labels.find(one => one.getAttribute("aria-label") === name);
  handle.focus();
  window.moved = new Promise(resolve => {
    let started;
    handle.addEventListener("keydown", () => { started = performance.now(); }, {once: true, capture: true});
    const seen = new MutationObserver(() => { seen.disconnect(); resolve(performance.now() - started); });
    const shown = [...document.querySelectorAll(".widget-html-content")];
    shown.forEach(one => seen.observe(one, {childList: true, subtree: true}));
  });
}"""


def first_result(page: Page, url: str) -> float:
    """Seconds from opening the page to the first answer in it."""
    started = time.perf_counter()
    page.goto(url, wait_until="commit", timeout=120_000)
    page.wait_for_selector(ANSWERED, timeout=120_000)
    return time.perf_counter() - started


def moves(page: Page, name: str) -> list[float]:
    """Milliseconds from a key on a slider to the page's new picture, again and again."""
    times = []
    for move in range(NUM_MOVES):
        page.evaluate(WATCH, name)
        page.keyboard.press("ArrowLeft" if move % 3 == 2 else "ArrowRight")
        times.append(page.evaluate("window.moved"))
        page.wait_for_timeout(300)
    return times


def main(pictures: Path) -> None:
    """Measure and print."""
    pictures.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "diffret_core", "demo", "--no-browser", "--port", str(PORT)]
    started = time.perf_counter()
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+", server.stdout.readline()).group()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=figure_pictures.find_chromium(), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.wait_for_timeout(500)
            first_result(page, address)
            print(f"cold: {time.perf_counter() - started:.1f} s from the command to the first result")
            for width in (1400, 1000, 500):
                page.set_viewport_size({"width": width, "height": 1900})
                page.wait_for_timeout(1000)
                page.screenshot(path=pictures / f"{width}.png")
            for name in ("noise → data", "alpha", "temperature"):
                times = moves(page, name)
                print(f"{name}: median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms of {len(times)}")
            page.close()
            time.sleep(HEATED_SECONDS)
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            print(f"heated: {first_result(page, address):.1f} s from opening to the first result")
            browser.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
