"""Test functions f, with E f(x) under a Gaussian in closed form and a standard point to stand at.

``get("quartic")`` returns an Objective; ``names()`` lists them. The constants of every function are
float64 and are cast to the dtype of x, so f computes and answers in that dtype. They come from
fixed seeds, one for each name and purpose. To add a function, write a factory and name it in the
table at the end; for a function of your own, build an Objective.

A closed form is a function of the mean [D] and the standard deviations [D]. Those of smooth
functions use the variance alone and hold at scale 0, where they are f; kinks and jumps need
scale > 0.
"""

import dataclasses
import functools
import math
import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from sigmaprop.gaussian import Diagonal, Gaussian, GaussianT, Isotropic
from sigmaprop.names import unknown

Smoothness: TypeAlias = Literal["smooth", "kink", "jump"]
Function: TypeAlias = Callable[[Array], Array]
Expectation: TypeAlias = Callable[[Array, Array], Array]

NUM_UNITS = 128
KINK_DISTANCE = 0.05
DIGIT_INDEX = 216  # of the test split: a 0, classified right with a probability of about .55


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Objective:
    """A function f of x [D], and what is known about it.

    It is static under jax.jit: an argument or a closure, compared by identity; ``get`` returns the
    same object for the same arguments. Your own:
    ``Objective(name="mine", dim=3, function=lambda x: jnp.sum(x**3), point=np.ones(3))``.

    Attributes:
        name: what to call it.
        dim: D.
        function: f itself, of one x [D], to a scalar of the dtype of x.
        point: where experiments measure, [D], stored as read-only float64.
        formula: f in one line, for people.
        smoothness: "smooth" (twice differentiable), "kink" (continuous) or "jump".
        expectation: E f of mean [D] and scale [D] (standard deviations), if it is known.
    """

    name: str
    dim: int
    function: Function = dataclasses.field(repr=False)
    point: np.ndarray = dataclasses.field(repr=False)
    formula: str = ""
    smoothness: Smoothness = "smooth"
    expectation: Expectation | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Checks the fields and freezes the point."""
        if self.smoothness not in ("smooth", "kink", "jump"):
            raise ValueError(
                f"objective {self.name!r}: smoothness is 'smooth', 'kink' or 'jump', "
                f"not {self.smoothness!r}"
            )
        point = np.array(self.point, np.float64)
        if point.shape != (self.dim,):
            raise ValueError(
                f"objective {self.name!r} has dim {self.dim}: its point needs the shape "
                f"({self.dim},), not {point.shape}"
            )
        point.flags.writeable = False
        object.__setattr__(self, "point", point)

    def __call__(self, x: Float[ArrayLike, " D"]) -> Float[Array, ""]:
        """f(x) for one ``x`` [D], in the dtype of x; for a batch use jax.vmap.

        Raises:
            ValueError: x has another shape or is not floating.
        """
        x = jnp.asarray(x)
        if x.shape != (self.dim,) or not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(
                f"objective {self.name!r} takes one floating x of shape ({self.dim},), not "
                f"{x.dtype} {x.shape}; for a batch use jax.vmap"
            )
        return self.function(x)

    @property
    def has_closed_form(self) -> bool:
        """Whether ``smoothed`` is known."""
        return self.expectation is not None

    def smoothed(self, gaussian: Gaussian) -> Float[Array, ""]:
        """``E f(x)``, x ~ gaussian, in closed form, in the dtype of the mean.

        Args:
            gaussian: Isotropic or Diagonal; scale >= 0 where f is smooth, else > 0.

        Raises:
            ValueError: no closed form is known, or the Gaussian is of another family or dimension.
        """
        if self.expectation is None:
            raise ValueError(
                f"objective {self.name!r} has no closed form of E f; "
                "use a large independent sample instead"
            )
        if not isinstance(gaussian, Isotropic | Diagonal):
            raise ValueError(
                f"smoothed takes an Isotropic or Diagonal Gaussian, not {type(gaussian).__name__}"
            )
        mean = jnp.asarray(gaussian.mean)
        scale = jnp.asarray(gaussian.scale, mean.dtype)
        if mean.shape != (self.dim,) or scale.shape not in ((), mean.shape):
            raise ValueError(
                f"objective {self.name!r} has dim {self.dim}: it takes a mean of shape "
                f"({self.dim},), not {mean.shape}, and one scale or as many, not {scale.shape}"
            )
        return self.expectation(mean, jnp.broadcast_to(scale, mean.shape))

    def smoothed_gradient(self, gaussian: GaussianT) -> GaussianT:
        """dE f/d(mean, scale), a Gaussian-shaped pytree: the derivative of ``smoothed``."""
        return jax.grad(self.smoothed)(gaussian)


def names() -> tuple[str, ...]:
    """The names that ``get`` knows."""
    return tuple(_TABLE)


def get(name: str, dim: int | None = None, **options: float) -> Objective:
    """The objective of that name.

    Args:
        name: one of ``names()``.
        dim: D; None takes the default of that objective.
        **options: ``condition`` (quadratic): the ratio of the largest to the smallest eigenvalue;
            ``units`` (ridge_network): the width of its hidden layer.

    Raises:
        ValueError: the name is unknown, or the dim or an option is not allowed.

    Example:
        >>> get("quartic", 2)(np.array([1.0, 2.0]))
        Array(17., dtype=float32)
    """
    if name not in _TABLE:
        raise unknown("objective", name, _TABLE)
    entry = _TABLE[name]
    dim = entry.default_dim if dim is None else dim
    if not isinstance(dim, int | np.integer) or not entry.smallest <= dim <= entry.largest:
        allowed = f"at least {entry.smallest}"
        if entry.smallest == entry.largest:
            allowed = f"exactly {entry.smallest}"
        raise ValueError(f"objective {name!r} does not allow dim {dim}; it needs {allowed}")
    if strange := set(options) - set(entry.options):
        allowed = ", ".join(entry.options) or "none"
        raise ValueError(
            f"objective {name!r} has no option {min(strange)!r}; its options: {allowed}"
        )
    return _build(name, int(dim), **options)


@functools.lru_cache(maxsize=64)
def _build(name: str, dim: int, **options: float) -> Objective:
    """One object for one set of arguments, so that jit recognises it."""
    return _TABLE[name].make(dim, **options)


def _generator(name: str, purpose: str) -> np.random.Generator:
    """A fixed stream: the first draws of one dimension begin those of a larger one."""
    return np.random.default_rng(zlib.crc32(f"{name}/{purpose}".encode()))


def _generic_point(name: str, dim: int, low: float = 0.3, high: float = 1.2) -> np.ndarray:
    """Coordinates of random sign and of magnitudes in [low, high], [D]."""
    magnitude = _generator(name, "magnitude").uniform(low, high, dim)
    return magnitude * _generator(name, "sign").choice([-1.0, 1.0], dim)


def _direction(name: str, dim: int) -> np.ndarray:
    """A random unit vector, [D]."""
    normal = _generator(name, "direction").standard_normal(dim)
    return normal / np.linalg.norm(normal)


def _edge_point(dim: int) -> np.ndarray:
    """Coordinates at one distance from 0, of alternating sign, [D]."""
    return KINK_DISTANCE * (-1.0) ** np.arange(dim)


def _cast(constant: ArrayLike, x: Array) -> Array:
    """A float64 constant in the dtype of x, so that nothing promotes."""
    return jnp.asarray(constant, x.dtype)


def _dot(constant: np.ndarray, x: Array) -> Array:
    """A constant times x [D], in all bits of x's dtype: accelerators use fewer by default."""
    return jnp.dot(_cast(constant, x), x, precision="highest")


