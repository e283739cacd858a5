"""The controls of the demo, from core widgets, and the state that they stand for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import ipywidgets as widgets

from diffret_core.config import ModelConfig
from diffret_core.course.demo.collection import Item
from diffret_core.course.demo.running import DemoCollection, Run
from diffret_core.course.demo.state import DemoState, default_state

MOST_DRAWS, MOST_CANDIDATES, LARGEST_SEED = 16, 128, 2**31 - 1
PIN, UNPIN = "Pin this run", "Unpin this run"
FILM, FASTEST = 6000, 120
"""Milliseconds that a played walk takes, and the fewest that a level is shown."""

_WIDE, _NARROW = "min(480px, 96%)", "min(310px, 96%)"
_LABEL = {"description_width": "96px"}


class Controls(NamedTuple):
    """Everything that can be set or pressed, in the order in which the keyboard reaches it."""

    direction: widgets.Dropdown
    text: widgets.Text
    video: widgets.Dropdown
    run: widgets.Button
    random: widgets.Button
    pin: widgets.Button
    examples: list[widgets.Button]
    num_steps: widgets.IntSlider
    schedule: widgets.Dropdown
    eta: widgets.FloatSlider
    num_candidates: widgets.IntSlider
    seed: widgets.BoundedIntText
    num_draws: widgets.IntSlider
    alpha: widgets.FloatSlider
    temperature: widgets.FloatSlider
    result: widgets.Dropdown
    play: widgets.Play
    back: widgets.Button
    level: widgets.IntSlider
    forward: widgets.Button

    @property
    def of_walk(self) -> list[widgets.Widget]:
        """Controls that need a new walk."""
        return [self.num_steps, self.schedule, self.eta, self.num_candidates, self.seed, self.num_draws]

    @property
    def of_scores(self) -> list[widgets.Widget]:
        """Controls that only score a walk anew."""
        return [self.alpha, self.temperature]

    @property
    def asking(self) -> widgets.Widget:
        """The control that takes the query of the present direction."""
        return self.video if self.direction.value == "video_to_text" else self.text

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Say on the button that something is going on, and take no second click until it is over."""
        self.run.disabled, self.run.description = True, "working …"
        try:
            yield
        finally:
            self.run.disabled, self.run.description = False, "Run"

    def show_side(self, _change: object = None) -> None:
        """Show the control that takes the query of the present direction, and what it may be drawn from."""
        for control in (self.text, self.video):
            control.layout.display = "" if control is self.asking else "none"
        self.random.layout.display = "" if self.video.options else "none"

    def name_pin(self, *, is_pinned: bool) -> None:
        """Say on the button what it does to the run that is shown."""
        self.pin.disabled, self.pin.description = False, UNPIN if is_pinned else PIN

    def allow(self, collection: DemoCollection) -> None:
        """Allow as many candidates as there are videos now."""
        most = _most_candidates(collection.model.config, collection.num_videos)
        self.num_candidates.max = max(self.num_candidates.value, most)

    def step(self, by: int) -> None:
        """Go on, or back, by some of the levels visited; the ends hold."""
        self.level.value = min(max(self.level.value + by, self.level.min), self.level.max)

    def offer(self, shown: Run, num_shown: int, *, is_new_walk: bool) -> None:
        """Offer the results of a run to be looked at, and of a new walk its levels, from noise on."""
        self.name_pin(is_pinned=False)
        if is_new_walk:
            last = max(0, len(shown.walk.levels) - 1)
            self.level.value = self.play.value = 0
            self.level.max = self.play.max = last
            self.play.interval = max(FASTEST, FILM // (last + 1))
        chosen = 0 if is_new_walk else self.result.index
        self.result.options = [(f"{one.rank}. {one.item.told}", one.rank) for one in shown.results[:num_shown]]
        self.result.index = chosen  # what new options do to it differs between versions of ipywidgets

    def state(self) -> DemoState:
        """Read the controls.

        Raises:
            ValueError: If they hold no query.
        """
        names = ("num_steps", "schedule", "eta", "num_candidates", "seed", "num_draws", "alpha", "temperature")
        query = (self.asking.value or "").strip()
        values = {name: getattr(self, name).value for name in names}
        return DemoState(query=query, direction=self.direction.value, **values)


def make_controls(collection: DemoCollection, examples: Sequence[str]) -> Controls:
    """Make the controls as the model's configuration sets them.

    Args:
        collection: What is searched. Where no video can ask, only sentences are offered.
        examples: Sentences to start from; the first is the first query.
    """
    controls = Controls(
        **_of_query(collection.asking_videos, examples),
        **_of_run(collection.model.config, collection.num_videos),
        **_of_answer(),
    )
    controls.show_side()
    controls.direction.observe(controls.show_side, names="value")
    controls.back.on_click(lambda _button: controls.step(-1))
    controls.forward.on_click(lambda _button: controls.step(1))
    return controls


def _of_query(videos: list[Item], examples: Sequence[str]) -> dict[str, Any]:
    """Controls that say what asks."""
    directions = [("videos by a sentence", "text_to_video"), ("captions by a video", "video_to_text")]
    return {
        "direction": _choice("find", directions if videos else directions[:1]),
        "text": widgets.Text(
            value=examples[0] if examples else "",
            placeholder="what is to be seen?",
            description="sentence",
            continuous_update=False,
            style=_LABEL,
            layout=_width(_WIDE),
        ),
        "video": _choice("video", [(f"{one.id}: {one.words}", one.id) for one in videos], width=_WIDE),
        "run": widgets.Button(description="Run", button_style="primary", tooltip="answer the query as set below"),
        "random": widgets.Button(
            description="Random query", tooltip="a caption of the collection, or one of its videos"
        ),
        "pin": widgets.Button(
            description=PIN, disabled=True, tooltip="keep it to compare the next ones with; once more lets it go"
        ),
        "examples": [widgets.Button(description=one, tooltip=one, layout=_width("auto")) for one in examples],
    }


def _most_candidates(config: ModelConfig, num_videos: int) -> int:
    return min(max(MOST_CANDIDATES, config.scoring.num_candidates), num_videos)


def _of_run(config: ModelConfig, num_videos: int) -> dict[str, widgets.Widget]:
    """Controls that say how a query is answered; they begin as the model's configuration has it."""
    start = default_state(config, "anything")
    most_candidates = _most_candidates(config, num_videos)
    schedule = _choice("schedule", ["cosine", "linear"] if config.num_noise_levels >= 20 else [start.schedule])
    schedule.value = start.schedule
    return {
        "num_steps": _whole("steps", start.num_steps, 1, config.first_level),
        "schedule": schedule,
        "eta": _real("eta", start.eta, 0.0, 1.0, step=0.05),
        "num_candidates": _whole("candidates", min(start.num_candidates, most_candidates), 1, most_candidates),
        "seed": widgets.BoundedIntText(
            value=start.seed, min=0, max=LARGEST_SEED, description="seed", style=_LABEL, layout=_width(_NARROW)
        ),
        "num_draws": _whole("draws", start.num_draws, 1, max(MOST_DRAWS, start.num_draws)),
        "alpha": _real("alpha", start.alpha, 0.0, max(5.0, 2 * start.alpha), step=0.01),
        "temperature": _real("temperature", start.temperature, 0.5, max(50.0, 2 * start.temperature), step=0.5),
    }


def _of_answer() -> dict[str, widgets.Widget]:
    """Controls that choose what of an answer is looked at."""
    play = widgets.Play(value=0, min=0, max=0, interval=FASTEST)
    level = _whole("noise → data", 0, 0, 0)
    level.readout = False  # it would count places; the picture names the noise level
    widgets.jslink((play, "value"), (level, "value"))
    return {
        "result": widgets.Dropdown(description="word by frame", style=_LABEL, layout=_width(_WIDE)),
        "play": play,
        "back": widgets.Button(description="one step back", layout=_width("auto")),
        "level": level,
        "forward": widgets.Button(description="one step on", layout=_width("auto")),
    }


def _choice(name: str, options: Sequence[Any], *, width: str = _NARROW) -> widgets.Dropdown:
    return widgets.Dropdown(options=options, description=name, style=_LABEL, layout=_width(width))


def _whole(name: str, value: int, low: int, high: int) -> widgets.IntSlider:
    return widgets.IntSlider(
        value=value,
        min=low,
        max=high,
        description=name,
        continuous_update=False,
        style=_LABEL,
        layout=_width(_NARROW),
    )


def _real(name: str, value: float, low: float, high: float, *, step: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=value,
        min=min(low, value),
        max=high,
        step=step,
        description=name,
        continuous_update=False,
        style=_LABEL,
        layout=_width(_NARROW),
    )


def _width(width: str) -> widgets.Layout:
    return widgets.Layout(width=width)
