"""The report of `sigmaprop penalties`."""

from sigmaprop.reporting.penalties.report import FIGURES, write

__all__ = ["FIGURES", "write"]
