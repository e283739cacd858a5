"""Would the similarity alone have made more of it? Stage 1 with all videos and all steps, and no stage 2 behind it."""

from diffret_core.checkpoints import load_checkpoint
from diffret_core.studies.cells import claim_cell
from diffret_core.studies.declaration import BASELINE, Arm, Cell, Measured, Study
from diffret_core.studies.measured import measure_model, measure_similarity
from diffret_core.studies.setting import Setting
from diffret_core.studies.training import baseline_model
from diffret_core.training.run import train_first_stage
from diffret_core.training.run_folder import STAGE1_FEATURES

ALL_VIDEOS = "all_videos"


def measure_first_stage(cell: Cell, setting: Setting) -> Measured:
    """Measure the baseline of the study of training; or train encoders of the cell's own, and measure them alone."""
    if cell.arm.name == BASELINE:
        return measure_model(baseline_model(cell.seed, setting), setting)
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
