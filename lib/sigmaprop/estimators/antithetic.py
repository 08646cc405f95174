"""Antithetic noise, for any estimator: a draw is used as eps and as -eps."""

import jax
from jaxtyping import Array

from sigmaprop.estimators.base import AtMean, Estimator, Evaluations, Function, Terms, scaled
from sigmaprop.gaussians import Gaussian

_MIRROR = {"value": "mirror_value", "gradient": "mirror_gradient"}


def antithetic(estimator: Estimator) -> Estimator:
    """The estimator whose terms are averages over the pairs eps, -eps.

    Odd parts of f cancel within a pair. What remains to the mean has a standard deviation of
    order scale^2, as the bias that smoothing makes has: pairs can show it at any scale, independent
    draws cannot.

    Raises:
        ValueError: the estimator has nothing to gain from pairs; both sides are named.
    """
    if estimator.name == "antithetic_difference":
        raise ValueError(
            "noise 'antithetic' has no meaning with estimator 'antithetic_difference'; it already "
            "takes both"
        )
    return estimator._replace(
        noise="antithetic",
        needs=estimator.needs + tuple(_MIRROR[need] for need in estimator.needs),
        terms=_pair_terms(estimator),
        own_terms=None if estimator.own_terms is None else _own_pair_terms(estimator),
        samples_per_draw=2,
        evaluations_per_draw=2 * estimator.evaluations_per_draw,
    )


def as_unit(terms: Terms) -> Terms:
    """The averaged terms of draws that depend on each other, as the terms of one.

    A baseline must leave out whatever depends on a draw, so a unit enters it as a whole.
    """
    if terms.score is None:
        return terms
    return terms._replace(product=scaled(terms.value, terms.score))


def _pair_terms(estimator: Estimator):
    def terms(gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean) -> Terms:
        mirrored = Evaluations(evaluations.mirror_value, evaluations.mirror_gradient)
        return _pair(
            estimator.terms(gaussian, eps, evaluations, at_mean),
            estimator.terms(gaussian, -eps, mirrored, at_mean),
        )

    return terms


def _own_pair_terms(estimator: Estimator):
    own_terms = estimator.own_terms
    assert own_terms is not None

    def both(f: Function, gaussian: Gaussian, row: Array, at_mean: AtMean) -> tuple[Terms, Array]:
        terms, value = own_terms(f, gaussian, row, at_mean)
        mirror_terms, mirror_value = own_terms(f, gaussian, -row, at_mean)
        return _pair(terms, mirror_terms), 0.5 * (value + mirror_value)

    return both


def _pair(terms: Terms, mirror: Terms) -> Terms:
    return as_unit(jax.tree.map(lambda left, right: 0.5 * (left + right), terms, mirror))
