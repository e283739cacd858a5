"""Captions that are alike, and batches made of groups of them."""

import torch
from pytest import mark, raises
from tiny_models import random_tokens, tiny_retriever
from torch.nn import functional

from diffret_core.training import alike as module
from diffret_core.training.alike import alike_captions, grouped_pairs_of_step
from diffret_core.training.pairs import TrainingPairs


def pairs_of(num_texts=12, num_videos=5):
    ids, word_mask = random_tokens([4 + i % 3 for i in range(num_texts)], 8)
    images = torch.zeros(num_videos, 1, 3, 16, 16, dtype=torch.uint8)
    mask = torch.ones(num_videos, 1, dtype=torch.bool)
    return TrainingPairs(images, mask, ids, word_mask, torch.arange(num_texts) % num_videos)


@mark.parametrize("at_once", [1, 5, 500])
def test_captions_nearest_by_sentence_of_other_videos_are_found(at_once, monkeypatch):
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", at_once)
    model, pairs = tiny_retriever(), pairs_of()
    found = alike_captions(model, pairs, 9)
    with torch.no_grad():
        sentences = [
            model.encode_tokens(ids[None], mask[None]).sentence[0]
            for ids, mask in zip(pairs.word_ids, pairs.word_mask, strict=True)
        ]
    for text, sentence in enumerate(sentences):
        others = [other for other in range(12) if pairs.video_of_text[other] != pairs.video_of_text[text]]
        cosine = {other: float(functional.cosine_similarity(sentence, sentences[other], dim=0)) for other in others}
        assert found[text].tolist() == sorted(others, key=lambda other, cosine=cosine: -cosine[other])[:9]


def test_more_alike_captions_than_there_are_of_other_videos_are_refused():
    model, pairs = tiny_retriever(), pairs_of()  # a caption has 3 or 2 of its own video, itself included
    assert alike_captions(model, pairs, 9).shape == (12, 9)
    with raises(ValueError, match="num_alike is 10, but a caption has 9 of other videos"):
        alike_captions(model, pairs, 10)


ALIKE = (torch.arange(40)[:, None] + torch.arange(1, 6)) % 40  # of 40 captions, the 5 that follow


def groups(step, *, seed=0, group_size=4):
    return grouped_pairs_of_step(step, ALIKE, 8, group_size, seed).view(-1, group_size)


def test_groups_hold_a_caption_and_different_ones_that_are_alike():
    drawn = []
    for step in range(60):
        for first, *others in groups(step).tolist():
            assert len(set(others)) == 3 and set(others) <= set(ALIKE[first].tolist())
            drawn += [(other - first) % 40 for other in others]
    # 120 groups of 3 others of 5: each place 72 times
    assert all(45 < drawn.count(place) < 99 for place in range(1, 6))


def test_every_caption_is_the_first_of_a_group_once_an_epoch():
    for epoch in range(2):
        firsts = torch.cat([groups(20 * epoch + step)[:, 0] for step in range(20)])
        assert sorted(firsts.tolist()) == list(range(40))
    assert not groups(0)[:, 0].equal(groups(20)[:, 0])


def test_groups_depend_on_step_and_seed_alone():
    assert groups(3).equal(groups(3))
    assert not groups(3).equal(groups(4)) and not groups(3).equal(groups(3, seed=1))


def test_groups_may_take_all_that_are_alike():
    assert groups(0, group_size=4).shape == (2, 4)
    whole = grouped_pairs_of_step(0, ALIKE, 12, 6, 0).view(-1, 6)
    assert whole[:, 1:].sort(dim=1).values.equal(ALIKE[whole[:, 0]].sort(dim=1).values)