def _normal_cdf(x: Array) -> Array:
    """Phi, by erf: unlike jax.scipy.special.ndtr it accepts bfloat16."""
    return 0.5 + 0.5 * jax.lax.erf(x * math.sqrt(0.5))


def _linear(dim: int) -> Objective:
    """Linear: all of its smoothing is none, E f = f(mean)."""
    b = _direction("linear", dim)

    def function(x):
        return _dot(b, x) + 2.0

    return Objective(
        name="linear",
        dim=dim,
        formula="b.x + 2, |b| = 1",
        function=function,
        expectation=lambda mean, scale: function(mean),
        point=_generic_point("linear", dim),
    )


def _quadratic(dim: int, *, condition: float = 10.0) -> Objective:
    """A full symmetric matrix of given condition: E f = f(mean) + sum A_ii s_i^2 / 2."""
    if condition < 1.0:
        raise ValueError(f"objective 'quadratic' needs condition >= 1, not {condition}")
    normal = _generator("quadratic", "matrix").standard_normal((dim, dim))
    q, _ = np.linalg.qr(normal)
    a = (q * np.geomspace(1.0, condition, dim)) @ q.T
    a = (a + a.T) / 2.0
    b = _direction("quadratic", dim)

    def function(x):
        return jnp.dot(x, 0.5 * _dot(a, x), precision="highest") + _dot(b, x) + 1.0

    def expectation(mean, scale):
        return function(mean) + 0.5 * _dot(np.diag(a), scale**2)

    return Objective(
        name="quadratic",
        dim=dim,
        formula=f"x'Ax/2 + b.x + 1, A with eigenvalues from 1 to {condition:g}, |b| = 1",
        function=function,
        expectation=expectation,
        point=_generic_point("quadratic", dim),
    )


