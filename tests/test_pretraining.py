"""What comes before stage 1: few frames against sentences."""

import pytest
import torch
from tiny_models import random_tokens, tiny_retriever
from torch.nn import functional

from diffret_core.config import PretrainingConfig
from diffret_core.randomness import generator
from diffret_core.training.alike import alike_captions, grouped_pairs_of_step
from diffret_core.training.pairs import TrainingPairs, pairs_of_step
from diffret_core.training.pretraining import pretraining_trainer
from diffret_core.training.views import draw_frames


def normalise(images):
    return images.float() / 127.5 - 1


def pairs_of(num_videos=6, *, num_frames=1):
    """Videos whose frames are alike or, with several, differ."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (num_videos, num_frames, 3, 16, 16), generator=draw, dtype=torch.uint8)
    ids, word_mask = random_tokens([4 + i % 3 for i in range(num_videos)], 8)
    mask = torch.ones(num_videos, num_frames, dtype=torch.bool)
    return TrainingPairs(images, mask, ids, word_mask, torch.arange(num_videos))


def pretraining(model, num_steps=1, *, pairs=None, seed=0, **changes):
    config = PretrainingConfig(num_steps=num_steps, **{"batch_size": 4, **changes})
    return pretraining_trainer(model, pairs or pairs_of(), config, normalise, seed=seed)


def losses(model, num_steps=1, **options):
    return [step.loss for step in pretraining(model, num_steps, **options).steps()]


def test_loss_is_clips_own_between_sentences_and_frames():
    model, pairs = tiny_retriever(), pairs_of()
    chosen = pairs_of_step(0, 6, 4, 0)
    with torch.no_grad():
        seen = functional.normalize(model.clip.visual(normalise(pairs.images[chosen, 0])), dim=-1)
        said = [model.encode_tokens(pairs.word_ids[i : i + 1], pairs.word_mask[i : i + 1]).sentence for i in chosen]
        logits = model.clip.logit_scale.exp() * functional.normalize(torch.cat(said), dim=-1) @ seen.T
        diagonal = torch.arange(4)
        expected = (functional.cross_entropy(logits, diagonal) + functional.cross_entropy(logits.T, diagonal)) / 2
    assert losses(model) == pytest.approx([float(expected)], abs=1e-5)
    assert float(expected) > 0.5


def test_pretraining_learns_a_tiny_problem():
    found = losses(tiny_retriever(), 30, batch_size=6)
    assert sum(found[-5:]) < 0.5 * sum(found[:5])


@pytest.mark.parametrize(("num_frames", "parts"), [(1, ("clip.",)), (2, ("clip.", "temporal."))])
def test_pretraining_changes_what_it_uses_and_all_of_it(num_frames, parts):
    model = tiny_retriever()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    losses(model, pairs=pairs_of(num_frames=4), num_frames=num_frames)
    changed = {name for name, value in model.named_parameters() if not value.detach().equal(before[name])}
    assert changed == {name for name in before if name.startswith(parts)}


def test_pretraining_depends_on_its_seed_alone():
    pairs = pairs_of(num_frames=3)

    def found(seed):
        torch.randn(seed + 1)
        return losses(tiny_retriever(), 3, pairs=pairs, seed=seed)

    assert found(0) == found(0) != found(1)


def test_pretraining_resumes_exactly():
    expected = losses(tiny_retriever(), 4)
    interrupted = pretraining(tiny_retriever(), 4)
    steps = interrupted.steps()
    first = [next(steps).loss, next(steps).loss]
    resumed = pretraining(tiny_retriever(seed=9), 4)
    resumed.restore(interrupted.state())
    assert first + [step.loss for step in resumed.steps()] == expected


def test_batch_is_made_of_groups_that_the_model_takes_for_alike():
    model, pairs = tiny_retriever(), pairs_of()
    alike = alike_captions(model, pairs, 3)
    chosen = grouped_pairs_of_step(0, alike, 4, 2, 0)
    with torch.no_grad():
        seen = functional.normalize(model.clip.visual(normalise(pairs.images[chosen, 0])), dim=-1)
        said = model.encode_tokens(pairs.word_ids[chosen], pairs.word_mask[chosen]).sentence
        logits = model.clip.logit_scale.exp() * functional.normalize(said, dim=-1) @ seen.T
        same = (chosen[:, None] == chosen) & ~torch.eye(4, dtype=torch.bool)  # a caption can come in two groups
        logits = logits.masked_fill(same, -torch.inf)
        diagonal = torch.arange(4)
        expected = (functional.cross_entropy(logits, diagonal) + functional.cross_entropy(logits.T, diagonal)) / 2
    assert losses(model, group_size=2, num_alike=3) == pytest.approx([float(expected)], abs=1e-5)


def test_several_frames_are_the_mean_of_what_the_temporal_transformer_gives():
    model, pairs = tiny_retriever(), pairs_of(num_frames=3)
    chosen = pairs_of_step(0, 6, 4, 0)
    looked_at = draw_frames(pairs.frame_mask[chosen], 2, generator(0, "frames of pre-training", 0))
    assert looked_at.sum(dim=1).tolist() == [2] * 4
    with torch.no_grad():
        frames = model.encode_videos(normalise(pairs.images[chosen]), looked_at).frames
        seen = torch.stack([frames[i][looked_at[i]].mean(dim=0) for i in range(4)])
        said = model.encode_tokens(pairs.word_ids[chosen], pairs.word_mask[chosen]).sentence
        logits = model.clip.logit_scale.exp() * functional.cosine_similarity(said[:, None], seen[None], dim=-1)
        diagonal = torch.arange(4)
        expected = (functional.cross_entropy(logits, diagonal) + functional.cross_entropy(logits.T, diagonal)) / 2
    assert losses(model, pairs=pairs, num_frames=2) == pytest.approx([float(expected)], abs=1e-5)


def test_captions_of_one_video_and_equal_captions_are_no_negatives():
    pairs = pairs_of(4)
    one_video = pairs._replace(video_of_text=torch.zeros(4, dtype=torch.long))
    alike = pairs._replace(word_ids=pairs.word_ids[:1].expand(4, -1), word_mask=pairs.word_mask[:1].expand(4, -1))
    for nothing_to_tell in (one_video, alike):
        assert losses(tiny_retriever(), pairs=nothing_to_tell) == pytest.approx([0], abs=1e-6)


def test_too_few_pairs_for_a_batch_are_refused():
    with pytest.raises(ValueError, match="6 pairs cannot fill a batch of 7"):
        pretraining(tiny_retriever(), batch_size=7)
