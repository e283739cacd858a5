"""Where the demo shows things: each part is an HTML widget that is updated in place."""

from html import escape

import ipywidgets as widgets

from diffret_core.course.demo.controls import Controls
from diffret_core.course.demo.familiarity import familiarity_in_words
from diffret_core.course.demo.pictures import compared_html, results_html
from diffret_core.course.demo.running import DemoCollection, Run, levels_of
from diffret_core.course.demo.token_map import token_map, token_map_svg
from diffret_core.course.demo.walk_picture import walk_svg
from diffret_core.course.live import small

WIDTH = "1000px"
NO_GENERATOR = "This model has no generator: it ranks by similarity alone."
PINNED = "This run is pinned. Change a control and press Run: both will stand here side by side."


class DemoView:
    """What is shown of runs."""

    def __init__(self, collection: DemoCollection, num_shown: int) -> None:
        """Make the parts, all empty.

        Args:
            collection: What is searched.
            num_shown: How many results are shown.
        """
        self.collection, self.num_shown = collection, num_shown
        self.status, self.results, self.walk, self.map, self.compared = (widgets.HTML() for _ in range(5))

    def say(self, words: str) -> None:
        """Write the status line."""
        self.status.value = small(escape(words))

    def show(self, shown: Run, pinned: Run | None, *, is_new_walk: bool) -> None:
        """Show the best of a run, the run beside the pinned one, and what was done."""
        self.results.value = results_html(shown, num_shown=self.num_shown)
        self.compare(pinned, shown)
        self.tell(shown, is_new_walk=is_new_walk)

    def draw_level(self, shown: Run, place: int) -> None:
        """Show the candidates at one of the levels visited, 0 for noise."""
        self.walk.value = walk_svg(shown, place) if shown.walk.levels else small(NO_GENERATOR)

    def draw_map(self, shown: Run, rank: int) -> None:
        """Show a result word by frame."""
        try:
            self.map.value = token_map_svg(token_map(self.collection, shown, rank))
        except ValueError as error:  # a model that does not compare so
            self.map.value = small(escape(str(error)))

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
        told = [f"{len(shown.results):,} compared, {len(shown.candidates)} of them candidates, {seconds}."]
        if shown.walk.levels:
            told.append(f"Noise levels {levels_of(self.collection.model.config, shown.state.num_steps)}.")
        self.say(" ".join([*told, familiarity_in_words(self.collection, shown)]).strip())


def arrange(controls: Controls, view: DemoView) -> widgets.VBox:
    """Put everything below one another, as wide as a notebook and narrow where the pane is narrow."""
    parts = [
        _row(controls.direction, controls.text, controls.video),
        _row(controls.run, controls.random, controls.pin),
        _row(*controls.examples),
        _row(*controls.of_walk, *controls.of_scores),
        view.status,
        view.results,
        _row(controls.play, controls.back, controls.level, controls.forward),
        view.walk,
        _row(controls.result),
        view.map,
        view.compared,
    ]
    return widgets.VBox(parts, layout=widgets.Layout(max_width=WIDTH, width="100%"))


def _row(*parts: widgets.Widget) -> widgets.HBox:
    return widgets.HBox(parts, layout=widgets.Layout(flex_flow="row wrap", max_width="100%"))
