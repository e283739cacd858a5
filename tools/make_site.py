"""`make site`: the notebooks as static pages in build/site/, readable and operable without Python.

Every plotly figure is drawn by one local copy of plotly.js that all pages share; sliders move, since all states are in
the figure. Nothing is asked of another host. What the notebooks link to, such as code, becomes a page as well.
"""

import json
import os
import shutil
import sys
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
from site_markdown import code_html, code_styles, file_html, markdown_html

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
GLOSSARY = NOTEBOOKS / "glossary.md"
PLOTLY = "application/vnd.plotly.v1+json"
PLOTLY_FILE = "plotly.min.js"
STYLE_FILE = "style.css"
DRAW = """<div class="figure"><div id="{name}" style="min-height:{height}px"></div></div>
<script type="application/json" id="{name}-content">{content}</script>
<script>{{
  const content = JSON.parse(document.getElementById("{name}-content").textContent);
  Plotly.newPlot("{name}", content.data, content.layout, Object.assign({{responsive: true}}, content.config))
    .then(drawn => Plotly.addFrames(drawn, content.frames || []));
}}</script>
<noscript><img alt="The figure as it first appears; below it is said what it shows."
  src="data:image/png;base64,{picture}"></noscript>"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><link rel="stylesheet" href="{up}style.css">{head}</head>
<body><nav>{navigation}</nav><main>
{body}
</main><nav>{navigation}</nav></body></html>
"""
STYLE = """:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; margin: 0; }
main, nav { max-width: 60rem; margin: 0 auto; padding: 0.5rem 1rem; }
nav { display: flex; gap: 1.5rem; font-size: 0.9rem; }
.code, .said { font: 13px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-x: auto; }
.code { padding: 0.7rem; border-left: 3px solid #0072b2; background: rgba(128, 128, 128, 0.1); }
.said { padding: 0 0.85rem; white-space: pre; }
.shown, .figure { overflow-x: auto; margin: 0.6rem 0; }
.formula { text-align: center; }
table { border-collapse: collapse; margin: 0.8rem 0; }
td, th { border: 1px solid rgba(128, 128, 128, 0.4); padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; }
thead:not(:has(th:not(:empty))) { display: none; }
details { margin: 0.4rem 0; }
summary { cursor: pointer; }
img { max-width: 100%; }
"""


