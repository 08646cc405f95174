r"""Bayesian logistic regression, trained with any of the gradient estimators.

The posterior of the weights is a diagonal Gaussian, its prior N(0, I). Stochastic gradient ascent
on the evidence lower bound

.. math:: ELBO = E_{w \sim q} \sum_n \log \operatorname{sigmoid}((2 y_n - 1) w \cdot x_n)
          - KL(q \| N(0, I))

takes the KL in closed form, and the rest from minibatches and an estimator. How good a posterior
is, is known without sampling: w . x_n is Gaussian, so every datum has an integral in one dimension.

Source: Mohamed, Rosca, Figurnov, Mnih 2020, "Monte Carlo gradient estimation in machine learning",
section 9.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from sigmaprop import estimators
from sigmaprop.data import breast_cancer
from sigmaprop.data.breast_cancer import BreastCancer
from sigmaprop.estimators.control_variates import MovingAverage
from sigmaprop.estimators.estimation import estimate
from sigmaprop.gaussians import Diagonal, kl_divergence
from sigmaprop.names import unknown

Budget = Literal["samples", "evaluations"]

_HALF_WIDTH = 8.0
"""Standard deviations; 1e-15 of a Gaussian lies beyond."""
_NUM_NODES = 193
"""The rule's error falls as exp(-2 pi^2 / (spacing x std of w . x)): for the 569 data together it
is 2e-6 nats at scale 1, where that std reaches 21, and below 1e-11 for a trained posterior. As many
Gauss-Hermite nodes, which lie farther apart, leave 1e-2 at scale 1."""


class Settings(NamedTuple):
    """How to train; the defaults are those of the source.

    Attributes:
        noise: the noise scheme of `sigmaprop.estimate`.
        num_samples: what one step may spend, > 0; `samples_drawn` makes whole draws of it.
        budget: what is counted: "samples" of the weights, or "evaluations" of the log-likelihood,
            its gradient or a product with its Hessian.
        steps: of gradient ascent, T.
        batch: data in a minibatch, drawn independently, with replacement.
        eval_every: steps between two evaluations; divides ``steps``.
        learning_rate: at the first step.
    """

    noise: str = "iid"
    num_samples: int = 50
    budget: Budget = "samples"
    steps: int = 5000
    batch: int = 32
    eval_every: int = 100
    learning_rate: float = 1e-3


DEFAULT = Settings()


class Trace(NamedTuple):
    """What training shows, for R replicas at E steps.

    A replica that diverges is not finite from there on, and soon NaN; the others do not notice.

    Attributes:
        steps: gradient steps taken, [E].
        elbo: of the whole data set, by quadrature, in nats, [R, E].
        mean_variance: trace of the variance of the gradient estimate to the mean, given its
            minibatch, averaged over the steps since the last evaluation, [R, E]. NaN where one
            draw (block, net) cannot tell, 0 without noise.
        log_scale_variance: likewise to the logarithm of the scale.
        posterior: the last one, leaves [R, D].
        average: the last state of "moving_average", leaves [R]; else None.
    """

    steps: Int[Array, " E"]
    elbo: Float[Array, "R E"]
    mean_variance: Float[Array, "R E"]
    log_scale_variance: Float[Array, "R E"]
    posterior: Diagonal
    average: MovingAverage | None


class Params(NamedTuple):
    """What is learned: mean and log scale of the weights, [D] each."""

    mean: Float[Array, " D"]
    log_scale: Float[Array, " D"]

    @property
    def posterior(self) -> Diagonal:
        """The Gaussian that they stand for."""
        return Diagonal(self.mean, jnp.exp(self.log_scale))


class Ascent(NamedTuple):
    """What one step sees.

    Attributes:
        gradient: of the evidence lower bound, estimated.
        variance: of each of its coordinates, given the minibatch.
        average: the state of "moving_average" after it; else None.
    """

    gradient: Params
    variance: Params
    average: MovingAverage | None


class _State(NamedTuple):
    """What a step hands to the next."""

    params: Params
    opt_state: Any
    average: MovingAverage | None


class _Plan(NamedTuple):
    """What is fixed before training."""

    label: str
    settings: Settings
    optimizer: optax.GradientTransformation


def signed_features(data: BreastCancer, dtype: Any = jnp.float32) -> Float[Array, "N D"]:
    """``(2 label - 1) x`` of every datum: all that the likelihood reads."""
    signs = jnp.asarray(2 * data.labels - 1, dtype)
    return signs[:, None] * jnp.asarray(data.features, dtype)


def log_likelihood(weights: Float[Array, " D"], signed: Float[Array, "N D"]) -> Float[Array, ""]:
    """``sum_n log p(label_n | weights)``, in nats."""
    # An accelerator would otherwise round the factors to fewer bits than their dtype has.
    return jnp.sum(jax.nn.log_sigmoid(jnp.dot(signed, weights, precision="highest")))


def expected_log_likelihood(posterior: Diagonal, signed: Float[Array, "N D"]) -> Float[Array, ""]:
    """``E log_likelihood``, by the trapezoidal rule for each datum, in nats.

    Source: Trefethen, Weideman 2014, "The exponentially convergent trapezoidal rule", section 5.
    """
    nodes = np.linspace(-_HALF_WIDTH, _HALF_WIDTH, _NUM_NODES)
    shares = np.exp(-0.5 * nodes**2)
    shares /= shares.sum()
    mean = jnp.dot(signed, posterior.mean, precision="highest")
    std = jnp.sqrt(jnp.dot(signed**2, posterior.scale**2, precision="highest"))
    logits = mean + jnp.asarray(nodes, mean.dtype)[:, None] * std
    averages = jnp.sum(jax.nn.log_sigmoid(logits), axis=1)
    return jnp.sum(jnp.asarray(shares, mean.dtype) * averages)


def elbo(posterior: Diagonal, signed: Float[Array, "N D"]) -> Float[Array, ""]:
    """The evidence lower bound of the whole data set, in nats."""
    return expected_log_likelihood(posterior, signed) - _kl_to_prior(posterior)


def exact_elbo(posterior: Diagonal, data: BreastCancer) -> float:
    """`elbo` of one posterior in float64."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), posterior)
        return float(jax.jit(elbo)(wide, signed_features(data, jnp.float64)))


