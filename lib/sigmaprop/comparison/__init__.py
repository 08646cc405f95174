"""Estimators side by side: bias, variance, cost and efficiency on functions with a known truth."""

from sigmaprop.comparison.cells import Cell, Setting, measure
from sigmaprop.comparison.families import FAMILIES, make_gaussian
from sigmaprop.comparison.truths import KnownGradient, known_gradient

__all__ = [
    "FAMILIES",
    "Cell",
    "KnownGradient",
    "Setting",
    "known_gradient",
    "make_gaussian",
    "measure",
]
