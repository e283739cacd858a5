import torch
from pytest import fixture, mark, raises, warns
from tiny_collection import make_collection, tiny_recipe
from tiny_models import tiny_retriever

from diffret_core.datasets import read_collection
from diffret_core.features import VideoFeatures, save_features
from diffret_core.frames import View, normalise_frames
from diffret_core.galleries import (
    TEXTS_AT_ONCE,
    encode_captions,
    encode_gallery,
    encode_video_files,
    keep_gallery,
    kept_gallery,
    read_videos,
)


@fixture
def collection(tmp_path):
    return read_collection("msrvtt", make_collection(tmp_path / "data"))


@fixture
def model():
    return tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16)


def test_gallery_pairs_every_test_caption_with_its_video(model, collection, tmp_path):
    gallery = encode_gallery(model, collection, "test", cache_folder=tmp_path)
    described = [gallery.video_ids[video] for video in gallery.video_of_text.tolist()]
    assert list(zip(gallery.captions, described, strict=True)) == [tuple(pair) for pair in collection.pairs("test")]
    assert len(gallery.videos.frames) == 4
    assert len(gallery.texts.words) == 4


def test_gallery_features_are_those_of_the_videos_read_one_by_one(model, collection, tmp_path):
    gallery = encode_gallery(model, collection, "test", cache_folder=tmp_path / "all")
    for row, video in enumerate(gallery.video_ids):
        alone = encode_video_files(model, [collection.video_path(video)], cache_folder=tmp_path / video)
        mask = alone.frame_mask[0]
        torch.testing.assert_close(gallery.videos.frames[row, mask], alone.frames[0, mask], rtol=1e-4, atol=1e-5)


def test_captions_of_many_batches_have_the_features_that_each_has_alone(model):
    captions = [f"number {number}" for number in range(2 * TEXTS_AT_ONCE + 3)]
    together = encode_captions(model, captions)
    assert together.words.shape[:2] == (len(captions), 16)
    for number in (0, TEXTS_AT_ONCE - 1, TEXTS_AT_ONCE, len(captions) - 1):
        for column, alone in zip(together, encode_captions(model, captions[number : number + 1]), strict=True):
            torch.testing.assert_close(column[number], alone[0])


def test_no_captions_are_refused(model):
    with raises(ValueError, match="no captions are given; name at least one"):
        encode_captions(model, [])


def test_gallery_refuses_missing_videos_unless_allowed(model, collection, tmp_path):
    gone = collection.video_ids("test")[1]
    collection.video_path(gone).unlink()
    with raises(FileNotFoundError, match=rf"1 of 4 test videos are missing.*{gone}"):
        encode_gallery(model, collection, "test", cache_folder=tmp_path)
    with warns(UserWarning, match="1 of 4 test videos are missing and left out"):
        smaller = encode_gallery(model, collection, "test", cache_folder=tmp_path, allow_missing=1)
    assert gone not in smaller.video_ids
    assert len(smaller.captions) == 3


def test_gallery_refuses_when_no_video_is_there_even_if_missing_ones_are_allowed(model, collection, tmp_path):
    for video in collection.video_ids("test"):
        collection.video_path(video).unlink()
    with raises(FileNotFoundError, match="4 of 4"):
        encode_gallery(model, collection, "test", cache_folder=tmp_path, allow_missing=4)


def test_video_features_are_encoded_anew_for_another_model(model, collection, tmp_path):
    paths = [collection.video_path(video) for video in collection.video_ids("test")]
    first = encode_video_files(model, paths, cache_folder=tmp_path)
    other = tiny_retriever(model.config.clip, seed=1, max_words=16, num_frame_positions=16)
    second = encode_video_files(other, paths, cache_folder=tmp_path)
    assert not torch.allclose(first.frames, second.frames)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


@mark.parametrize("mode", ["default", "reference"])  # in reference mode padding counts
def test_view_changes_videos_before_they_are_encoded_and_is_kept_apart(collection, tmp_path, mode):
    model = tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16, mode=mode)
    paths = [collection.video_path(video) for video in collection.video_ids("test")]
    changed = []

    def without_the_first_frame(path, images):
        changed.append(path)
        return 255 - images, torch.arange(len(images)) > 0

    def encoded(**view):
        return encode_video_files(model, paths, cache_folder=tmp_path, **view)

    plain, seen = encoded(), encoded(view=View("negative", without_the_first_frame))
    assert changed == paths
    images, frame_mask = read_videos(paths, model.config)
    frame_mask[:, 0] = False
    assert seen.frame_mask.equal(frame_mask) and not plain.frame_mask.equal(frame_mask)
    negative = normalise_frames((255 - images).flatten(0, 1), model.config.image_mean, model.config.image_std)
    with torch.no_grad():
        expected = model.encode_videos(negative.view_as(images) * frame_mask[..., None, None, None], frame_mask).frames
    torch.testing.assert_close(seen.frames, expected, rtol=1e-3, atol=1e-3)  # kept as float16; padding as well
    again = encoded(), encoded(view=View("negative", without_the_first_frame))
    assert changed == paths  # found, not encoded again
    assert again[0].frames.equal(plain.frames) and again[1].frames.equal(seen.frames)


