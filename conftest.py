"""For every run of pytest: neither the tests, nor programs and notebook kernels that they start, use the network.

Where several processes test at once, each of them and what it starts computes with one thread.
"""

import os
import sys
from pathlib import Path

OFFLINE = str(Path(__file__).parent / "tests" / "offline")

sys.path.insert(0, OFFLINE)
import network_block  # noqa: E402, F401

os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [OFFLINE, os.environ.get("PYTHONPATH")]))
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")  # the hub's client does not even try
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
