"""Weighted token interaction against three plain loops, by hand, and what padding may and may not do."""

import math
import weakref

import pytest
import torch
from tiny_models import ragged_mask, random_features
from torch.utils._python_dispatch import TorchDispatchMode

import diffret_core.similarity
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.similarity import TokenInteraction, compare_blocks, masked_softmax


def interaction(dim=8, mode="default"):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return TokenInteraction(dim, mode=mode).requires_grad_(False)


def compare(module, texts, videos):
    return module(texts.words, texts.word_mask, videos.frames, videos.frame_mask)


def weights_by_loop(score, features, mask):
    first, _, second = score
    logits = []
    for feature in features[mask].double():
        hidden = (first.weight.double() @ feature + first.bias.double()).clamp(min=0)
        logits.append(float(second.weight.double()[0] @ hidden + second.bias.double()[0]))
    total = sum(math.exp(logit) for logit in logits)
    return [math.exp(logit) / total for logit in logits]


def similarity_by_loop(module, texts, videos, t, v):
    words, frames = texts.words[t][texts.word_mask[t]].double(), videos.frames[v][videos.frame_mask[v]].double()
    cosine = [[float(word @ frame / word.norm() / frame.norm()) for frame in frames] for word in words]
    of_words = weights_by_loop(module.word_score, texts.words[t], texts.word_mask[t])
    of_frames = weights_by_loop(module.frame_score, videos.frames[v], videos.frame_mask[v])
    from_words = sum(weight * max(row) for weight, row in zip(of_words, cosine, strict=True))
    from_frames = sum(w * max(row[f] for row in cosine) for f, w in enumerate(of_frames))
    return (from_words + from_frames) / 2


def test_similarity_matches_loops_over_words_and_frames():
    texts, videos = random_features(3, 5, dim=8)  # not square: rows are texts
    module = interaction()
    computed = compare(module, texts, videos)
    expected = [[similarity_by_loop(module, texts, videos, t, v) for v in range(5)] for t in range(3)]
    torch.testing.assert_close(computed, torch.tensor(expected), rtol=0, atol=1e-6)


def test_similarity_matches_numbers_by_hand():
    module = interaction(2)
    for score in (module.word_score, module.frame_score):
        for value in score.parameters():
            value.zero_()  # equal weights
    texts = TextFeatures(torch.tensor([[[2.0, 0], [0, 3.0]]]), torch.zeros(1, 2), torch.tensor([[True, True]]))
    videos = VideoFeatures(torch.tensor([[[5.0, 0]], [[0.6, 0.8]]]), torch.tensor([[True], [True]]))
    # video 0: words 1 and 0, frame 1; video 1: words 0.6 and 0.8, frame 0.8
    torch.testing.assert_close(compare(module, texts, videos), torch.tensor([[0.75, 0.75]]))


def test_similarity_does_not_depend_on_the_size_of_blocks(monkeypatch):
    texts, videos = random_features(7, 4, dim=8)
    module = interaction()
    whole = compare(module, texts, videos)
    for num_texts, num_videos in ((1, 1), (3, 3)):  # one at a time; three at a time, one left over
        monkeypatch.setattr(diffret_core.similarity, "TEXTS_AT_ONCE", num_texts)
        monkeypatch.setattr(diffret_core.similarity, "VIDEOS_AT_ONCE", num_videos)
        torch.testing.assert_close(compare(module, texts, videos), whole, rtol=0, atol=1e-6)


def features_with_holes(num_texts, num_videos):
    """Features in float64 of which any are padding, the first of some rows among them; no row is all padding."""
    texts, videos = random_features(num_texts, num_videos, dim=8)
    draw = torch.Generator().manual_seed(5)
    masks = [torch.rand(one.shape, generator=draw) < 0.6 for one in (texts.word_mask, videos.frame_mask)]
    for mask in masks:
        mask[0], mask[1] = True, False
        mask[:, -1] = True  # row 1 has nothing but its last
    assert not bool(masks[0][:, 0].all()) and not bool(masks[1][:, 0].all())
    texts = TextFeatures(texts.words.double(), texts.sentence.double(), masks[0])
    return texts, VideoFeatures(videos.frames.double(), masks[1])


def cosine_of(word, frame):
    return word @ frame / word.norm() / frame.norm()


