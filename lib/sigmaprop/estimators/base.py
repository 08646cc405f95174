"""What an estimator is: two pure functions of a few evaluations of f.

One draw ``eps`` of standard normal noise shows ``f`` and ``grad f`` at ``x = mean + spread(eps)``
and, where it is asked for, at the mirror point ``mean - spread(eps)``. An estimator turns these
evaluations into `Terms` (its function ``terms``), terms are averaged over a batch, and ``combine``
turns the averages into a gradient. Averaging first is what makes every batch size of a sweep free:
a batch of 1024 is the average of two averages of 512. An estimator that looks at f elsewhere makes
its terms from f itself (its function ``own_terms``).

Everything is measured from the mean: ``Evaluations`` are differences to ``f(mean)`` and
``grad f(mean)``. As scale goes to 0 the differences shrink with it, so nothing cancels in sums.
The origin is a choice, and no estimator's expectation depends on it: where f or a coordinate of its
gradient is not finite at the mean, as that of a norm at 0, 0 takes its place (`finite_origin`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.gaussians import Gaussian

Function: TypeAlias = Callable[[Array], Array]


class AtMean(NamedTuple):
    """What is known once for all draws.

    Attributes:
        value: f(mean), [].
        gradient: grad f(mean), [D].
        expansion: Gaussian-shaped gradient of the second-order expansion of E f.
        baseline: what a training loop carries, [].

    What no estimator asks for is None.
    """

    value: Float[Array, ""]
    gradient: Any = None
    expansion: Any = None
    baseline: Any = None


class Evaluations(NamedTuple):
    """What one draw shows of f, as differences to its value and gradient at the mean.

    Attributes:
        value: f(x) - f(mean), [].
        gradient: grad f(x) - grad f(mean), [D].
        mirror_value: the same at the mirror point ``mean - spread(eps)``.
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
        control: Gaussian-shaped, of expectation 0; only where its coefficient is fitted, else None.
    """

    gradient: Any
    value: Any = None
    score: Any = None
    product: Any = None
    control: Any = None


def no_terms(gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean) -> Terms:
    """The terms of an estimator that makes its own from f, or that draws no noise."""
    raise TypeError("this estimator makes its terms from f itself")


def plain_average(terms: Terms, num_draws: Any) -> Gaussian:
    """The estimate of an estimator that is an average and nothing else."""
    del num_draws
    return terms.gradient


def no_origin(gaussian: Gaussian, at_mean: AtMean) -> Gaussian:
    """The origin of an estimator that is not measured from grad f(mean)."""
    del at_mean
    return jax.tree.map(lambda leaf: leaf * 0, gaussian)


class Estimator(NamedTuple):
    """An estimator of dE f/d(mean, scale, ...) for one noise scheme and control variate.

    Attributes:
        name: of the estimator, for example "pathwise".
        noise: name of the noise scheme.
        control_variate: name of the control variate, or None.
        needs: the fields of `Evaluations` that ``terms`` reads.
        terms: ``(gaussian, eps, evaluations, at_mean) -> Terms`` for one draw.
        combine: ``(average of terms, number of draws) -> Gaussian-shaped estimate``, less the
            origin. It is plain arithmetic on arrays with any leading axes, JAX's or NumPy's.
        origin: ``(gaussian, at_mean) -> Gaussian-shaped`` constant to add to every estimate.
        knows: the fields of `AtMean`, beside the value, that it reads.
        samples_per_draw: 2 if a draw is used twice, as in antithetic noise; else 1.
        evaluations_per_draw: points x at which f (or its gradient) is evaluated for each draw, for
            each coordinate of the noise if negative.
        evaluations_of: the same from the length K of eps for one point x, where it is no multiple.
        min_draws: the smallest batch that defines an estimate; of independent units of draws, where
            draws hang together.
        own_terms: ``(f, gaussian, row of noise, at_mean) -> (Terms, f(x) - f(mean))`` in place of
            ``terms``, for estimators that look at f elsewhere than at x.
        columns: length of a row of noise, from the length K of eps.
        fit: ``(moments of one half of the draws) -> coefficient of the control`` for the other.
        exact: ``(f, gaussian, num_samples) -> (E f, gradient)`` without any noise.
        tags: words that distinguish it from the plain estimator of its name, for its label.
    """

    name: str
    noise: str = "iid"
    control_variate: str | None = None
    needs: tuple[str, ...] = ()
    terms: Callable[[Any, Array, Evaluations, AtMean], Terms] = no_terms
    combine: Callable[[Terms, Any], Any] = plain_average
    origin: Callable[[Any, AtMean], Any] = no_origin
    knows: tuple[str, ...] = ()
    samples_per_draw: int = 1
    evaluations_per_draw: int = 1
    evaluations_of: Callable[[int], int] | None = None
    min_draws: int = 1
    own_terms: Callable[[Function, Any, Array, AtMean], tuple[Terms, Array]] | None = None
    columns: Callable[[int], int] = int
    fit: Callable[[Any], Any] | None = None
    exact: Callable[[Function, Any, int], tuple[Array, Any]] | None = None
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """(label, noise): what tells estimators of one sweep apart."""
        return self.label, self.noise

    @property
    def label(self) -> str:
        """Name, control variate and tags, as the command line writes them."""
        return "+".join((self.name, *filter(None, (self.control_variate,)), *self.tags))

    @property
    def sweepable(self) -> bool:
        """Whether it needs nothing but evaluations at x and at its mirror point."""
        plain = self.own_terms is None and self.fit is None
        known = set(self.knows) <= {"gradient"}
        return plain and known and (self.exact is None or self.name == "at_mean")

    def evaluations(self, noise_dim: int) -> int:
        """Points at which f, its gradient or a Hessian-vector product is evaluated for a draw."""
        if self.evaluations_of is not None:
            return self.samples_per_draw * self.evaluations_of(noise_dim)
        count = self.evaluations_per_draw
        return count if count >= 0 else -count * noise_dim


def evaluate(f: Function, gaussian: Gaussian, eps: Array, needs: tuple[str, ...]) -> Evaluations:
    """What estimators need to know of f at one draw, not yet measured from the mean."""
    parts = dict.fromkeys(Evaluations._fields)
    for prefix, sign in (("", 1), ("mirror_", -1)):
        x = gaussian.from_noise(sign * eps)
        if f"{prefix}gradient" in needs:
            parts[f"{prefix}value"], parts[f"{prefix}gradient"] = jax.value_and_grad(f)(x)
        elif f"{prefix}value" in needs:
            parts[f"{prefix}value"] = f(x)
    return Evaluations(**parts)


def finite_origin(at_mean: AtMean) -> AtMean:
    """An origin for differences, with 0 where f or a coordinate of its gradient is not finite.

    Not for what is known of f at the mean itself, as the answer of `at_mean` is.
    """

    def finite(part: Any) -> Any:
        return None if part is None else jnp.where(jnp.isfinite(part), part, 0)

    return at_mean._replace(value=finite(at_mean.value), gradient=finite(at_mean.gradient))


def from_mean(evaluations: Evaluations, at_mean: AtMean) -> Evaluations:
    """The differences of evaluations to those at the mean."""
    origin = Evaluations(at_mean.value, at_mean.gradient, at_mean.value, at_mean.gradient)
    return Evaluations(
        *(
            None if evals is None else evals - at
            for evals, at in zip(evaluations, origin, strict=True)
        )
    )


def gradient_at_mean(gaussian: Gaussian, at_mean: AtMean) -> Gaussian:
    """The origin of the estimators that differentiate f: grad f(mean), and 0 to the rest."""
    return with_mean(no_origin(gaussian, at_mean), at_mean.gradient)


def expansion_at_mean(gaussian: Gaussian, at_mean: AtMean) -> Gaussian:
    """The gradient of E h for the quadratic h that touches f at the mean."""
    del gaussian
    return with_mean(at_mean.expansion, at_mean.gradient)


def with_mean(gaussian: Gaussian, mean: Any) -> Gaussian:
    """The same with another mean; `dataclasses.replace` without its checks."""
    leaves, structure = jax.tree.flatten(gaussian)
    return jax.tree.unflatten(structure, [mean, *leaves[1:]])


def to_the_rest(gradient: Gaussian) -> Gaussian:
    """The gradient without its part to the mean."""
    return with_mean(gradient, gradient.mean * 0)


def pull_back(gaussian: Gaussian, eps: Array, cotangent: Array) -> Gaussian:
    """A gradient to x, carried to the Gaussian's parameters through ``from_noise``."""
    return jax.vjp(lambda g: g.from_noise(eps), gaussian)[1](cotangent)[0]


def hessian_times(f: Function, x: Array, direction: Array) -> Array:
    """``Hess f(x) direction``."""
    return jax.jvp(jax.grad(f), (x,), (direction,))[1]


def scaled(factor: Any, tree: Any) -> Any:
    """``factor`` times every leaf; ``factor`` has the leaves' leading axes."""
    return jax.tree.map(
        lambda leaf: factor.reshape(factor.shape + (1,) * (leaf.ndim - factor.ndim)) * leaf, tree
    )


def add(left: Any, right: Any) -> Any:
    """The sum of two trees."""
    return jax.tree.map(lambda a, b: a + b, left, right)


def subtract(left: Any, right: Any) -> Any:
    """The difference of two trees."""
    return jax.tree.map(lambda a, b: a - b, left, right)
