"""The report of `sigmaprop limit`."""

from sigmaprop.reporting.limit.figures import FIGURES, OVERVIEW
from sigmaprop.reporting.limit.report import write

__all__ = ["FIGURES", "OVERVIEW", "write"]