def similarity_by_all_pairs(module, texts, videos):
    """Every text with every video, every word with every frame: SPEC section 5 as it reads, with gradients."""
    rows = []
    for words, word_mask in zip(texts.words, texts.word_mask, strict=True):
        row = []
        for frames, frame_mask in zip(videos.frames, videos.frame_mask, strict=True):
            of_words = torch.softmax(module.word_score(words[word_mask]).squeeze(-1), dim=0)
            of_frames = torch.softmax(module.frame_score(frames[frame_mask]).squeeze(-1), dim=0)
            cosine = torch.stack([torch.stack([cosine_of(word, frame) for frame in frames]) for word in words])
            cosine = torch.where(word_mask[:, None] & frame_mask, cosine, 0)
            if module.mode == "default":  # only real ones are asked for their best
                cosine = cosine[word_mask][:, frame_mask]
                best_frame, best_word = cosine.amax(dim=1), cosine.amax(dim=0)
            else:
                best_frame, best_word = cosine.amax(dim=1)[word_mask], cosine.amax(dim=0)[frame_mask]
            row.append((of_words @ best_frame + of_frames @ best_word) / 2)
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_similarity_and_its_gradient_match_all_pairs_wherever_padding_stands(mode, monkeypatch):
    monkeypatch.setattr(diffret_core.similarity, "TEXTS_AT_ONCE", 2)
    monkeypatch.setattr(diffret_core.similarity, "VIDEOS_AT_ONCE", 3)
    texts, videos = features_with_holes(5, 7)
    module = interaction(mode=mode).double().requires_grad_(True)
    words, frames = texts.words.requires_grad_(True), videos.frames.requires_grad_(True)
    learnt = [words, frames, *module.parameters()]
    factor = torch.randn(5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = []
    for compute in (compare, similarity_by_all_pairs):
        similarity = compute(module, texts, videos)
        found.append((similarity.detach(), torch.autograd.grad((similarity * factor).sum(), learnt)))
    (computed, gradients), (expected, expected_gradients) = found
    torch.testing.assert_close(computed, expected, rtol=0, atol=1e-12)
    for gradient, slow in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, slow, rtol=0, atol=1e-12)
    assert bool((gradients[0][~texts.word_mask] == 0).all()) and bool((gradients[1][~videos.frame_mask] == 0).all())


def test_modes_differ_where_padding_can_win():
    texts, videos = features_with_holes(5, 7)
    default, reference = (compare(interaction(mode=mode).double(), texts, videos) for mode in ("default", "reference"))
    assert bool((reference >= default - 1e-12).all())  # a zero more to choose from
    assert bool((reference > default + 1e-3).any())


class LargestTensor(TorchDispatchMode):
    """Remembers the largest tensor that any operation made."""

    def __init__(self):
        super().__init__()
        self.num_entries = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        if isinstance(result, torch.Tensor):
            self.num_entries = max(self.num_entries, result.numel())
        return result


class HeldEntries(TorchDispatchMode):
    """Remembers how many entries were held at most at one time, beside tensors that were there before."""

    def __init__(self, *there_before):
        super().__init__()
        self.there_before = {one.untyped_storage().data_ptr() for one in there_before}
        self.held, self.num_entries = {}, 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        for one in result if isinstance(result, tuple | list) else [result]:
            if isinstance(one, torch.Tensor):
                storage = one.untyped_storage()
                self.held[id(one)] = weakref.ref(one), storage.data_ptr(), storage.nbytes() // one.element_size()
        alive = {place: size for one, place, size in self.held.values() if one() is not None}
        self.num_entries = max(self.num_entries, sum(alive[place] for place in alive.keys() - self.there_before))
        return result


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_similarity_holds_one_copy_of_the_frames_and_none_of_the_words(mode, monkeypatch):
    monkeypatch.setattr(diffret_core.similarity, "TEXTS_AT_ONCE", 2)
    monkeypatch.setattr(diffret_core.similarity, "VIDEOS_AT_ONCE", 2)
    texts, videos = random_features(60, 40, num_words=6, num_frames=5, dim=64)
    texts, videos = (type(one)(*(part.clone() for part in one)) for one in (texts, videos))
    module = interaction(64, mode)
    with HeldEntries(*texts, *videos, *module.parameters()) as held:
        compare(module, texts, videos)
    one_block = 2 * 6 * 2 * 64  # the widest layer of the networks that weigh tokens
    assert videos.frames.numel() < held.num_entries < videos.frames.numel() + 60 * 40 + 10 * one_block
    assert held.num_entries < texts.words.numel()


def test_similarity_reports_how_far_it_is(monkeypatch):
    monkeypatch.setattr(diffret_core.similarity, "TEXTS_AT_ONCE", 3)
    texts, videos = random_features(7, 2, dim=8)
    calls, module = [], interaction()
    module(texts.words, texts.word_mask, videos.frames, videos.frame_mask, progress=lambda *done: calls.append(done))
    assert calls == [(3, 7), (6, 7), (7, 7)]


def test_similarity_in_half_precision_is_rounded_at_the_end():
    texts, videos = random_features(40, 5, dim=8)
    module = interaction()
    features = texts.words, texts.word_mask, videos.frames, videos.frame_mask
    assert module(*features, dtype=torch.float16).equal(module(*features).half())


def test_similarity_of_prepared_videos_is_the_same():
    texts, videos = random_features(3, 5, dim=8)
    module = interaction()
    blocks = list(module.prepare_videos(videos.frames, videos.frame_mask))
    for t in range(3):  # one text at a time against videos prepared once
        (block,) = module.prepare_texts(texts.words[t : t + 1], texts.word_mask[t : t + 1])
        torch.testing.assert_close(compare_blocks(block, blocks)[0], compare(module, texts, videos)[t])


