"""Scores corrected for hubs beside the combined score: what does the generator add to what needs no training?"""

from diffret_core.querybanks import NUM_QUERIES
from diffret_core.studies.declaration import BASELINE, Arm, Cell, Measured, Study
from diffret_core.studies.measured import measure_model
from diffret_core.studies.setting import Setting
from diffret_core.studies.training import baseline_model


def measure_normalised(cell: Cell, setting: Setting) -> Measured:
    """Measure the baseline of the study of training with rows normalised by a bank, and by the other queries."""
    return measure_model(baseline_model(cell.seed, setting), setting, bank_size=NUM_QUERIES)


SCORING = Study(
    name="scoring",
    what="query-bank normalisation and dual softmax beside the combined score",
    baseline={},
    arms=(Arm(BASELINE),),
    measure=measure_normalised,
)
