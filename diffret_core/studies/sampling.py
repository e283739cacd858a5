"""How the trained baseline is best used: steps, noise, draws and candidates, without any training."""

from dataclasses import replace

from diffret_core.studies.declaration import BASELINE, Arm, Cell, Measured, Study, levels_of
from diffret_core.studies.measured import measure_model
from diffret_core.studies.setting import Setting
from diffret_core.studies.training import baseline_model


def measure_sampled(cell: Cell, setting: Setting) -> Measured:
    """Measure the baseline of the study of training, used as the cell says."""
    model = baseline_model(cell.seed, setting)
    model.config = replace(model.config, scoring=cell.recipe.model.scoring)
    return measure_model(model, setting)


SAMPLING = Study(
    name="sampling",
    what="how many steps, draws and candidates does the generator need, and does noise on the way help?",
    baseline={"levels in sampling": 50, "start": "noise", "eta": 0, "draws": 4, "candidates in use": 32},
    arms=(
        Arm(BASELINE),
        *levels_of("levels in sampling", "steps", "model.scoring.num_steps", (1, 2, 5, 10, 25)),
        *(
            Arm(f"start_{level}", "start", f"similarity, noised to {level}", (f"model.scoring.start_level={level}",))
            for level in (1, 5, 10, 25)
        ),
        *levels_of("eta", "eta", "model.scoring.eta", (0.5, 1.0)),
        *levels_of("draws", "draws", "model.scoring.num_draws", (1, 2, 8, 16)),
        *levels_of("candidates in use", "candidates", "model.scoring.num_candidates", (8, 16, 64, 128)),
    ),
    measure=measure_sampled,
)
