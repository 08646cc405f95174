"""How long likelihoods take: products of the decoder, forth and back, in every move of a chain."""

from collections.abc import Iterable

from sigmaprop.likelihood.annealed import gradient_evaluations
from sigmaprop.likelihood.annealing import Annealing

from .config import EvaluateConfig

_FLOPS = 1e11
"""Floating-point operations a second that annealing reaches on two cores, with small decoders."""
_DIRECTIONS = {"ais": 1, "bdmc": 2}
_SIGMAS = 2
"""As trained and refitted."""


def annealing_seconds(config: EvaluateConfig, decoders: Iterable[tuple[int, int]]) -> float:
    """Seconds of two cores.

    Args:
        config: of the evaluation.
        decoders: how many there are of one size, and their parameters.
    """
    settings = Annealing(1, num_chains=config.num_chains, num_temperatures=config.num_temperatures)
    directions = sum(_DIRECTIONS.get(method, 0) for method in config.likelihood)
    moves = gradient_evaluations(settings, config.num_examples) * _SIGMAS * directions
    return moves * sum(6 * number * size for number, size in decoders) / _FLOPS
