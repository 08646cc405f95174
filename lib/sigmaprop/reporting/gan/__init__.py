"""The report of `sigmaprop gan`."""

from sigmaprop.reporting.gan.report import PARTS, write

__all__ = ["PARTS", "write"]
