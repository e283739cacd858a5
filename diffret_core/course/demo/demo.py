"""The live demo: widgets that listen, and show what `running` computes and `pictures` draws."""

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
from diffret_core.index import Model, OpenIndex, model_of

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
        self.collection: DemoCollection = (
            searched if isinstance(searched, IndexCollection) else SampleCollection(searched)
        )
        self.controls = make_controls(self.collection, examples)
        self.view = DemoView(self.collection, num_shown)
        self.shown: Run | None = None
        self.pinned: Run | None = None
        self.num_random = 0
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
            model: The model that made it; None loads it.
            examples: As above.
            num_shown: As above.

        Raises:
            FileNotFoundError: If the model's files are not there.
            ValueError: If the model is another one now.
        """
        model = model_of(index.description) if model is None else model
        return cls(IndexCollection(index, model), examples=examples, num_shown=num_shown)

    def _ipython_display_(self) -> None:
        """Show the demo; where no kernel listens, as in a notebook that was only opened, its answer stands there."""
        results = self.view.results.value
        show_live(self.whole, f"<p><i>Run this cell and the demo appears here. It begins so:</i></p>{results}")

    def answer(self, _change: object = None) -> None:
        """Answer what the controls ask; what cannot be answered is said in the status line."""
        self._follow(is_asked=True)

    def _follow(self, *, is_asked: bool) -> None:
        """Bring what is shown up to the controls, with a new walk only if one was asked for and is needed."""
        shown = self.shown
        try:
            state = self.controls.state()
            if shown is not None and state == shown.state:
                self.view.tell(shown, is_new_walk=True)
            elif shown is not None and not state.needs_new_walk(shown.walk.state):
                self._show(rescore(shown.walk, state), is_new_walk=False)
            elif is_asked:
                with self.controls.busy():
                    self.view.say(f"looking for “{state.query}” …")
                    self._show(run(self.collection, state), is_new_walk=True)
            else:
                self.view.say(CHANGED)
        except ValueError as error:  # what the core says of a query that it cannot read, or of a number
            self.view.say(str(error))

    def _show(self, answered: Run, *, is_new_walk: bool) -> None:
        self.shown = answered
        self.controls.offer(answered, self.view.num_shown, is_new_walk=is_new_walk)
        self.view.show(answered, self.pinned, is_new_walk=is_new_walk)
        self._look()

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
            control.observe(lambda _change: self._follow(is_asked=False), names="value")
        for chosen in (controls.level, controls.result):
            chosen.observe(self._look, names="value")

    def _take_example(self, button: widgets.Button) -> None:
        self.controls.direction.value = "text_to_video"
        self.controls.text.value = button.description
        self.answer()

    def _ask_at_random(self, collection: SampleCollection, _button: object) -> None:
        self.num_random += 1
        self.controls.asking.value = collection.random_query(self.controls.direction.value, self.num_random)
        self.answer()

    def _pin(self, _button: object) -> None:
        if self.shown is not None:
            self.pinned = self.shown
            self.view.compare(self.pinned, self.shown)

    def _look(self, _change: object = None) -> None:
        """Draw the level and the result that are chosen."""
        if self.shown is not None and self.controls.result.value is not None:
            self.view.draw_level(self.shown, self.controls.level.value)
            self.view.draw_map(self.shown, self.controls.result.value)
