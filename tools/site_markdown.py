"""Markdown, code and formulas as HTML that needs nothing else: no script, no font, no other host."""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import mistune
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name, guess_lexer_for_filename
from pygments.util import ClassNotFound

_STAND_IN = "#123456"  # matplotlib wants a colour; the page's own takes its place
_LETTERS = FontProperties(size=13, math_fontfamily="stix")
_LINES = HtmlFormatter(nowrap=True)


def code_styles() -> str:
    """CSS of highlighted code, for light and for dark pages."""
    light = HtmlFormatter(style="default").get_style_defs(".code")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".code")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def code_html(code: str, language: str = "python") -> str:
    """Highlight a piece of code."""
    return f'<pre class="code">{highlight(code, get_lexer_by_name(language or "text"), _LINES)}</pre>'


def file_html(name: str, text: str) -> str:
    """Highlight a file by what its name says of it."""
    try:
        lexer = guess_lexer_for_filename(name, text)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return f'<pre class="code">{highlight(text, lexer, _LINES)}</pre>'


def formula_svg(formula: str) -> str:
    """Draw a formula in the colour of the text around it.

    Args:
        formula: What stands between dollar signs.

    Raises:
        ValueError: If matplotlib does not know one of its commands; it knows no environments such as aligned.
    """
    file = io.StringIO()
    try:
        depth = math_to_image(f"${formula.strip()}$", file, prop=_LETTERS, dpi=72, format="svg", color=_STAND_IN)
    except ValueError as error:
        raise ValueError(f"the formula {formula!r} cannot be drawn: {error}") from None
    drawing = re.sub(r"<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>", "", file.getvalue(), flags=re.DOTALL)
    drawing = drawing.replace(_STAND_IN, "currentColor").strip()
    label = f'role="img" aria-label="{escape(formula.strip(), quote=True)}" style="vertical-align:{-depth - 1:.1f}pt"'
    return drawing.replace("<svg ", f"<svg {label} ", 1)


def markdown_html(text: str, link: Callable[[str], str]) -> str:
    """Render Markdown as GitHub and JupyterLab do: tables, formulas, HTML such as <details>.

    Args:
        text: Markdown.
        link: Turns the address of a link into the one it has on the site.
    """
    renderer = _Renderer(link)
    markdown = mistune.create_markdown(renderer=renderer, plugins=["table", "math", "strikethrough"])
    renderer.register("inline_math", lambda _, formula: formula_svg(formula))
    renderer.register("block_math", lambda _, formula: f'<p class="formula">{formula_svg(formula)}</p>\n')
    return str(markdown(text))


class _Renderer(mistune.HTMLRenderer):
    """HTML as mistune makes it, with highlighted code, headings that can be linked to, and links of the site."""

    def __init__(self, link: Callable[[str], str]) -> None:
        super().__init__(escape=False)
        self._link = link

    def block_code(self, code: str, info: str | None = None) -> str:
        """Highlight code."""
        return code_html(code, (info or "").strip())

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        """Name a heading by its words, as GitHub does."""
        words = re.sub(r"<[^>]+>|[^\w\- ]", "", text).strip().lower().replace(" ", "-")
        return f'<h{level} id="{words}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Lead to a page of the site."""
        return super().link(text, self._link(url), title)
