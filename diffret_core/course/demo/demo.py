"""The live demo: widgets that listen, and show what `running` computes and `pictures` draws."""

import itertools
from collections.abc import Sequence
from functools import partial

import ipywidgets as widgets

from diffret_core.course.demo.collection import SampleCollection
from diffret_core.course.demo.controls import make_controls
from diffret_core.course.demo.own_videos import IndexCollection
from diffret_core.course.demo.running import DemoCollection, Run, rescore, run
from diffret_core.course.demo.view import DemoView, arrange
from diffret_core.course.live import show_live
from diffret_core.course.setup import Samples
from diffret_core.index import Model, OpenIndex

EXAMPLES = ("a green star grows", "a red circle moves left", "a blue square spins")
CHANGED = "The controls have changed: press Run."


class RetrievalDemo:
    """Search with words or with a video, watch the answer come out of noise, and steer it.

    Attributes:
        collection: What is searched, and with which model.
        controls: Everything that can be set or pressed.
        view: Where results are shown.
        shown: The run that is shown; None before the first.
        pinned: The run that is kept to be compared with; None before the first.
        whole: All widgets, for display; only core ones, as they are in ipywidgets 7.7 and 8.
    """

    def __init__(
        self, searched: Samples | IndexCollection, *, examples: Sequence[str] = EXAMPLES, num_shown: int = 6
    ) -> None:
        """Build the demo and answer the first example.

        Args:
            searched: The samples; for an index see `of_index`.
            examples: Sentences to start from; without one, the demo waits for the first sentence.
            num_shown: How many results are shown.
        """
        self.collection: DemoCollection = SampleCollection(searched) if isinstance(searched, Samples) else searched
        self.controls = make_controls(self.collection, examples)
        self.view = DemoView(self.collection, num_shown)
        self.shown: Run | None = None
        self.pinned: Run | None = None
        self._turns = itertools.count(1)
        self.whole = arrange(self.controls, self.view)
        self._listen()
        self.answer()

    @classmethod
    def of_index(
        cls, index: OpenIndex, model: Model | None = None, *, examples: Sequence[str] = (), num_shown: int = 6
    ) -> "RetrievalDemo":
        """Build the demo over one's own videos.

        Args:
            index: The index, from `open_index`.
            model: The model that made it; None loads it, to the GPU where there is one.
            examples: As above.
            num_shown: As above.

        Raises:
            OSError, ValueError: As `IndexCollection.of`.
        """
        return cls(IndexCollection.of(index, model), examples=examples, num_shown=num_shown)

    def _ipython_display_(self) -> None:
        """Show the demo; where no kernel listens, as in a notebook that was only opened, its answer stands there."""
        results = self.view.results.value
        show_live(self.whole, f"<p><i>Run this cell and the demo appears here. It begins so:</i></p>{results}")

    def answer(self, _change: object = None, *, is_asked: bool = True) -> None:
        """Bring what is shown up to the controls, with a new walk only if one `is_asked` for; failures are said."""
        try:
            state = self.controls.state()
            if is_asked and self.collection.refresh():
                self.shown = None  # it is of what was there before
                self.controls.allow(self.collection)
            if self.shown is not None and state == self.shown.state:
                self.view.tell(self.shown, is_new_walk=True)
            elif self.shown is not None and not state.needs_new_walk(self.shown.walk.state):
                self._show(rescore(self.shown.walk, state), is_new_walk=False)
            elif is_asked:
                with self.controls.busy():
                    self.view.say(f"looking for “{state.query}” …")
                    self._show(run(self.collection, state), is_new_walk=True)
            else:
                self.view.say(CHANGED)
        except (ValueError, OSError, RuntimeError) as error:
            self.view.say(_in_a_line(error))

    def _show(self, answered: Run, *, is_new_walk: bool) -> None:
        self.shown = answered
        self.controls.offer(answered, self.view.num_shown, is_new_walk=is_new_walk)
        self.view.show(answered, self.pinned, is_new_walk=is_new_walk)
        self._draw_level()
        self._draw_map()

    def _listen(self) -> None:
        controls = self.controls
        controls.text.observe(self.answer, names="value")  # the Enter key
        controls.run.on_click(self.answer)
        controls.pin.on_click(self._pin)
        for button in controls.examples:
            button.on_click(self._take_example)
        if isinstance(self.collection, SampleCollection):
            controls.random.on_click(partial(self._ask_at_random, self.collection))
        for control in [controls.direction, controls.video, *controls.of_walk, *controls.of_scores]:
            control.observe(partial(self.answer, is_asked=False), names="value")
        controls.level.observe(self._draw_level, names="value")
        controls.result.observe(self._draw_map, names="value")

    def _take_example(self, button: widgets.Button) -> None:
        self.controls.direction.value = "text_to_video"
        self.controls.text.value = button.description
        self.answer()

    def _ask_at_random(self, collection: SampleCollection, _button: object) -> None:
        self.controls.asking.value = collection.random_query(self.controls.direction.value, next(self._turns))
        self.answer()

    def _pin(self, _button: object) -> None:
        """Keep the run that is shown, or let it go if it is the one that is kept."""
        if self.shown is not None:
            self.pinned = None if self.pinned is self.shown else self.shown
            self.controls.name_pin(is_pinned=self.pinned is not None)
            self.view.compare(self.pinned, self.shown)

    def _draw_level(self, _change: object = None) -> None:
        if self.shown is not None and self.shown.walk.levels:
            self.view.draw_level(self.shown, self.controls.level.value)

    def _draw_map(self, _change: object = None) -> None:
        if self.shown is not None and self.shown.walk.levels and self.controls.result.value is not None:
            self.view.draw_map(self.shown, self.controls.result.value)


def _in_a_line(error: Exception) -> str:
    """Say what went wrong: what the core refuses says how to mend it, the rest may be over with a new start."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if isinstance(error, ValueError) else f"{words}; if it stays so, reload the page"