def _cubic(dim: int) -> Objective:
    """A cubed linear form and separate cubes; at a positive point the cubes do not cancel.

    Source: Isserlis 1918, On a formula for the product-moment coefficient: E y^3 = m^3 + 3 m s^2.
    """
    a = _direction("cubic", dim)
    c = _generator("cubic", "weight").uniform(0.2, 0.6, dim)

    def function(x):
        u = _dot(a, x)
        return u * u * u + _dot(c, x * x * x) + 3.0

    def expectation(mean, scale):
        u = _dot(a, mean)
        variance = _dot(a * a, scale**2)
        cubes = mean * (mean**2 + 3.0 * scale**2)
        return u * (u**2 + 3.0 * variance) + _dot(c, cubes) + 3.0

    return Objective(
        name="cubic",
        dim=dim,
        formula="(a.x)^3 + sum_i c_i x_i^3 + 3, |a| = 1, c in [0.2, 0.6]",
        function=function,
        expectation=expectation,
        point=np.abs(_generic_point("cubic", dim)),
    )


def _quartic(dim: int) -> Objective:
    """The cheapest of all.

    Source: Isserlis 1918: E y^4 = m^4 + 6 m^2 s^2 + 3 s^4.
    """

    def function(x):
        square = x * x
        return jnp.sum(square * square)

    return Objective(
        name="quartic",
        dim=dim,
        formula="sum_i x_i^4",
        function=function,
        expectation=lambda mean, scale: jnp.sum(_fourth_moment(mean, scale**2)),
        point=_generic_point("quartic", dim),
    )


def _fourth_moment(mean: Array, variance: Array) -> Array:
    """E x^4."""
    return mean**4 + variance * (6.0 * mean**2 + 3.0 * variance)


