"""The live demo, its parts apart: state, what is computed, what is drawn, and the widgets that listen."""

from diffret_core.course.demo.demo import RetrievalDemo
from diffret_core.course.demo.running import Run, rescore, run
from diffret_core.course.demo.state import DemoState, default_state

__all__ = ["DemoState", "RetrievalDemo", "Run", "default_state", "rescore", "run"]
