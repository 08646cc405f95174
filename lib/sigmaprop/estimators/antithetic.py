"""Antithetic noise, for any estimator: a draw is used as eps and as -eps."""

import jax
from jaxtyping import Array

from sigmaprop.estimators.base import AtMean, Estimator, Evaluations, Terms, scaled
from sigmaprop.gaussian import Gaussian

_MIRROR = {"value": "mirror_value", "gradient": "mirror_gradient"}


def antithetic(estimator: Estimator) -> Estimator:
    """The estimator whose terms are averages over the pairs eps, -eps.

    Odd parts of f cancel within a pair. What remains to the mean has a standard deviation of
    order scale^2, as the bias that smoothing makes has: pairs can show it at any scale, independent
    draws cannot.

    Raises:
        ValueError: the estimator has nothing to gain from pairs; both sides are named.
    """
    if estimator.name in ("antithetic_difference", "at_mean"):
        why = "it already takes both" if estimator.needs else "it draws no noise"
        raise ValueError(
            f"noise 'antithetic' has no meaning with estimator {estimator.name!r}; {why}"
        )
    return estimator._replace(
        noise="antithetic",
        needs=estimator.needs + tuple(_MIRROR[need] for need in estimator.needs),
        terms=_pair_terms(estimator),
        samples_per_draw=2,
        evaluations_per_draw=2 * estimator.evaluations_per_draw,
    )


def _pair_terms(estimator: Estimator):
    def terms(gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean) -> Terms:
        mirrored = Evaluations(evaluations.mirror_value, evaluations.mirror_gradient)
        pair = jax.tree.map(
            lambda left, right: 0.5 * (left + right),
            estimator.terms(gaussian, eps, evaluations, at_mean),
            estimator.terms(gaussian, -eps, mirrored, at_mean),
        )
        if pair.score is None:
            return pair
        return pair._replace(product=scaled(pair.value, pair.score))

    return terms
