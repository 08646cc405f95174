"""The report of `sigmaprop evaluate`."""

from sigmaprop.reporting.evaluate.report import SCORES, write

__all__ = ["SCORES", "write"]
