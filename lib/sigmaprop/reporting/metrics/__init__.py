"""The report of `sigmaprop metrics`."""

from sigmaprop.reporting.metrics.report import FIGURES, write

__all__ = ["FIGURES", "write"]
