"""Figures as files: what `diffret search --save-plot` calls."""

from pathlib import Path

from diffret_core.search import Search

PICTURES = (".png", ".svg", ".pdf")


def save_denoising_figure(found: Search, path: Path | str) -> None:
    """Save the walk from noise to a ranking.

    Args:
        found: What a search gave.
        path: A file ending in .html (one page with a slider, nothing else needed) or in .png, .svg or .pdf (a still).

    Raises:
        ValueError: If the ending is another one, or the drawing packages are not installed.
        FileNotFoundError: If the folder does not exist.
    """
    path = Path(path)
    check_plot_path(path)
    try:
        if path.suffix.lower() == ".html":
            _save_page(found, path)
        else:
            from diffret_core.course.denoising_picture import save_picture

            save_picture(found, path)
    except ModuleNotFoundError as error:
        raise ValueError(f"saving plots needs {error.name}: run pip install -e '.[course]' in the project") from None
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror}); choose another place") from None


def check_plot_path(path: Path) -> None:
    """Make sure that a plot can go by that name, before anything is computed for it.

    Raises:
        ValueError: If the ending is none of a plot's.
        FileNotFoundError: If the folder does not exist.
    """
    ending = path.suffix.lower()
    if ending not in (".html", *PICTURES):
        raise ValueError(f"{path}: a plot cannot be saved with the ending {ending!r}; use .html, .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first")


def _save_page(found: Search, path: Path) -> None:
    from diffret_core.course.denoising import describe_denoising
    from diffret_core.course.denoising_figure import denoising_figure

    figure = denoising_figure(found)
    page = figure.to_html(include_plotlyjs=True, full_html=True, auto_play=False, config={"displaylogo": False})
    caption = (
        f'<p style="font-family:sans-serif; max-width:60em; margin:1em auto">{describe_denoising(found)}</p></body>'
    )
    path.write_text(page.replace("</body>", caption), encoding="utf-8")
