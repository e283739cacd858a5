"""What in stage 2 makes the gain: loss, noise, candidates, negatives, videos; each arm is trained from one stage 1."""

from diffret_core.checkpoints import load_checkpoint
from diffret_core.locations import sample_checkpoint
from diffret_core.retriever import Retriever
from diffret_core.studies.cells import cell_of, claim_cell
from diffret_core.studies.declaration import BASELINE, Arm, Cell, Measured, Study, levels_of
from diffret_core.studies.measured import measure_model
from diffret_core.studies.setting import Setting
from diffret_core.training.run import train

WITHOUT_NOISE = ("model.num_noise_levels=1", "model.noise=false", "model.scoring.num_draws=1")
ARMS = (
    Arm(BASELINE),
    Arm("without_noise", "noise", "none, one pass", WITHOUT_NOISE),
    Arm("squared_error", "loss", "squared error", ("generation.loss=mse",)),
    *levels_of("noise levels in training", "levels", "model.num_noise_levels", (1, 2, 5, 10, 25)),
    Arm("linear", "schedule", "linear", ("model.schedule=linear",)),
    *levels_of("candidates in training", "candidates", "generation.num_candidates", (8, 16, 64)),
    Arm(
        "batch",
        "negatives from",
        "the batch, hardest 31",
        ("generation.negatives=batch", "generation.negative_pool=31"),
    ),
    Arm("same_videos", "videos", "stage 1's", ("generation.first_video=0", "generation.num_videos=4000")),
)


def trained_model(cell: Cell, setting: Setting) -> Retriever:
    """Train a cell's stage 2, or what is left of it, and load what came of it."""
    claim_cell(cell, setting)
    folder = cell.folder / "run"
    if not (folder / "metrics.json").exists():
        train(
            cell.recipe,
            setting.collection,
            folder,
            first_stage=setting.first_stage,
            device=setting.device,
            listen=setting.listen,
            make_data=setting.second_stage_data,
        )
    return load_checkpoint(folder, device=setting.device)


def measure_trained(cell: Cell, setting: Setting) -> Measured:
    """Train a cell's stage 2 and measure it."""
    return measure_model(trained_model(cell, setting), setting)


def baseline_model(seed: int, setting: Setting) -> Retriever:
    """Give the model that other studies measure: this study's baseline, trained if it is not there, or the shipped."""
    if setting.shipped:
        return load_checkpoint(sample_checkpoint(), device=setting.device)
    return trained_model(cell_of(TRAINING.name, ARMS[0], seed, setting), setting)


TRAINING = Study(
    name="training",
    what="what in stage 2 makes the gain, and is it the noise?",
    baseline={
        "noise": "50 levels",
        "loss": "divergence",
        "noise levels in training": 50,
        "schedule": "cosine",
        "candidates in training": 32,
        "negatives from": "all videos of stage 2",
        "videos": "not stage 1's",
    },
    arms=ARMS,
    measure=measure_trained,
)
