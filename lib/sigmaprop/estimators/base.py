"""What an estimator is: two pure functions of a few evaluations of f.

One draw ``eps`` of standard normal noise shows ``f`` and ``grad f`` at ``x = mean + scale * eps``
and, where it is asked for, at the mirror point ``mean - scale * eps``. An estimator turns these
evaluations into `Terms` (its function ``terms``), terms are averaged over a batch, and ``combine``
turns the averages into a gradient. Averaging first is what makes every batch size of a sweep free:
a batch of 1024 is the average of two averages of 512.

Everything is measured from the mean: ``Evaluations`` are differences to ``f(mean)`` and
``grad f(mean)``. As scale goes to 0 the differences shrink with it, so nothing cancels in sums.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from sigmaprop.gaussian import Gaussian


class AtMean(NamedTuple):
    """f at the mean, known once for all draws.

    Attributes:
        value: f(mean), [].
        gradient: grad f(mean), [D].
    """

    value: Float[Array, ""]
    gradient: Float[Array, " D"]


class Evaluations(NamedTuple):
    """What one draw shows of f, as differences to its value and gradient at the mean.

    Attributes:
        value: f(x) - f(mean), [].
        gradient: grad f(x) - grad f(mean), [D].
        mirror_value: the same at the mirror point ``mean - scale * eps``.
        mirror_gradient: likewise.

    What an estimator does not need is None.
    """

    value: Any = None
    gradient: Any = None
    mirror_value: Any = None
    mirror_gradient: Any = None


class Terms(NamedTuple):
    """What one draw adds to the averages that an estimator is made of.

    Attributes:
        gradient: Gaussian-shaped; its average is the estimate, less the estimator's origin.
        value: [], score: Gaussian-shaped, product: Gaussian-shaped ``value * score``; only where a
            baseline is estimated from the batch itself, else None.
    """

    gradient: Any
    value: Any = None
    score: Any = None
    product: Any = None


class Estimator(NamedTuple):
    """An estimator of dE f/dmean and dE f/dscale for one noise scheme and control variate.

    Attributes:
        name: of the estimator, for example "pathwise".
        noise: name of the noise scheme.
        control_variate: name of the control variate, or None.
        needs: the fields of `Evaluations` that ``terms`` reads.
        terms: ``(gaussian, eps, evaluations, at_mean) -> Terms`` for one draw.
        combine: ``(average of terms, number of draws) -> Gaussian-shaped estimate``, less the
            origin. It is plain arithmetic on arrays with any leading axes, JAX's or NumPy's.
        origin: ``(gaussian, at_mean) -> Gaussian-shaped`` constant to add to every estimate.
        samples_per_draw: 2 if a draw is used twice, as in antithetic noise; else 1.
        evaluations_per_draw: points x at which f (or its gradient) is evaluated for each draw.
        min_draws: the smallest batch that defines an estimate.
    """

    name: str
    noise: str
    control_variate: str | None
    needs: tuple[str, ...]
    terms: Callable[[Any, Array, Evaluations, AtMean], Terms]
    combine: Callable[[Terms, Any], Any]
    origin: Callable[[Any, AtMean], Any]
    samples_per_draw: int = 1
    evaluations_per_draw: int = 1
    min_draws: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """(label, noise): what tells estimators of one sweep apart."""
        return self.label, self.noise

    @property
    def label(self) -> str:
        """Name and control variate, as the command line writes them."""
        return self.name if self.control_variate is None else f"{self.name}+{self.control_variate}"


def plain_average(terms: Terms, num_draws: Any) -> Gaussian:
    """The estimate of an estimator that is an average and nothing else."""
    del num_draws
    return terms.gradient


def no_origin(gaussian: Gaussian, at_mean: AtMean) -> Gaussian:
    """The origin of an estimator that is not measured from grad f(mean)."""
    del at_mean
    return jax.tree.map(lambda leaf: leaf * 0, gaussian)


def gradient_at_mean(gaussian: Gaussian, at_mean: AtMean) -> Gaussian:
    """The origin of the estimators that differentiate f: grad f(mean), and 0 to the scale."""
    return type(gaussian)(at_mean.gradient, gaussian.scale * 0)


def pull_back(gaussian: Gaussian, eps: Array, cotangent: Array) -> Gaussian:
    """A gradient to x, carried to the Gaussian's mean and scale through ``from_noise``."""
    return jax.vjp(lambda g: g.from_noise(eps), gaussian)[1](cotangent)[0]


def scaled(factor: Any, tree: Any) -> Any:
    """``factor`` times every leaf; ``factor`` has the leaves' leading axes."""
    return jax.tree.map(
        lambda leaf: factor.reshape(factor.shape + (1,) * (leaf.ndim - factor.ndim)) * leaf, tree
    )
