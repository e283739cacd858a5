"""One step of stage 1 with all its options, of what comes before it, or of stage 2.

As a program it takes the step as one of several processes; the first leaves what it found in a file.
"""

import sys

import torch
from tiny_models import random_features, random_tokens, tiny_retriever
from torch import distributed

from diffret_core.config import ContrastiveConfig, GenerationConfig, PretrainingConfig
from diffret_core.training.contrastive import contrastive_trainer
from diffret_core.training.generation import generation_trainer
from diffret_core.training.pairs import TrainingPairs
from diffret_core.training.pretraining import pretraining_trainer

OPTIONS = {"sentence_weight": 0.5, "max_shift": 3, "frame_share": 0.6}


def normalise(images):
    return images / 127.5 - 1


def second_stage_trainer():
    texts, videos = random_features(12, 12)
    config = GenerationConfig(num_steps=1, batch_size=8, num_candidates=4, negative_pool=6, max_gradient_norm=1e9)
    own = torch.arange(12)
    return generation_trainer(tiny_retriever(), texts, [videos], own, config, wording=own, seed=0)


def take_step(stage):
    """The loss of the step, and AdamW's first moments after it: a tenth of each gradient."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (8, 4, 3, 16, 16), generator=draw, dtype=torch.uint8)
    frame_mask = torch.arange(4)[None] < 1 + torch.arange(8)[:, None] % 4
    ids, word_mask = random_tokens([4 + i % 3 for i in range(8)], 8)
    pairs = TrainingPairs(images, frame_mask, ids, word_mask, torch.arange(8))
    if stage == "stage 2":
        trainer = second_stage_trainer()
    elif stage.startswith("stage 1"):
        pieces = {"encode_at_once": int(stage[-1])} if "at once" in stage else {}
        options = {**OPTIONS, **pieces, "max_gradient_norm": 1e9}
        config = ContrastiveConfig(num_steps=1, batch_size=8, clip_learning_rate=1e-3, **options)
        trainer = contrastive_trainer(tiny_retriever(), pairs, config, normalise, seed=0)
    else:
        config = PretrainingConfig(num_steps=1, batch_size=8, num_frames=int(stage[-1]), max_gradient_norm=1e9)
        trainer = pretraining_trainer(tiny_retriever(), pairs, config, normalise, seed=0)
    (step,) = trainer.steps()
    return step.loss, {name: value for name, value in trainer.state().items() if name.endswith("exp_avg")}


if __name__ == "__main__":
    rank, num_processes, stage, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    meeting = f"file://{folder}/meeting_of_step"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=num_processes)
    found = take_step(stage)
    if rank == 0:
        torch.save(found, f"{folder}/step.pt")
    distributed.destroy_process_group()