def _sine(dim: int) -> Objective:
    """One wave that mixes all coordinates and one small wave in each.

    Source: the characteristic function of a Gaussian, E exp(i a.x) = exp(i a.m - a'Sigma a / 2).
    """
    a = _direction("sine", dim)

    def function(x):
        return jnp.sin(_dot(a, x) + 0.7) + 0.2 * jnp.sum(jnp.cos(x)) + 2.0

    def expectation(mean, scale):
        variance = scale**2
        wave = jnp.sin(_dot(a, mean) + 0.7)
        wave = wave * jnp.exp(-0.5 * _dot(a * a, variance))
        return wave + 0.2 * jnp.sum(jnp.cos(mean) * jnp.exp(-0.5 * variance)) + 2.0

    return Objective(
        name="sine",
        dim=dim,
        formula="sin(a.x + 0.7) + 0.2 sum_i cos(x_i) + 2, |a| = 1",
        function=function,
        expectation=expectation,
        point=_generic_point("sine", dim),
    )


def _cosine(dim: int) -> Objective:
    """Waves of different frequencies.

    Source: Mohamed et al. 2020, Monte Carlo gradient estimation in machine learning (JMLR 21):
        cos(k x); E cos(k x) = cos(k m) exp(-k^2 s^2 / 2).
    """
    k = _generator("cosine", "frequency").uniform(0.5, 1.5, dim)

    def function(x):
        return jnp.sum(jnp.cos(_cast(k, x) * x))

    def expectation(mean, scale):
        frequency = _cast(k, mean)
        return jnp.sum(jnp.cos(frequency * mean) * jnp.exp(-0.5 * (frequency * scale) ** 2))

    return Objective(
        name="cosine",
        dim=dim,
        formula="sum_i cos(k_i x_i), k in [0.5, 1.5]",
        function=function,
        expectation=expectation,
        point=_generic_point("cosine", dim, 0.2, 0.9),
    )


def _exponential(dim: int) -> Objective:
    """All derivatives are f times powers of a.

    Source: the moment generating function, E exp(a.x) = exp(a.m + a'Sigma a / 2).
    """
    a = _direction("exponential", dim)

    def function(x):
        return jnp.exp(_dot(a, x))

    def expectation(mean, scale):
        variance = _dot(a * a, scale**2)
        return jnp.exp(_dot(a, mean) + 0.5 * variance)

    return Objective(
        name="exponential",
        dim=dim,
        formula="exp(a.x), |a| = 1",
        function=function,
        expectation=expectation,
        point=_generic_point("exponential", dim),
    )


def _gaussian_bump(dim: int) -> Objective:
    """One hill; the point lies 0.8 from its top, in any dimension.

    Source: Mohamed et al. 2020 (JMLR 21): exp(-k x^2); the Gaussian integral gives
        E exp(-x^2 / 2) = (1 + s^2)^(-1/2) exp(-m^2 / (2 (1 + s^2))).
    """

    def expectation(mean, scale):
        variance = scale**2
        return jnp.exp(-0.5 * jnp.sum(jnp.log1p(variance) + mean**2 / (1.0 + variance)))

    return Objective(
        name="gaussian_bump",
        dim=dim,
        formula="exp(-|x|^2 / 2)",
        function=lambda x: jnp.exp(-0.5 * jnp.sum(x * x)),
        expectation=expectation,
        point=0.8 * _direction("gaussian_bump", dim),
    )


def _rosenbrock(dim: int) -> Objective:
    """A curved valley; the point lies on its wall, near the minimum at (1, ..., 1).

    With u = E[x_{i+1} - x_i^2], E (x_{i+1} - x_i^2)^2 = u^2 + s_{i+1}^2 + 4 m_i^2 s_i^2 + 2 s_i^4:
    the mean squared plus the variance, which does not cancel as s -> 0.

    Source: Rosenbrock 1960, An automatic method for finding the greatest or least value of a
        function (Computer Journal 3).
    """

    def function(x):
        low, high = x[:-1], x[1:]
        return jnp.sum(100.0 * jnp.square(high - low * low) + jnp.square(1.0 - low))

    def expectation(mean, scale):
        variance = scale**2
        low, high, low_variance = mean[:-1], mean[1:], variance[:-1]
        bend = jnp.square(high - low**2 - low_variance) + variance[1:]
        bend = bend + low_variance * (4.0 * low**2 + 2.0 * low_variance)
        return jnp.sum(100.0 * bend + jnp.square(1.0 - low) + low_variance)

    return Objective(
        name="rosenbrock",
        dim=dim,
        formula="sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2",
        function=function,
        expectation=expectation,
        point=1.0 + _generic_point("rosenbrock", dim, 0.02, 0.08),
    )


