"""Pictures of plotly figures, made by the author's Chromium: same figure, same size, no network.

A page with plotly.js (the copy inside the plotly package) draws the figure and writes its picture into the page as
text, which Chromium prints. Debian's `chromium` serves, so does Chrome; CHROMIUM names another one.
"""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH = 940
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--allow-file-access-from-files", "--virtual-time-budget=60000", "--dump-dom"),
]
PAGE = """<!doctype html><meta charset="utf-8"><div id="figure"></div><pre id="picture"></pre>
<script src="{library}"></script>
<script>
const figure = {figure};
const size = {{width: {width}, height: figure.layout.height || 450}};
Plotly.newPlot("figure", figure.data, Object.assign({{}}, figure.layout, size))
  .then(drawn => Plotly.toImage(drawn, Object.assign({{format: "png"}}, size)))
  .then(picture => {{ document.getElementById("picture").textContent = picture; }});
</script>"""


def figure_digest(figure: dict[str, Any]) -> str:
    """Name a figure by its content."""
    return hashlib.sha256(json.dumps(figure, sort_keys=True).encode()).hexdigest()


def figure_picture(figure: dict[str, Any]) -> str:
    """Draw a figure as it first appears.

    Args:
        figure: Data and layout, as in a notebook's output.

    Returns:
        A PNG file in base64.

    Raises:
        FileNotFoundError: If there is no Chromium.
        ValueError: If Chromium drew nothing.
    """
    library = Path(str(files("plotly") / "package_data" / "plotly.min.js")).as_uri()
    content = json.dumps({"data": figure["data"], "layout": figure["layout"]}).replace("</", "<\\/")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "figure.html")
        page.write_text(PAGE.format(library=library, figure=content, width=WIDTH), encoding="utf-8")
        command = [find_chromium(), *OPTIONS, f"--user-data-dir={folder}/profile", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    # a figure may hold pictures of its own, such as a heat map's squares: only what the page wrote down counts
    found = re.search(r'<pre id="picture">data:image/png;base64,([A-Za-z0-9+/=]+)', done.stdout)
    if found is None:
        raise ValueError(f"Chromium drew no picture of a figure: {done.stderr.strip()[-300:]}")
    return _with_fewer_colours(found.group(1))


def find_chromium() -> str:
    """Where Chromium is.

    Raises:
        FileNotFoundError: If it is not installed.
    """
    named = os.environ.get("CHROMIUM")
    found = [path for name in ([named] if named else NAMES) if (path := shutil.which(name))]
    if not found:
        raise FileNotFoundError("no Chromium here: install Debian's chromium or Chrome, or name one with CHROMIUM=")
    return found[0]


def _with_fewer_colours(picture: str) -> str:
    """Keep 256 colours, which figures do not miss: a third of the bytes."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    file = io.BytesIO()
    image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
