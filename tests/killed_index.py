"""An indexing that is killed before its n-th write, for every n, each in a process of its own, and then goes on.

Arguments: the folder of videos, and a folder for the indexes: number n leaves one in `n/`, and a line on stdout that
says how many videos it had to encode afterwards.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from own_videos import NAME, tiny_model

from diffret_core.index import build_index, writing


def kill_before_write(number):
    """Let this process end at once instead of forcing its n-th file to disk, whose last bytes are not yet written."""
    fsync, count = os.fsync, 0

    def counting(handle):
        nonlocal count
        count += 1
        if count == number:
            os.truncate(handle, max(0, os.fstat(handle).st_size - 7))
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(handle)

    os.fsync = counting


def in_a_process(work):
    """Do it in a copy of this process; gives the signal that ended it, 0 if none did."""
    process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException as error:
            print(f"failed: {error!r}", file=sys.stderr)
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
    status = os.waitpid(process, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    videos, out = map(Path, sys.argv[1:])
    writing.SAVE_EVERY_SECONDS = 0.0  # so that there are many writes
    model = tiny_model()

    def index(number):
        """Index the videos; gives nothing, says how many were encoded."""
        report = build_index(videos, out / str(number), model, NAME, num_workers=1)
        print(number, report.num_encoded, report.num_segments_encoded, len(report.refused), flush=True)

    for number in range(1, 100):

        def killed(number=number):
            """Begin, to be killed."""
            kill_before_write(number)
            index(number)

        if in_a_process(killed) != signal.SIGKILL:
            break
        in_a_process(lambda number=number: index(number))