def _styblinski_tang(dim: int) -> Objective:
    """Two valleys in each coordinate.

    Source: Styblinski & Tang 1990, Experiments in nonconvex optimization (Neural Networks 3).
    """

    def function(x):
        square = x * x
        return 0.5 * jnp.sum(square * (square - 16.0) + 5.0 * x)

    def expectation(mean, scale):
        variance = scale**2
        fourth = _fourth_moment(mean, variance)
        return 0.5 * jnp.sum(fourth - 16.0 * (mean**2 + variance) + 5.0 * mean)

    return Objective(
        name="styblinski_tang",
        dim=dim,
        formula="sum_i (x_i^4 - 16 x_i^2 + 5 x_i) / 2",
        function=function,
        expectation=expectation,
        point=_generic_point("styblinski_tang", dim),
    )


def _rastrigin(dim: int) -> Objective:
    """A bowl full of waves of length one.

    Source: Rastrigin 1974, Systems of extremal control; E cos as in the cosine objective.
    """

    def function(x):
        return jnp.sum(x * x + 10.0 * (1.0 - jnp.cos(2.0 * math.pi * x)))

    def expectation(mean, scale):
        variance = scale**2
        wave = jnp.cos(2.0 * math.pi * mean) * jnp.exp(-2.0 * math.pi**2 * variance)
        return jnp.sum(mean**2 + variance + 10.0 * (1.0 - wave))

    return Objective(
        name="rastrigin",
        dim=dim,
        formula="sum_i x_i^2 + 10 - 10 cos(2 pi x_i)",
        function=function,
        expectation=expectation,
        point=_generic_point("rastrigin", dim, 0.05, 0.45),
    )


def _absolute(dim: int) -> Objective:
    """A kink in each coordinate: the mean of a folded normal distribution.

    Source: Leone, Nelson & Nottingham 1961, The folded normal distribution (Technometrics 3):
        E |x| = s sqrt(2 / pi) exp(-m^2 / 2 s^2) + m (1 - 2 Phi(-m / s)).
    """

    def expectation(mean, scale):
        z = mean / scale
        folded = mean * jax.lax.erf(z * math.sqrt(0.5))
        return jnp.sum(folded + scale * math.sqrt(2.0 / math.pi) * jnp.exp(-0.5 * z * z))

    return Objective(
        name="absolute",
        dim=dim,
        formula="sum_i |x_i|",
        smoothness="kink",
        function=lambda x: jnp.sum(jnp.abs(x)),
        expectation=expectation,
        point=_edge_point(dim),
    )


def _relu(dim: int) -> Objective:
    """A weighted kink in each coordinate: E relu(x) = m Phi(m / s) + s phi(m / s).

    Source: x = m + s eps, integrated over eps > -m / s by parts.
    """
    c = _generator("relu", "weight").uniform(0.5, 1.5, dim)

    def expectation(mean, scale):
        z = mean / scale
        density = jnp.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        return _dot(c, mean * _normal_cdf(z) + scale * density)

    return Objective(
        name="relu",
        dim=dim,
        formula="sum_i c_i max(x_i, 0), c in [0.5, 1.5]",
        smoothness="kink",
        function=lambda x: _dot(c, jax.nn.relu(x)),
        expectation=expectation,
        point=_edge_point(dim),
    )


def _step(dim: int) -> Objective:
    """A jump in each coordinate, where the gradient is 0: E 1[x > 0] = Phi(m / s)."""
    return Objective(
        name="step",
        dim=dim,
        formula="sum_i 1[x_i > 0]",
        smoothness="jump",
        function=lambda x: jnp.sum((x > 0.0).astype(x.dtype)),
        expectation=lambda mean, scale: jnp.sum(_normal_cdf(mean / scale)),
        point=_edge_point(dim),
    )