class Site:
    """Pages that are written to a folder; what they link to is written too."""

    def __init__(self, folder: Path) -> None:
        """Begin with nothing written."""
        self.folder = folder
        self.notebooks = sorted(NOTEBOOKS.glob("*.ipynb"))
        self._linked: set[Path] = set()

    def write(self) -> None:
        """Write all pages anew; what was in the folder is gone."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.copyfile(str(files("plotly") / "package_data" / PLOTLY_FILE), self.folder / PLOTLY_FILE)
        (self.folder / STYLE_FILE).write_text(STYLE + code_styles(), encoding="utf-8")
        for place, path in enumerate(self.notebooks):
            content = nbformat.read(path, as_version=4)
            around = [*self.notebooks[max(place - 1, 0) : place], *self.notebooks[place + 1 : place + 2]]
            self._write_page(path, notebook_body(content, self, path), others=around)
        self._write_page(GLOSSARY, markdown_html(GLOSSARY.read_text(encoding="utf-8"), self.linker(GLOSSARY)))
        self._write_index()
        for source in sorted(self._linked):
            name = source.relative_to(ROOT).as_posix()
            body = f"<h1>{escape(name)}</h1>{file_html(name, source.read_text(encoding='utf-8'))}"
            self._write_page(source, body)

    def page_of(self, source: Path) -> Path:
        """Where a file of the project is on the site."""
        if source in self.notebooks or source == GLOSSARY:
            return self.folder / f"{source.stem}.html"
        return self.folder / "code" / f"{source.relative_to(ROOT).as_posix()}.html"

    def linker(self, source: Path) -> Any:
        """Make the function that turns links of a file into links of its page.

        Raises:
            ValueError: If a link leads to nothing in the project; raised when it is turned.
        """

        def link(url: str) -> str:
            if url.startswith(("https://", "http://", "#", "mailto:")):
                return url
            path, _, anchor = url.partition("#")
            target = (source.parent / path).resolve()
            if not (target.is_file() and target.is_relative_to(ROOT)):
                raise ValueError(f"{source.name} links to {url!r}, which is no file of the project")
            if target not in self.notebooks and target != GLOSSARY:
                self._linked.add(target)
            address = os.path.relpath(self.page_of(target), self.page_of(source).parent)
            return address + (f"#{anchor}" if anchor else "")

        return link

    def _write_page(self, source: Path, body: str, *, others: list[Path] | None = None) -> None:
        page = self.page_of(source)
        up = "../" * (len(page.relative_to(self.folder).parts) - 1)
        links = [("index.html", "The course"), ("glossary.html", "Symbols")]
        links += [(f"{other.stem}.html", title_of(other)) for other in others or []]
        head = f'<script src="{up}{PLOTLY_FILE}"></script>' if "Plotly.newPlot" in body else ""
        navigation = " ".join(f'<a href="{up}{address}">{escape(words)}</a>' for address, words in links)
        page.parent.mkdir(parents=True, exist_ok=True)
        title = title_of(source) if source in self.notebooks else source.name
        text = PAGE.format(title=escape(title), head=head, navigation=navigation, body=body, up=up)
        page.write_text(text, encoding="utf-8")

    def _write_index(self) -> None:
        rows = [f'<li><a href="{path.stem}.html">{escape(title_of(path))}</a></li>' for path in self.notebooks]
        body = (
            "<h1>DiffusionRet, taken apart</h1><p>Text-video retrieval by generating a distribution over candidates, "
            "in notebooks. These pages show them as they were run; figures and sliders work here too. To answer "
            f"exercises and to search with your own words, run them: <code>make lab</code>.</p><ul>{''.join(rows)}</ul>"
            '<p><a href="glossary.html">Symbols</a></p>'
        )
        page = PAGE.format(title="DiffusionRet, taken apart", head="", navigation="", body=body, up="")
        (self.folder / "index.html").write_text(page, encoding="utf-8")


def main() -> int:
    """Write the site.

    Returns:
        Exit status.
    """
    folder = ROOT / "build" / "site"
    Site(folder).write()
    print(f"the course is in {folder.relative_to(ROOT)}/: open index.html in a browser")
    return 0


def title_of(notebook: Path) -> str:
    """First heading of a notebook."""
    first = nbformat.read(notebook, as_version=4).cells[0].source.splitlines()[0]
    return first.removeprefix("# ")


def notebook_body(content: Any, site: Site, path: Path) -> str:
    """All cells of a notebook with their outputs."""
    parts = []
    for cell in content.cells:
        if cell.cell_type == "markdown":
            parts.append(markdown_html(cell.source, site.linker(path)))
        else:
            parts.append(code_html(cell.source))
            parts += [output_html(output, f"figure-{cell.id}-{at}") for at, output in enumerate(cell.outputs)]
    return "\n".join(parts)


def output_html(output: Any, name: str) -> str:
    """One output of a cell."""
    data = output.get("data", {})
    if PLOTLY in data:
        figure = data[PLOTLY]
        content = json.dumps(figure).replace("</", "<\\/")
        height = figure["layout"].get("height", 450)
        return DRAW.format(name=name, height=height, content=content, picture=data["image/png"])
    if "text/html" in data:
        return f'<div class="shown">{data["text/html"]}</div>'
    if "image/png" in data:
        return f'<div class="shown"><img alt="" src="data:image/png;base64,{data["image/png"]}"></div>'
    return f'<pre class="said">{escape(output.get("text") or data.get("text/plain", ""))}</pre>'


if __name__ == "__main__":
    sys.exit(main())
