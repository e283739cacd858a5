"""The demo in JupyterLab, as `make lab` starts it: run by hand, since JupyterLab and a kernel of its own take a minute.

    python tests/slow/look_at_the_demo_in_lab.py PICTURES

A scratch notebook, whose one cell shows the demo over the samples, is run in headless Chromium: a sentence used nowhere
else is typed, the walk scrubbed, the run pinned and compared with another. What is shown is held against the core's
numbers, computed here. PICTURES is a folder for screenshots.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

from served_page import bars, figure_pictures, stretched, wait_for  # noqa: E402

from diffret_core.course.demo import default_state, run  # noqa: E402
from diffret_core.course.demo.collection import SampleCollection  # noqa: E402
from diffret_core.course.demo.running import Run  # noqa: E402
from diffret_core.course.setup import open_samples  # noqa: E402

PORT = 8921
SENTENCE, ANOTHER = "two yellow triangles jump over a lamp", "an orange lamp leans left"
CODE = """from diffret_core.course.demo import RetrievalDemo
from diffret_core.course.setup import open_samples

RetrievalDemo(open_samples())"""


def drive(page: Page, notebook: str, expected: Run, pictures: Path) -> None:
    """Run the notebook, use the demo, and compare what it shows."""
    page.goto(f"http://127.0.0.1:{PORT}/lab/workspaces/scratch/tree/{notebook}?token=x", timeout=120_000)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=120_000)
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    page.get_by_label("sentence").wait_for(timeout=120_000)
    page.get_by_label("sentence").fill(SENTENCE)
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("b", has_text=f"“{SENTENCE}”").first.wait_for(timeout=60_000)
    handle = page.locator(".jupyter-widgets", has_text="noise → data").last.locator(".noUi-handle")
    for place, level in enumerate(expected.walk.levels[:5]):
        page.locator("b", has_text=f"noise level {level} of").wait_for(timeout=30_000)
        heights = bars(page).values()
        state = expected.walk.states[place].mean(dim=0).tolist()
        worst = max(abs(a - b) for a, b in zip(stretched(heights), stretched(state), strict=True))
        assert worst < 0.02, (level, worst)
        handle.press("ArrowRight")
    page.screenshot(path=pictures / "lab.png")
    page.get_by_role("button", name="Pin this run").click()
    page.get_by_label("sentence").fill(ANOTHER)
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("What changed").wait_for(timeout=60_000)
    page.get_by_text("What changed").scroll_into_view_if_needed()
    page.screenshot(path=pictures / "lab-compared.png")


def main(pictures: Path) -> None:
    """Start JupyterLab, look, and stop it."""
    pictures.mkdir(parents=True, exist_ok=True)
    samples = open_samples()
    expected = run(SampleCollection(samples), default_state(samples.model.config, SENTENCE))
    command = [sys.executable, "-m", "jupyterlab", f"--config={ROOT}/tools/jupyter_lab_config.py", "--no-browser"]
    command += ["--port", str(PORT), "--IdentityProvider.token=x"]
    with tempfile.NamedTemporaryFile(suffix=".ipynb", dir=ROOT, prefix="scratch-") as file:
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [nbformat.v4.new_code_cell(CODE)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), file.name)
        server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            wait_for(PORT)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=figure_pictures.find_chromium(), args=["--no-sandbox", "--disable-gpu"]
                )
                page, errors = browser.new_page(viewport={"width": 1400, "height": 1400}), []
                page.on("pageerror", lambda error: errors.append(str(error)))
                drive(page, Path(file.name).name, expected, pictures)
                print(f"as computed; {len(errors)} errors in the page {errors}")
                browser.close()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