def _ridge_network(dim: int, *, units: int = NUM_UNITS) -> Objective:
    """A network of one hidden layer whose E f is known in any dimension.

    Source: Owen 1980, A table of normal integrals (10,010.8):
        E Phi(a.x + b) = Phi((a.m + b) / sqrt(1 + a'Sigma a)).
    """
    if not (isinstance(units, int) and units >= 1):
        raise ValueError(
            f"objective 'ridge_network' needs a whole number of units >= 1, not {units}"
        )
    w, b, c = _ridge_weights(dim, units)
    w_squared = w * w

    def function(x):
        return _dot(c, _normal_cdf(_dot(w, x) + _cast(b, x)))

    def expectation(mean, scale):
        variance = _dot(w_squared, scale**2)
        z = (_dot(w, mean) + _cast(b, mean)) * jax.lax.rsqrt(1.0 + variance)
        return _dot(c, _normal_cdf(z))

    return Objective(
        name="ridge_network",
        dim=dim,
        formula=f"sum_j c_j Phi(w_j.x + b_j), {units} units",
        function=function,
        expectation=expectation,
        point=_generic_point("ridge_network", dim),
    )


def _ridge_weights(dim: int, units: int = NUM_UNITS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights w [H, D] of rows of norm 1.5, b [H], c [H]: inputs and f of order 1 at any D."""
    w = _generator("ridge_network", "w").standard_normal((units, dim))
    w *= 1.5 / np.linalg.norm(w, axis=1, keepdims=True)
    b = _generator("ridge_network", "b").standard_normal(units)
    # The mean of c keeps f away from 0, which plain random signs would not.
    c = (_generator("ridge_network", "c").standard_normal(units) + 0.5) / math.sqrt(units)
    return w, b, c


def _digit_classifier(dim: int) -> Objective:
    """The loss of a trained network as a function of the pixels of one test image.

    Trains the network the first time, in about a second; see sigmaprop.classifier.
    """
    from sigmaprop import classifier
    from sigmaprop.data import digits

    params = classifier.pretrained().params
    test = digits.load().test
    label = int(test.labels[DIGIT_INDEX])

    def function(x):
        typed = {name: _cast(param, x) for name, param in params.items()}
        log_probs = jax.nn.log_softmax(classifier.apply(typed, x))
        return -log_probs[label]

    return Objective(
        name="digit_classifier",
        dim=dim,
        formula=f"-log p({label} | pixels x), tanh network 64-32-10",
        function=function,
        point=test.images[DIGIT_INDEX],
    )


class _Entry(NamedTuple):
    """A factory of the dim (and options), and the dims that it allows."""

    make: Callable[..., Objective]
    default_dim: int = 16
    smallest: int = 1
    largest: float = math.inf
    options: tuple[str, ...] = ()


_TABLE: dict[str, _Entry] = {
    "linear": _Entry(_linear),
    "quadratic": _Entry(_quadratic, options=("condition",)),
    "cubic": _Entry(_cubic),
    "quartic": _Entry(_quartic),
    "sine": _Entry(_sine),
    "cosine": _Entry(_cosine),
    "exponential": _Entry(_exponential),
    "gaussian_bump": _Entry(_gaussian_bump),
    "rosenbrock": _Entry(_rosenbrock, smallest=2),
    "styblinski_tang": _Entry(_styblinski_tang),
    "rastrigin": _Entry(_rastrigin),
    "absolute": _Entry(_absolute),
    "relu": _Entry(_relu),
    "step": _Entry(_step),
    "ridge_network": _Entry(_ridge_network, default_dim=64, options=("units",)),
    "digit_classifier": _Entry(_digit_classifier, default_dim=64, smallest=64, largest=64),
}
