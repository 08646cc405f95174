"""The report of `sigmaprop estimators`."""

from sigmaprop.reporting.estimators.figures import GRID, STUDIES
from sigmaprop.reporting.estimators.report import write
from sigmaprop.reporting.estimators.scores import scores

__all__ = ["GRID", "STUDIES", "scores", "write"]
