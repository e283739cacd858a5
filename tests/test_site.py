"""The static site: every page has its figures, they can be operated, and nothing is asked of another host."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import figure_pictures  # noqa: E402
import make_site  # noqa: E402
import site_markdown  # noqa: E402

LOADS = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}


class Page(HTMLParser):
    """What a page loads, where it leads to, and the names of its parts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.loads, self.links, self.names = path, [], [], set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.names.add(values.get("id"))
        self.loads += [values[name] for where, name in LOADS if where == tag and name in values]
        self.links += [values["href"]] if tag == "a" else []


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> make_site.Site:
    site = make_site.Site(tmp_path_factory.mktemp("made") / "site")
    site.write()
    return site


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.folder.rglob("*.html"))}


def plotly_figures(notebook: Path) -> list[dict]:
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [output.data[make_site.PLOTLY] for output in outputs if make_site.PLOTLY in output.get("data", {})]


def test_site_has_a_page_for_every_notebook_an_index_and_the_symbols(site, pages):
    names = {path.name for path in site.folder.glob("*.html")}
    assert names == {f"{path.stem}.html" for path in site.notebooks} | {"index.html", "glossary.html"}
    leads_to = set(pages[site.folder / "index.html"].links)
    assert {f"{path.stem}.html" for path in site.notebooks} | {"glossary.html"} <= leads_to


def test_pages_have_the_figures_of_their_notebook(site, pages):
    for notebook in site.notebooks:
        drawn = re.findall(r'id="figure-[\w-]+-content">(.*?)</script>', pages[site.page_of(notebook)].text, re.DOTALL)
        assert [json.loads(content) for content in drawn] == plotly_figures(notebook)


def test_pages_share_one_local_plotly(site, pages):
    assert [path.relative_to(site.folder).as_posix() for path in site.folder.rglob("*.js")] == ["plotly.min.js"]
    for notebook in site.notebooks:
        loaded = [address for address in pages[site.page_of(notebook)].loads if address.endswith(".js")]
        assert loaded == (["plotly.min.js"] if plotly_figures(notebook) else [])


def test_pages_load_nothing_from_another_host(site, pages):
    for page in pages.values():
        for address in page.loads:
            assert address.startswith("data:") or (page.path.parent / address).is_file(), (page.path.name, address)
        assert not re.search(r"@import|url\(", page.text.split("</head>")[0])
    assert "url(" not in (site.folder / "style.css").read_text(encoding="utf-8")


def test_links_lead_somewhere(pages):
    for page in pages.values():
        for link in page.links:
            if not link.startswith("https://"):
                path, _, anchor = link.partition("#")
                target = pages[(page.path.parent / path).resolve() if path else page.path]
                assert not anchor or anchor in target.names, (page.path.name, link)


def test_pages_say_what_their_notebook_says(site, pages):
    for notebook in site.notebooks:
        text = pages[site.page_of(notebook)].text
        assert text.count('<pre class="code">') >= sum(
            cell.cell_type == "code" for cell in nbformat.read(notebook, as_version=4).cells
        )
        assert "Traceback" not in text


def test_link_to_nothing_is_refused(site):
    with pytest.raises(ValueError, match=r"glossary.md links to '../nothing.py', which is no file of the project"):
        site.linker(make_site.GLOSSARY)("../nothing.py")
    with pytest.raises(ValueError, match="no file of the project"):
        site.linker(make_site.GLOSSARY)("../../../../../etc/hostname")


def test_figures_on_a_page_are_operable(site):
    """Chromium draws the page; the slider of each figure is there, and its frames are known to plotly."""
    try:
        chromium = figure_pictures.find_chromium()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    notebook = next(path for path in site.notebooks if plotly_figures(path))
    figures = plotly_figures(notebook)
    page = site.page_of(notebook)
    count = "[...document.querySelectorAll('.js-plotly-plot')].map(p => (p._transitionData._frames || []).length)"
    told = f"<script>setTimeout(() => {{ document.title = JSON.stringify({count}); }}, 3000)</script></body>"
    probe = page.with_name("probe.htm")
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", told), encoding="utf-8")
    profile = f"--user-data-dir={site.folder.parent / 'profile'}"
    command = [chromium, *figure_pictures.OPTIONS, profile, probe.as_uri()]
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=180).stdout
    num_frames = json.loads(re.search(r"<title>(.*?)</title>", drawn)[1])
    assert num_frames == [len(figure.get("frames", [])) for figure in figures]
    assert drawn.count('class="slider-container"') >= sum("sliders" in figure["layout"] for figure in figures)


# --- Markdown --------------------------------------------------------------------------------------------------------


def rendered(text: str) -> str:
    return site_markdown.markdown_html(text, lambda url: f"site/{url}")


def test_markdown_folds_hints_with_code_inside():
    html = rendered("<details>\n<summary>Hint 1</summary>\n\nUse `x`.\n\n```python\nx = 1\n```\n\n</details>")
    assert (
        html.index("<details>") < html.index("<code>x</code>") < html.index('class="code"') < html.index("</details>")
    )


def test_markdown_turns_links_and_names_headings():
    assert '<a href="site/a.md#b">x</a>' in rendered("[x](a.md#b)")
    assert '<h2 id="what-goes-in">' in rendered("## What goes in?")


def test_formula_becomes_a_drawing_in_the_colour_of_the_text():
    html = rendered(r"with $\bar\alpha_k$ and" + "\n\n$$\nx_0 + 1\n$$\n")
    assert html.count("<svg ") == 2
    assert r'aria-label="\bar\alpha_k"' in html
    assert "currentColor" in html
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]+"', "", html)


def test_formula_that_cannot_be_drawn_is_named():
    with pytest.raises(ValueError, match=r"the formula '\\\\nonsense' cannot be drawn"):
        rendered(r"$\nonsense$")
