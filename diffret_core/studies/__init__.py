"""Grids of runs that answer a question with numbers: each arm differs from a baseline in one thing, each has seeds."""

from diffret_core.studies.declaration import Arm, Study
from diffret_core.studies.detection import OOD
from diffret_core.studies.first_stage import FIRST_STAGE
from diffret_core.studies.sampling import SAMPLING
from diffret_core.studies.scoring import SCORING
from diffret_core.studies.training import TRAINING

STUDIES: dict[str, Study] = {study.name: study for study in (TRAINING, SAMPLING, SCORING, FIRST_STAGE, OOD)}


def study_named(name: str) -> Study:
    """Give the study of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in STUDIES:
        raise ValueError(f"there is no study {name!r}; choose one of: {', '.join(STUDIES)}")
    return STUDIES[name]


__all__ = ["STUDIES", "Arm", "Study", "study_named"]
