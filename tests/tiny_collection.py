"""A collection of a few of the sample videos, laid out like MSR-VTT, and a recipe of a few steps for it."""

import csv
import json
from dataclasses import replace

from tiny_models import architecture, tiny_config

from diffret_core.config import ContrastiveConfig, GenerationConfig, PretrainingConfig, Recipe, ScoringConfig
from diffret_core.locations import sample_folder

NUM_VIDEOS = {"train": 8, "validate": 4, "test": 4}


def make_collection(folder):
    """Fill a folder with annotation files and links to sample videos; every split has videos of its own."""
    sample = sample_folder()
    with (sample / "MSRVTT_JSFUSION_test.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    videos, sentences, lists = [], [], {split: [] for split in NUM_VIDEOS}
    (folder / "videos").mkdir(parents=True)
    for split, num_videos in NUM_VIDEOS.items():
        for row in rows[len(videos) : len(videos) + num_videos]:
            video = row["video_id"]
            videos.append({"video_id": video, "split": split, "id": len(videos), "url": "", "category": 0})
            sentences += [
                {"caption": caption, "video_id": video, "sen_id": len(sentences)}
                for caption in (row["sentence"], f"a video: {row['sentence']}")
            ]
            lists[split].append(row)
            (folder / "videos" / f"{video}.mp4").symlink_to(sample / "videos" / f"{video}.mp4")
    (folder / "MSRVTT_data.json").write_text(json.dumps({"videos": videos, "sentences": sentences}), encoding="utf-8")
    _write_csv(folder / "MSRVTT_train.csv", ["video_id"], [[row["video_id"]] for row in lists["train"]])
    columns = ["key", "vid_key", "video_id", "sentence"]
    test_rows = [[row[name] for name in columns] for row in lists["test"]]
    _write_csv(folder / "MSRVTT_JSFUSION_test.csv", columns, test_rows)
    return folder


def tiny_recipe(**changes):
    """All stages in a few steps, with the real tokenizer and real video files."""
    model = tiny_config(
        architecture(text_cfg={"vocab_size": 49408}),
        max_words=16,
        num_frame_positions=16,
        scoring=ScoringConfig(num_candidates=3),
    )
    recipe = Recipe(
        name="few_steps",
        model=model,
        contrastive=ContrastiveConfig(
            num_videos=4, num_steps=4, batch_size=4, clip_learning_rate=1e-3, zero_unseen_words=True
        ),
        pretraining=(
            PretrainingConfig(num_steps=3, batch_size=4),
            PretrainingConfig(num_steps=2, batch_size=4, num_frames=2, group_size=2, num_alike=2),
        ),
        generation=GenerationConfig(first_video=4, num_steps=4, batch_size=4, num_candidates=3, negative_pool=3),
    )
    return replace(recipe, **changes)


def _write_csv(path, columns, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
