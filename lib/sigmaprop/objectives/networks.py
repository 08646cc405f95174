"""Networks: one whose E f is known in any dimension, one trained, whose E f is not."""

import math

import jax
import numpy as np

from sigmaprop.objectives.base import Parts
from sigmaprop.objectives.constants import cast, dot, generator, normal_cdf

NUM_UNITS = 128
DIGIT_INDEX = 216  # of the test split: a 0, classified right with a probability of about .55


def ridge_network(dim: int, *, units: int = NUM_UNITS) -> Parts:
    """A network of one hidden layer whose E f is known in any dimension.

    Source: Owen 1980, A table of normal integrals (10,010.8):
        E Phi(a.x + b) = Phi((a.m + b) / sqrt(1 + a'Sigma a)).
    """
    if not (isinstance(units, int) and units >= 1):
        raise ValueError(
            f"objective 'ridge_network' needs a whole number of units >= 1, not {units}"
        )
    w, b, c = ridge_weights(dim, units)

    def function(x):
        return dot(c, normal_cdf(dot(w, x) + cast(b, x)))

    def expectation(mean, covariance):
        variance = covariance.along(cast(w, mean))
        z = (dot(w, mean) + cast(b, mean)) * jax.lax.rsqrt(1.0 + variance)
        return dot(c, normal_cdf(z))

    return Parts(function, expectation, formula=f"sum_j c_j Phi(w_j.x + b_j), {units} units")


def ridge_weights(dim: int, units: int = NUM_UNITS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights w [H, D] of rows of norm 1.5, b [H], c [H]: inputs and f of order 1 at any D."""
    w = generator("ridge_network", "w").standard_normal((units, dim))
    w *= 1.5 / np.linalg.norm(w, axis=1, keepdims=True)
    b = generator("ridge_network", "b").standard_normal(units)
    # The mean of c keeps f away from 0, which plain random signs would not.
    c = (generator("ridge_network", "c").standard_normal(units) + 0.5) / math.sqrt(units)
    return w, b, c


def digit_classifier(dim: int) -> Parts:
    """The loss of a trained network as a function of the pixels of one test image.

    Trains the network the first time, in about a second; see `sigmaprop.objectives.classifier`.
    """
    from sigmaprop.data import digits
    from sigmaprop.objectives import classifier

    params = classifier.pretrained().params
    test = digits.load().test
    label = int(test.labels[DIGIT_INDEX])

    def function(x):
        typed = {name: cast(param, x) for name, param in params.items()}
        log_probs = jax.nn.log_softmax(classifier.apply(typed, x))
        return -log_probs[label]

    return Parts(
        function,
        point=test.images[DIGIT_INDEX],
        formula=f"-log p({label} | pixels x), tanh network 64-32-10",
    )
