"""Is all there that a recipe needs? Annotations counted, videos looked at, costs estimated, before hours go by."""

from diffret_core.doctor.examination import Report, SplitReport, examine, is_healthy
from diffret_core.doctor.needs import Needs, needs_of

__all__ = ["Needs", "Report", "SplitReport", "examine", "is_healthy", "needs_of"]
