"""Would the similarity alone have made more of it? Stage 1 with all videos and all steps, and no stage 2 behind it.

Every seed of both arms trains encoders of its own: what luck there is in a stage 1 is in both.
"""

from diffret_core.checkpoints import load_checkpoint
from diffret_core.studies.cells import claim_cell
from diffret_core.studies.declaration import BASELINE, Arm, Cell, Measured, Study
from diffret_core.studies.measured import measure_model, measure_similarity
from diffret_core.studies.setting import Setting
from diffret_core.studies.training import baseline_model
from diffret_core.training.run import train, train_first_stage
from diffret_core.training.run_folder import STAGE1_FEATURES

ALL_VIDEOS = "all_videos"
SHIPPED_SEED = 1  # its stage 1 comes with the samples: the baseline of the study of training has it


def measure_first_stage(cell: Cell, setting: Setting) -> Measured:
    """Train encoders of the cell's own, with a stage 2 behind them or alone, and measure what comes of it."""
    if cell.arm.name != BASELINE:
        return _measured_alone(cell, setting)
    if cell.seed == SHIPPED_SEED:
        return measure_model(baseline_model(cell.seed, setting), setting)
    claim_cell(cell, setting)
    run = cell.folder / "run"
    if not (run / "metrics.json").exists():
        train(cell.recipe, setting.collection, run, device=setting.device, listen=setting.listen)
    return measure_model(load_checkpoint(run, device=setting.device), setting.on(run))


def _measured_alone(cell: Cell, setting: Setting) -> Measured:
    claim_cell(cell, setting)
    folder = train_first_stage(
        cell.recipe, setting.collection, cell.folder / "run", device=setting.device, listen=setting.listen
    )
    model = load_checkpoint(folder, device=setting.device)
    return measure_similarity(model, setting, folder / STAGE1_FEATURES)


FIRST_STAGE = Study(
    name="first_stage",
    what="would the similarity alone have made more of all the videos and all the steps?",
    baseline={"videos of stage 1": "half; the others are stage 2's"},
    arms=(
        Arm(BASELINE),
        Arm(
            ALL_VIDEOS,
            "videos of stage 1",
            "all, and 500 more steps before it in place of stage 2",
            ("contrastive.num_videos=null", "pretraining.3.num_steps=1100"),
        ),
    ),
    measure=measure_first_stage,
)
