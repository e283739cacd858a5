"""Real clips: indexed twice, with files that are cut off, no video, or not to be read, and killed half way."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from own_videos import NAME, tiny_model
from test_index import same_index

from diffret_core.index import build_index, open_index
from diffret_core.index.catalogue import CATALOGUE

PROGRAM = """
import os, sys
from own_videos import NAME, tiny_model
from diffret_core.index import build_index, writing
writing.SAVE_EVERY_SECONDS = 0.5
if os.geteuid() == 0:
    os.seteuid(65534)
build_index(sys.argv[1], sys.argv[2], tiny_model(), NAME, num_workers=2)
"""


@pytest.fixture
def clips(shared_folder):
    """Links to all clips, except for three files that something has happened to."""
    with tempfile.TemporaryDirectory() as folder:  # tmp_path lies in a folder that only its owner may enter
        os.chmod(folder, 0o755)
        root = Path(folder) / "clips"
        files = [path for path in sorted((shared_folder / "clips").rglob("*")) if path.is_file()]
        for path in files:
            link = root / path.relative_to(shared_folder / "clips")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        cut, text, closed = sorted((root / "msrvtt_sample").iterdir())[:3]
        whole = cut.read_bytes()
        for path, content in ((cut, whole[: len(whole) // 2]), (text, b"404 not found"), (closed, closed.read_bytes())):
            path.unlink()
            path.write_bytes(content)
        closed.chmod(0)
        yield root, cut, text, closed


def index_as_nobody(root, out):
    """Index as a user who may not read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        return build_index(root, out, tiny_model(), NAME)
    finally:
        os.seteuid(user)


def test_real_clips_are_indexed_through_damage_and_a_kill(clips, tmp_path):
    root, cut, text, closed = clips
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        out, undisturbed = Path(folder) / "killed", Path(folder) / "undisturbed"
        out.mkdir()
        out.chmod(0o777)
        tests = Path(__file__).resolve().parents[1]
        paths = [str(tests.parent), str(tests), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(root), str(out)], env=environment)
        while process.poll() is None and num_lines(out) < 30:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
        num_before = num_lines(out)
        report = index_as_nobody(root, out)
        assert report.num_unchanged >= num_before and 0 < report.num_encoded <= 83 - num_before
        whole = index_as_nobody(root, undisturbed)
        reasons = {Path(one.path).name: one.reason for one in whole.refused}
        assert set(reasons) == {cut.name, text.name, closed.name, "av1_video.mkv"}
        assert "cut off or damaged" in reasons[cut.name]
        assert "text that begins '404 not found'" in reasons[text.name]
        assert "no permission" in reasons[closed.name]
        assert "no decoder for its video codec" in reasons["av1_video.mkv"]
        again = index_as_nobody(root, undisturbed)
        assert again.refused == whole.refused and again.num_encoded == 0
        assert len(open_index(undisturbed).videos) == 80
        same_index(undisturbed, out)


def num_lines(out):
    path = out / CATALOGUE
    return path.read_bytes().count(b"\n") if path.exists() else 0
