"""An indexing that is killed at any of its writes ends as an undisturbed one."""

import os
import subprocess
import sys
from pathlib import Path

from own_videos import NAME, tiny_model, write_clip, write_folder
from test_index import same_index

from diffret_core.index import build_index, open_index
from diffret_core.index.catalogue import read_catalogue

TESTS = Path(__file__).resolve().parent


def test_index_that_was_killed_at_any_write_ends_as_an_undisturbed_one(tmp_path):
    videos = write_folder(tmp_path / "videos")
    write_clip(videos / "b" / "long.MOV", seconds=70, seed=1)  # 18 segments: more than are encoded at a time
    (videos / "letter.mp4").write_text("no video")
    undisturbed = build_index(videos, tmp_path / "undisturbed", tiny_model(), NAME)
    paths = [str(TESTS.parent), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, str(TESTS / "killed_index.py"), str(videos), str(tmp_path / "killed")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    resumed = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    *resumed, last = resumed
    assert last[1:] == (5, 22, 1)  # which had fewer writes than its number: not killed
    assert len(resumed) >= 6
    for number, num_encoded, num_segments, num_refused in resumed:
        assert num_refused == 1
        assert num_encoded <= 5 and num_segments <= undisturbed.num_segments
        same_index(tmp_path / "undisturbed", tmp_path / "killed" / str(number))
        assert read_catalogue(tmp_path / "killed" / str(number)) == read_catalogue(tmp_path / "undisturbed")
        hidden = [path.name for path in (tmp_path / "killed" / str(number)).iterdir() if path.name.startswith(".")]
        assert hidden == []
    assert resumed[0][2] == 22 and resumed[-1][2] == 0  # what had been written was not encoded again
    assert sorted((one[2] for one in resumed), reverse=True) == [one[2] for one in resumed]
    assert len(open_index(tmp_path / "killed" / "1").videos) == 5
