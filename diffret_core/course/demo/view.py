"""Where the demo shows things: each part is an HTML widget that is updated in place."""

from collections.abc import Sequence
from html import escape

import ipywidgets as widgets

from diffret_core.course.demo.ahead import PicturesAhead
from diffret_core.course.demo.controls import Controls
from diffret_core.course.demo.off_the_map import off_the_map_in_words
from diffret_core.course.demo.pictures import compared_html, results_html
from diffret_core.course.demo.running import DemoCollection, Run, levels_of
from diffret_core.course.demo.token_map import token_map, token_map_svg
from diffret_core.course.demo.walk_picture import candidates_svg, walk_svg
from diffret_core.course.live import small
from diffret_core.retriever import Retriever

WIDTH = "1000px"
PINNED = (
    "This run is pinned. Ask for something else and press Run: both will stand here side by side. The same button lets "
    "it go."
)
INTRODUCTION = (
    "<b>Type what you would like to see in a video, and press Enter.</b> The model compares your sentence with every "
    "video. Its generator then lets the most similar ones, the candidates, compete: it starts from noise and removes "
    "it step by step. Both scores are added."
)
WITHOUT_GENERATOR = (
    "<b>Type what you would like to see in a video, and press Enter.</b> This is a plain CLIP model: it compares your "
    "sentence as a whole with every video as a whole, and ranks by that similarity alone. It has no generator, so "
    "there is no walk from noise to watch or to steer."
)
HELP = """<details><summary>What do these controls do?</summary>
<b>steps</b>: how many noise levels the walk from noise to the answer visits. <b>schedule</b>: how fast noise falls from
level to level; the model was trained with the one that is set first. <b>eta</b>: fresh noise added at every step, 0 for
none. <b>candidates</b>: how many of the most similar take part. <b>seed</b>: other noise to start from. <b>draws</b>:
how many walks, each from its own noise, are averaged.<br>
<b>alpha</b>: how much the generated probability counts beside the similarity. <b>temperature</b>: how sharply the
generator's answer is turned into probabilities.</details>"""


class DemoView:
    """What is shown of runs."""

    def __init__(self, collection: DemoCollection, num_shown: int) -> None:
        """Make the parts, all empty.

        Args:
            collection: What is searched.
            num_shown: How many results are shown.
        """
        self.collection, self.num_shown = collection, num_shown
        self.status, self.results, self.compared = (widgets.HTML() for _ in range(3))
        self.walk, self.candidates, self.map = (widgets.HTML() for _ in range(3))
        self.explained = widgets.VBox(layout=widgets.Layout(display="none"))
        self._ahead = PicturesAhead()

    def say(self, words: str) -> None:
        """Write the status line."""
        self.status.value = _lines(escape(words))

    def show(self, shown: Run, pinned: Run | None, *, is_new_walk: bool) -> None:
        """Show the best of a run, the run beside the pinned one, and what was done."""
        self.results.value = results_html(shown, num_shown=self.num_shown)
        self.compare(pinned, shown)
        self.tell(shown, is_new_walk=is_new_walk)
        if shown.walk.levels:
            self.explained.layout.display = ""
            if is_new_walk:
                self._picture(shown)

    def _picture(self, shown: Run) -> None:
        """Show who the candidates are, with a picture of each as soon as it is made; captions have none."""

        def draw(pictures: Sequence[str]) -> None:
            self.candidates.value = candidates_svg(shown, pictures)

        has_pictures = shown.state.direction == "text_to_video"
        self._ahead.make(shown.candidates, draw if has_pictures else None)
        if not has_pictures:
            draw([])

    def draw_level(self, shown: Run, place: int) -> None:
        """Show the candidates at one of the levels visited, 0 for noise."""
        self.walk.value = walk_svg(shown, place)

    def draw_map(self, shown: Run, rank: int) -> None:
        """Show a result word by frame."""
        self.map.value = token_map_svg(token_map(self.collection, shown, rank))

    def compare(self, pinned: Run | None, shown: Run) -> None:
        """Show the pinned run beside the one of now."""
        if pinned is None:
            self.compared.value = ""
        elif pinned is shown:
            self.compared.value = small(PINNED)
        else:
            self.compared.value = compared_html(pinned, shown, num_shown=self.num_shown)

    def tell(self, shown: Run, *, is_new_walk: bool) -> None:
        """Say in the status line what was done, how long it took, and whether the query is off the map."""
        seconds = f"in {shown.walk.seconds:.2f} s" if is_new_walk else "scored anew, without a new walk"
        candidates = f" {len(shown.candidates)} of them candidates," if shown.walk.levels else ""
        told = [f"{len(shown.results):,} compared,{candidates} {seconds}."]
        if shown.walk.levels:
            told.append(f"Noise levels {levels_of(self.collection.model.config, shown.state.num_steps)}.")
        if shown.walk.off_the_map is not None:
            told.append(off_the_map_in_words(shown.walk.off_the_map))
        self.say(" ".join(told))


def arrange(controls: Controls, view: DemoView) -> widgets.VBox:
    """Put everything below one another, as wide as a notebook and narrow where the pane is narrow."""
    has_generator = isinstance(view.collection.model, Retriever)
    view.explained.children = [
        _words("<b>How the answer comes out of noise</b>: press play, or drag the slider."),
        _row(controls.play, controls.back, controls.level, controls.forward),
        view.walk,
        view.candidates,
        _words("<b>Which words meet which frames</b>: where the similarity of a result comes from."),
        _row(controls.result),
        view.map,
    ]
    steering = [
        _words("<b>Steer the walk</b>, then press Run."),
        _row(*controls.of_walk),
        _words("<b>Steer the sum of both scores</b>; this redraws at once."),
        _row(*controls.of_scores),
        _words(HELP),
    ]
    parts = [
        _words(INTRODUCTION if has_generator else WITHOUT_GENERATOR),
        _row(controls.direction, controls.text, controls.video),
        _row(controls.run, controls.random, controls.pin),
        _row(*controls.examples),
        *(steering if has_generator else []),
        view.status,
        view.results,
        view.compared,
        *([view.explained] if has_generator else []),
    ]
    return widgets.VBox(parts, layout=widgets.Layout(max_width=WIDTH, width="100%"))


def _row(*parts: widgets.Widget) -> widgets.HBox:
    return widgets.HBox(parts, layout=widgets.Layout(flex_flow="row wrap", max_width="100%"))


def _words(html: str) -> widgets.HTML:
    return widgets.HTML(_lines(html))


def _lines(html: str) -> str:
    """HTML of several lines, closer than those of a widget."""
    return f'<div style="font-size:13px; line-height:1.4; margin:4px 0">{html}</div>'
