"""The limit sigma -> 0: one stream of noise, every sigma, every batch size, every estimator."""

from sigmaprop.limit.plan import Plan, make_plan
from sigmaprop.limit.program import ERRORS
from sigmaprop.limit.sweep import reference, sweep
from sigmaprop.limit.totals import GroupGradients, Sweep

__all__ = ["ERRORS", "GroupGradients", "Plan", "Sweep", "make_plan", "reference", "sweep"]
