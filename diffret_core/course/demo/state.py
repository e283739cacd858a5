"""What can be set in the demo: one frozen, validated description of a query and of how it is answered."""

from dataclasses import dataclass, fields, replace
from typing import get_args

from diffret_core.config import DIRECTIONS, Direction, ModelConfig, ScheduleKind, ScoringConfig
from diffret_core.config.checks import at_least, one_of


@dataclass(frozen=True, kw_only=True)
class DemoState:
    """All controls of the demo.

    Attributes:
        query: The sentence that asks; with direction "video_to_text" the id of the video that asks.
        direction: Which side asks.
        num_steps: Denoising steps; the noise levels they visit are spread evenly over 1..K.
        schedule: Form of the noise schedule. The model knows the one it was trained with.
        eta: Noise added at every step, 0 to 1; see `sampler.ddim_steps`.
        num_candidates: N, the candidates that the generator chooses from.
        seed: Seed of the noise.
        num_draws: Samples drawn, each from its own noise; their mean counts.
        alpha: Weight of the generated probability beside the similarity.
        temperature: Factor on the sample before its softmax over the candidates.
    """

    query: str
    direction: Direction = "text_to_video"
    num_steps: int
    schedule: ScheduleKind
    eta: float
    num_candidates: int
    seed: int = 0
    num_draws: int
    alpha: float
    temperature: float

    def __post_init__(self) -> None:
        """Refuse what cannot work, each in one line."""
        one_of("direction", self.direction, DIRECTIONS)
        if not self.query.strip():
            wanted = {
                "text_to_video": "type what you would like to see, such as “a red circle moves left”",
                "video_to_text": "choose a video",
            }
            raise ValueError(f"the query is empty; {wanted[self.direction]}")
        one_of("schedule", self.schedule, get_args(ScheduleKind))
        at_least("seed", self.seed, 0)
        self.scoring()

    def scoring(self) -> ScoringConfig:
        """Give what of it a model's configuration holds; where walks start is the model's alone.

        Raises:
            ValueError: If a number is out of its range.
        """
        names = [field.name for field in fields(ScoringConfig) if field.name != "start_level"]
        return ScoringConfig(**{name: getattr(self, name) for name in names})

    def needs_new_walk(self, walked: "DemoState") -> bool:
        """Say whether a walk that another state led to does not serve this one.

        Weight and temperature are applied to the finished sample: they alone never need a new walk.
        """
        return replace(walked, alpha=self.alpha, temperature=self.temperature) != self


def default_state(config: ModelConfig, query: str, *, direction: Direction = "text_to_video") -> DemoState:
    """Give the state in which the demo answers a query as `search` does, but for draws, which `search` takes one of.

    Args:
        config: The model's.
        query: Sentence or id of a video.
        direction: Which side asks.
    """
    scoring = config.scoring
    return DemoState(
        query=query,
        direction=direction,
        num_steps=config.first_level if scoring.num_steps is None else scoring.num_steps,
        schedule=config.schedule,
        eta=scoring.eta,
        num_candidates=scoring.num_candidates,
        num_draws=scoring.num_draws,
        alpha=scoring.alpha,
        temperature=scoring.temperature,
    )
