"""The report of `sigmaprop vae`."""

from sigmaprop.reporting.vae.report import PARTS, write

__all__ = ["PARTS", "write"]
