"""A plain CLIP model as a retriever: the mean of the frames, nothing learned on videos."""

import pytest
import torch
from tiny_models import SMALL, architecture, random_features, tiny_config, tiny_retriever
from torch.nn import functional

from diffret_core.checkpoints import video_encoder_fingerprint
from diffret_core.encoders import build_clip
from diffret_core.features import VideoFeatures
from diffret_core.first_cut import first_cut, open_first_cut, write_first_cut
from diffret_core.zero_shot import ZeroShot


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = build_clip(architecture(SMALL, text_cfg={"vocab_size": 49408}))
    return ZeroShot(clip, tiny_config(clip=architecture(SMALL, text_cfg={"vocab_size": 49408}), max_words=16)).eval()


@torch.no_grad()
def test_similarity_is_the_cosine_of_sentence_and_mean_of_frames_of_size_1(model):
    images = torch.randn(3, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    frame_mask = torch.tensor([[True] * 4, [True] + [False] * 3, [True, True, False, False]])
    texts = model.encode_texts(["a red circle", "a star"])
    videos = model.encode_videos(images, frame_mask)
    expected = torch.empty(2, 3)
    for column, (image, mask) in enumerate(zip(images, frame_mask, strict=True)):
        frames = functional.normalize(model.clip.encode_image(image[mask]), dim=1)
        for row, sentence in enumerate(texts.sentence):
            expected[row, column] = functional.cosine_similarity(sentence, frames.mean(dim=0), dim=0)
    torch.testing.assert_close(model.similarity(texts, videos), expected)
    assert bool(torch.equal(videos.frame_mask, frame_mask))


@torch.no_grad()
def test_first_cut_of_a_plain_model_is_its_similarity(model, tmp_path):
    texts = model.encode_texts(["a red circle", "a star"])
    videos = random_features(1, 9)[1]
    parts = [VideoFeatures(*(part[some] for part in videos)) for some in (slice(5), slice(5, None))]
    write_first_cut(tmp_path / "cut.npy", model, parts, 9)
    found = first_cut(model, texts, open_first_cut(tmp_path / "cut.npy"), 9)
    assert found.equal(model.similarity(texts, videos).argsort(dim=1, descending=True))


@torch.no_grad()
def test_sentences_are_those_of_clip(model):
    from diffret_core.encoders import tokenize

    word_ids, _ = tokenize(["a red circle", "a star spins"], 16)
    expected = model.clip.encode_text(word_ids)
    torch.testing.assert_close(model.encode_texts(["a red circle", "a star spins"]).sentence, expected)


def test_fingerprint_is_that_of_the_weights_and_no_retrievers(model):
    before = video_encoder_fingerprint(model)
    retriever = tiny_retriever(model.config.clip)
    retriever.clip.load_state_dict(model.clip.state_dict())
    assert video_encoder_fingerprint(retriever) != before
    with torch.no_grad():
        model.clip.visual.proj[0, 0] += 1
        assert video_encoder_fingerprint(model) != before
        model.clip.visual.proj[0, 0] -= 1