def test_videos_are_read_as_bytes_with_padding_masked(model, collection):
    paths = [collection.video_path(video) for video in collection.video_ids("test")]
    told = []
    images, frame_mask = read_videos(paths, model.config, progress=lambda done, total: told.append((done, total)))
    assert images.dtype == torch.uint8
    assert images.shape == (4, 4, 3, 16, 16)
    assert images[~frame_mask].sum() == 0
    assert images[frame_mask].float().std() > 5
    assert told[-1] == (4, 4)


def test_captions_give_the_same_features_in_any_company(model):
    captions = [f"a red circle number {i}" for i in range(300)]
    together = encode_captions(model, captions)
    alone = encode_captions(model, captions[299:])
    torch.testing.assert_close(together.sentence[299:], alone.sentence, rtol=1e-4, atol=1e-5)


def gone(collection):
    """Delete all videos of a collection."""
    for path in collection.videos_folder.iterdir():
        path.unlink()


@mark.parametrize("split", ["test", "validation"])
def test_kept_gallery_is_the_encoded_one_and_needs_no_videos(model, collection, tmp_path, split):
    gallery = encode_gallery(model, collection, split, cache_folder=tmp_path)
    keep_gallery(tmp_path / "kept" / "gallery.safetensors", model, gallery)
    gone(collection)
    found = kept_gallery(tmp_path / "kept" / "gallery.safetensors", model, collection, split)
    assert (found.video_ids, found.captions) == (gallery.video_ids, gallery.captions)
    assert len(found.captions) == len(found.video_ids) * (2 if split == "validation" else 1)
    for ours, theirs in ((found.videos, gallery.videos), (found.texts, gallery.texts)):
        assert all(one.equal(other) and one.dtype == other.dtype for one, other in zip(ours, theirs, strict=True))
    assert found.video_of_text.equal(gallery.video_of_text)


def test_kept_gallery_may_hold_some_videos_of_a_split_in_an_order_of_its_own(model, collection, tmp_path):
    gallery = encode_gallery(model, collection, "train", cache_folder=tmp_path)
    chosen = torch.tensor([5, 2])
    part = gallery._replace(
        video_ids=[gallery.video_ids[i] for i in chosen], videos=VideoFeatures(*(one[chosen] for one in gallery.videos))
    )
    keep_gallery(tmp_path / "part", model, part)
    found = kept_gallery(tmp_path / "part", model, collection, "train")
    assert found.videos.frames.equal(gallery.videos.frames[chosen])
    described = [found.video_ids[video] for video in found.video_of_text.tolist()]
    expected = [tuple(pair) for pair in collection.pairs("train") if pair.video_id in part.video_ids]
    assert list(zip(found.captions, described, strict=True)) == expected
    assert len(expected) == 4


def refusal_of(path, model, collection, split="test"):
    with raises(ValueError) as caught:
        kept_gallery(path, model, collection, split)
    assert f"git checkout -- {path}" in str(caught.value) and "diffret samples features" in str(caught.value)
    return str(caught.value)


def test_kept_gallery_of_another_model_or_another_sampling_is_refused(model, collection, tmp_path):
    gallery = encode_gallery(model, collection, "test", cache_folder=tmp_path)
    keep_gallery(tmp_path / "kept", model, gallery)
    sizes = {"max_words": 16, "num_frame_positions": 16}
    for other in (
        tiny_retriever(model.config.clip, seed=1, **sizes),
        tiny_retriever(model.config.clip, frames_per_second=2.0, **sizes),
        tiny_retriever(model.config.clip, image_mean=(0.5, 0.5, 0.5), **sizes),
    ):
        assert "features of another model" in refusal_of(tmp_path / "kept", other, collection)
    save_features(tmp_path / "without_key", gallery.videos, ids=gallery.video_ids, metadata={})
    assert "features of another model" in refusal_of(tmp_path / "without_key", model, collection)


def test_kept_gallery_of_another_split_is_refused(model, collection, tmp_path):
    keep_gallery(tmp_path / "kept", model, encode_gallery(model, collection, "validation", cache_folder=tmp_path))
    refusal = refusal_of(tmp_path / "kept", model, collection)
    assert f"{min(collection.video_ids('validation'))} is no test video of this collection" in refusal


def test_kept_gallery_that_is_not_there_or_damaged_is_refused(model, collection, tmp_path):
    with raises(FileNotFoundError, match="nowhere"):
        kept_gallery(tmp_path / "nowhere", model, collection, "test")
    keep_gallery(tmp_path / "kept", model, encode_gallery(model, collection, "test", cache_folder=tmp_path))
    content = bytearray((tmp_path / "kept").read_bytes())
    content[-20] ^= 1
    (tmp_path / "kept").write_bytes(content)
    with raises(ValueError, match="kept"):
        kept_gallery(tmp_path / "kept", model, collection, "test")