def schedule(learning_rate: float, steps: int) -> optax.Schedule:
    """The quarter of a cosine, ``learning_rate cos(pi t / 2T)``: learning_rate at 0, 0 at T."""
    return lambda step: learning_rate * jnp.cos(0.5 * math.pi * step / steps)


def samples_drawn(label: str, settings: Settings, dim: int) -> int:
    """The weights that one step samples: the most whole draws that the budget pays for.

    An estimator that needs more than the budget gets the fewest draws it can do with.

    Args:
        label: of the estimator, as in ``sigmaprop.estimators.labels()``.
        settings: for noise, num_samples and budget.
        dim: number of weights.

    Returns:
        num_samples for `sigmaprop.estimate`.

    Raises:
        ValueError: an unknown name, or a combination that has no meaning.
    """
    if settings.budget not in get_args(Budget):
        raise unknown("budget", settings.budget, get_args(Budget))
    name, variate, options = estimators.parse(label)
    chosen = estimators.get(name, settings.noise, variate, options)
    by_evaluations = settings.budget == "evaluations"
    price = chosen.evaluations(dim) if by_evaluations else chosen.samples_per_draw
    draws = settings.num_samples // max(price, 1)
    if settings.noise == "sobol":
        nets = options.randomizations
        return nets << max(0, (draws // nets).bit_length() - 1)
    unit = dim if settings.noise == "orthogonal" else 1
    return max(draws // unit, chosen.min_draws) * unit * chosen.samples_per_draw


def ascent(
    params: Params,
    signed: Float[Array, "N D"],
    key: Key[Array, ""],
    label: str,
    settings: Settings = DEFAULT,
    average: MovingAverage | None = None,
) -> Ascent:
    """The gradient of the evidence lower bound from one minibatch and a few samples.

    Args:
        params: of the posterior.
        signed: `signed_features` of the whole data set.
        key: for the minibatch and the samples.
        label: of the estimator.
        settings: for batch, noise, num_samples and budget.
        average: what "moving_average" carries; None to begin.

    Returns:
        `Ascent`. The gradient is unbiased where the estimator is.
    """
    name, variate, options = estimators.parse(label)
    key_batch, key_noise = jax.random.split(key)
    batch = signed[jax.random.randint(key_batch, (settings.batch,), 0, len(signed))]
    scale = params.posterior.scale
    num_samples = samples_drawn(label, settings, len(scale))
    found = estimate(
        lambda weights: len(signed) / settings.batch * log_likelihood(weights, batch),
        params.posterior,
        key_noise,
        num_samples,
        estimator=name,
        noise=settings.noise,
        control_variate=variate,
        options=options,
        state=average,
    )
    kl = jax.grad(lambda p: _kl_to_prior(p.posterior))(params)
    fit = Params(found.gradient.mean, found.gradient.scale * scale)
    variance = Params(found.variance.mean, found.variance.scale * scale**2)
    return Ascent(
        jax.tree.map(jnp.subtract, fit, kl),
        jax.tree.map(lambda leaf: leaf / num_samples, variance),
        found.state,
    )


@functools.cache
def program(
    label: str, settings: Settings = DEFAULT
) -> Callable[[Key[Array, " R"], BreastCancer], Trace]:
    """The compiled training run, a function of the replicas' keys and the data.

    Args:
        label: an estimator's, as in ``sigmaprop.estimators.labels()``. "antithetic_difference" has
            no gradient to the scale and gives NaN; "quadrature" refuses so many weights.
        settings: how to train.

    Returns:
        ``(keys [R], data) -> Trace``. A replica's minibatches depend on its key alone, and so does
        its noise: estimators of one shape of noise are compared on common random numbers.

    Raises:
        ValueError: an unknown name, a combination that has no meaning, or a count out of range.

    Example:
        >>> import jax
        >>> from sigmaprop import logistic
        >>> from sigmaprop.data import breast_cancer
        >>> run = logistic.program("pathwise", logistic.Settings(steps=200))
        >>> trace = run(jax.random.split(jax.random.key(0), 3), breast_cancer.load())
        >>> trace.elbo.shape
        (3, 2)
    """
    _check(settings)
    samples_drawn(label, settings, 1)
    optimizer = optax.sgd(schedule(settings.learning_rate, settings.steps))

    def run(keys: Key[Array, " R"], data: BreastCancer) -> Trace:
        signed = signed_features(data)
        plan = _Plan(label, settings, optimizer)
        traces = jax.vmap(functools.partial(_run, plan, signed))(keys)
        return traces._replace(steps=traces.steps[0])

    return jax.jit(run)


def train(
    label: str,
    key: Key[Array, ""],
    *,
    num_replicas: int = 1,
    noise: str = "iid",
    num_samples: int = 50,
    budget: Budget = "samples",
    steps: int = 5000,
    batch: int = 32,
    eval_every: int = 100,
    learning_rate: float = 1e-3,
) -> Trace:
    """Trains on the breast cancer data; see `program` and `Settings`.

    Replica r has the key ``fold_in(key, r)``, however many there are.
    """
    settings = Settings(noise, num_samples, budget, steps, batch, eval_every, learning_rate)
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(num_replicas))
    return program(label, settings)(keys, breast_cancer.load())


def _check(settings: Settings) -> None:
    for name in ("num_samples", "steps", "batch", "eval_every"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} is {getattr(settings, name)}; it must be at least 1")
    if settings.steps % settings.eval_every:
        raise ValueError(
            f"eval_every is {settings.eval_every}; it must divide steps, which is {settings.steps}"
        )


def _kl_to_prior(posterior: Diagonal) -> Array:
    prior = Diagonal(jnp.zeros_like(posterior.mean), jnp.ones_like(posterior.scale))
    return kl_divergence(posterior, prior)


def _run(plan: _Plan, signed: Array, key: Array) -> Trace:
    """One replica."""
    settings = plan.settings
    zeros = jnp.zeros(signed.shape[1], signed.dtype)
    params = Params(zeros, zeros)
    carries = "moving_average" in plan.label
    average = MovingAverage.empty() if carries else None
    state = _State(params, plan.optimizer.init(params), average)
    steps = jnp.arange(settings.steps).reshape(-1, settings.eval_every)
    chunk = functools.partial(_chunk, plan, signed, key)
    state, (elbos, variances) = jax.lax.scan(chunk, state, steps)
    posterior = state.params.posterior
    return Trace(
        steps[:, -1] + 1, elbos, variances.mean, variances.log_scale, posterior, state.average
    )


def _chunk(
    plan: _Plan, signed: Array, key: Array, state: _State, steps: Array
) -> tuple[_State, tuple[Array, Params]]:
    """The steps up to an evaluation, and what is seen there."""
    state, variances = jax.lax.scan(functools.partial(_step, plan, signed, key), state, steps)
    average = jax.tree.map(jnp.mean, variances)
    return state, (elbo(state.params.posterior, signed), average)


def _step(
    plan: _Plan, signed: Array, key: Array, state: _State, step: Array
) -> tuple[_State, Params]:
    """One step, and the traces of the variance of its gradient."""
    key = jax.random.fold_in(key, step)
    result = ascent(state.params, signed, key, plan.label, plan.settings, state.average)
    descent = jax.tree.map(jnp.negative, result.gradient)
    updates, opt_state = plan.optimizer.update(descent, state.opt_state)
    params = jax.tree.map(jnp.add, state.params, updates)
    return _State(params, opt_state, result.average), jax.tree.map(jnp.sum, result.variance)
