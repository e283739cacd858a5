"""Serves, for a test, a demo over a collection whose captions are markup: python hostile_page.py --port N."""

import sys

from diffret_core.course.page.notebook import page_notebook
from diffret_core.course.page.server import serve

CODE = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, {tests!r})
import diffret_core.torchvision_operators
from served_page import HOSTILE_WORDS
from tiny_demo import make_samples
from diffret_core.course.demo import RetrievalDemo

samples = make_samples(Path(tempfile.mkdtemp(dir=".")))
hostile = {{video: HOSTILE_WORDS + video for video in samples.captions}}
RetrievalDemo(samples._replace(captions=hostile), examples=[HOSTILE_WORDS]).whole
"""

if __name__ == "__main__":
    notebook = page_notebook(None)
    notebook.cells[-2].source, notebook.cells[-1].source = "import torch", CODE.format(tests=sys.path[0])
    serve(notebook, port=int(sys.argv[2]), open_browser=False)