def test_similarity_never_holds_the_cosines_of_all_words_and_frames(monkeypatch):
    texts, videos = random_features(30, 20, num_words=6, num_frames=5, dim=8)
    monkeypatch.setattr(diffret_core.similarity, "TEXTS_AT_ONCE", 10)
    monkeypatch.setattr(diffret_core.similarity, "VIDEOS_AT_ONCE", 10)
    with LargestTensor() as largest:
        compare(interaction(), texts, videos)
    assert 0 < largest.num_entries <= 3000 < 30 * 20 * 6 * 5


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_similarity_does_not_depend_on_what_stands_in_padding(mode):
    texts, videos = random_features(3, 4, dim=8)
    words, frames = texts.words.clone(), videos.frames.clone()
    words[~texts.word_mask], frames[~videos.frame_mask] = 50.0, -50.0
    changed = compare(interaction(mode=mode), texts._replace(words=words), videos._replace(frames=frames))
    torch.testing.assert_close(changed, compare(interaction(mode=mode), texts, videos))


def test_similarity_does_not_depend_on_the_amount_of_padding():
    texts, videos = random_features(3, 4, dim=8)
    more_words = TextFeatures(
        torch.cat([texts.words, torch.randn(3, 2, 8)], dim=1),
        texts.sentence,
        torch.cat([texts.word_mask, torch.zeros(3, 2, dtype=torch.bool)], dim=1),
    )
    more_frames = VideoFeatures(
        torch.cat([videos.frames, torch.randn(4, 3, 8)], dim=1),
        torch.cat([videos.frame_mask, torch.zeros(4, 3, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(compare(interaction(), more_words, more_frames), compare(interaction(), texts, videos))


def test_similarity_follows_the_order_of_texts_and_videos():
    texts, videos = random_features(3, 4, dim=8)
    t, v = torch.tensor([2, 0, 1]), torch.tensor([3, 1, 0, 2])
    moved = compare(interaction(), TextFeatures(*(one[t] for one in texts)), VideoFeatures(*(one[v] for one in videos)))
    torch.testing.assert_close(moved, compare(interaction(), texts, videos)[t][:, v])


def test_similarity_of_a_word_with_itself_is_one_and_with_its_opposite_minus_one():
    feature = torch.randn(1, 1, 8)
    texts = TextFeatures(feature, feature[:, 0], torch.ones(1, 1, dtype=torch.bool))
    videos = VideoFeatures(torch.cat([3 * feature, -feature]), torch.ones(2, 1, dtype=torch.bool))
    torch.testing.assert_close(compare(interaction(), texts, videos), torch.tensor([[1.0, -1.0]]))


def test_similarity_is_floored_at_zero_by_padding_only_in_reference_mode():
    feature = torch.randn(1, 1, 8)
    words = torch.cat([feature, feature], dim=1)
    frames = torch.cat([-feature, -feature], dim=1)  # every real cosine is -1
    mask = torch.tensor([[True, False]])
    texts, videos = TextFeatures(words, feature[:, 0], mask), VideoFeatures(frames, mask)
    assert float(compare(interaction(), texts, videos)) == pytest.approx(-1)
    assert float(compare(interaction(mode="reference"), texts, videos)) == pytest.approx(0)
    full = torch.tensor([[True, True]])
    without_padding = compare(
        interaction(mode="reference"), TextFeatures(words, feature[:, 0], full), VideoFeatures(frames, full)
    )
    assert float(without_padding) == pytest.approx(-1)


@pytest.mark.parametrize("side", ["word_mask", "frame_mask"])
def test_similarity_refuses_a_row_with_nothing_real(side):
    texts, videos = random_features(3, 3, dim=8)
    empty = torch.tensor([[True], [True], [False]]) & ragged_mask(3, 5 if side == "word_mask" else 4)
    if side == "word_mask":
        texts = texts._replace(word_mask=empty)
    else:
        videos = videos._replace(frame_mask=empty)
    with pytest.raises(ValueError, match="row 2 has nothing real in it"):
        compare(interaction(), texts, videos)


@pytest.mark.parametrize(("num_texts", "num_videos"), [(0, 3), (3, 0)])
def test_similarity_refuses_an_empty_collection(num_texts, num_videos):
    texts, videos = random_features(3, 3, dim=8)
    few_texts = TextFeatures(*(one[:num_texts] for one in texts))
    few_videos = VideoFeatures(*(one[:num_videos] for one in videos))
    with pytest.raises(ValueError):
        compare(interaction(), few_texts, few_videos)


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_similarity_trains_both_weight_networks_with_finite_gradients(mode):
    texts, videos = random_features(3, 3, dim=8)
    module = interaction(mode=mode).requires_grad_(True)
    words = texts.words.requires_grad_(True)
    compare(module, texts._replace(words=words), videos).diagonal().sum().backward()
    assert bool(words.grad.isfinite().all())
    for score in (module.word_score, module.frame_score):
        assert float(score[0].weight.grad.abs().sum()) > 0


def test_masked_softmax_matches_numbers_by_hand():
    weight = masked_softmax(torch.tensor([[math.log(3.0), 99.0, 0.0]]), torch.tensor([[True, False, True]]))
    torch.testing.assert_close(weight, torch.tensor([[0.75, 0.0, 0.25]]))
