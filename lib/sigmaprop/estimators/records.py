"""The estimators, one record each; nothing here imports JAX, so help and listings can read it.

A label is what the command line writes: the name, then what follows by plus signs, as in
``score_function+leave_one_out`` or ``pathwise+delta+fitted``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from sigmaprop.names import Registry


class Record(NamedTuple):
    """What there is to know of an estimator without building it.

    Attributes:
        make: the function that builds it, or its ``module:function``.
        text: what it is, in one line.
        family: those of one family have one colour in figures.
        cost: what one draw evaluates; K is the number of coordinates of its noise.
        derivatives: how often f is differentiated at the draws. From 1 on it misses what jumps add,
            with 2 what kinks add.
        expands: whether it takes products with a Hessian.
        to: the parts of the Gaussian to which it gives a gradient: "all" or "mean".
        sweeps: whether `limit` can sweep it: it reads f and grad f at the draws, and no more.
        single: whether one draw is enough, so that it can carry a generator's gradient to sigma.
        fits: whether ``make(fitted=True)`` fits the coefficient of its control variate.
        option: the field of `Options` that ``make`` takes, "" for none.
        pilot: the noise schemes under which `advise` tries it.
    """

    make: str | Callable[..., Any]
    text: str
    family: str
    cost: str = "1 f"
    derivatives: int = 0
    expands: bool = False
    to: str = "all"
    sweeps: bool = False
    single: bool = False
    fits: bool = False
    option: str = ""
    pilot: tuple[str, ...] = ()


CONTROL_VARIATES = ("mean", "leave_one_out", "at_mean", "delta", "moving_average")
"""Control variates; which estimator carries which, `labels` says."""
FITTED = "its coefficient fitted on the other half of the draws"
"""What ``+fitted`` behind a label means."""

_GRAD = {"cost": "1 grad f", "derivatives": 1}
_SCORE = {"family": "score_function", "sweeps": True}
ESTIMATORS = Registry(
    "estimator",
    {
        "pathwise": Record(
            ".pathwise:pathwise",
            "The reparameterised gradient, for continuous f",
            "pathwise",
            **_GRAD,
            sweeps=True,
            single=True,
            pilot=("iid", "antithetic", "orthogonal", "sobol"),
        ),
        "pathwise+at_mean": Record(
            ".pathwise:pathwise_at_mean",
            "Pathwise less grad f(m) eps', whose expectation is 0: no noise is left as s goes to 0",
            "pathwise",
            **_GRAD,
            sweeps=True,
            single=True,
            fits=True,
            pilot=("iid",),
        ),
        "pathwise+delta": Record(
            ".pathwise:pathwise_delta",
            "Pathwise less the gradient of the quadratic that touches f at the mean",
            "pathwise",
            "1 grad f, Hess f(m) y",
            derivatives=1,
            expands=True,
            single=True,
            fits=True,
            pilot=("iid",),
        ),
        "score_function": Record(
            ".score_function:score_function",
            "f times the score, for any f, jumps included",
            **_SCORE,
            single=True,
        ),
        "score_function+mean": Record(
            ".score_function:mean_baseline",
            "The score function with the batch's average as its baseline, times N/(N-1)",
            **_SCORE,
            fits=True,
        ),
        "score_function+leave_one_out": Record(
            ".score_function:leave_one_out",
            "The score function with the average of the batch's other values as its baseline",
            **_SCORE,
            fits=True,
            pilot=("iid", "antithetic"),
        ),
        "score_function+at_mean": Record(
            ".score_function:score_at_mean",
            "The score function with the baseline f(m): draw by draw the forward difference",
            **_SCORE,
            single=True,
            fits=True,
        ),
        "score_function+delta": Record(
            ".score_function:score_delta",
            "The score function of what f has beyond the quadratic h that touches it at the mean",
            "score_function",
            "1 f, Hess f(m) y",
            expands=True,
            single=True,
            fits=True,
            pilot=("iid",),
        ),
        "score_function+moving_average": Record(
            ".score_function:moving_average",
            "The score function with a baseline that a training loop carries from step to step",
            "score_function",
        ),
        "measure_valued": Record(
            ".measure_valued:measure_valued",
            "Weak derivatives of the normal density, coordinate by coordinate, for any f",
            "measure_valued",
            "4 K f",
            option="coupled",
            pilot=("iid",),
        ),
        "measure_valued+uncoupled": Record(
            ".measure_valued:measure_valued",
            "independent draws on the two sides",
            "measure_valued",
            "3 K f",
            option="coupled",
        ),
        "bonnet_price": Record(
            ".bonnet_price:bonnet_price",
            "Expected gradients and Hessians, for twice differentiable f",
            "curvature",
            "K grad f, Hess f v",
            derivatives=2,
            expands=True,
            option="probes",
            single=True,
            pilot=("iid",),
        ),
        "forward_difference": Record(
            ".evolution:forward_difference",
            "The difference to f(m), along the score",
            "difference",
            sweeps=True,
            pilot=("orthogonal",),
        ),
        "antithetic_difference": Record(
            ".evolution:antithetic_difference",
            "The central difference to the mean; it does not define a gradient to the scale (NaN)",
            "difference",
            "2 f",
            to="mean",
            sweeps=True,
        ),
        "mixed": Record(
            ".mixed:mixed",
            "The weight of inverse variance, cut where it would bring more bias than gamma",
            "mixture",
            **_GRAD,
            option="gamma",
            pilot=("iid",),
        ),
        "inverse_variance": Record(
            ".mixed:inverse_variance",
            "Pathwise and score function (less f(m)), weighted by the inverse of their variances",
            "mixture",
            **_GRAD,
        ),
        "at_mean": Record(
            ".pathwise:at_mean",
            "The gradient of f at the mean, in place of the gradient of the expectation",
            "deterministic",
            "1 grad f in all",
            derivatives=1,
            to="mean",
            sweeps=True,
        ),
        "second_order": Record(
            ".expansion:second_order",
            "The gradient at the mean, and the next term of its expansion; no noise at all",
            "deterministic",
            "K third-order",
            derivatives=1,
            expands=True,
        ),
        "quadrature": Record(
            ".quadrature:quadrature",
            "The integral of (f(x) - f(m)) times the score over a grid; up to 4 dimensions",
            "deterministic",
            "1 f a node",
        ),
    },
)
"""Every estimator with each control variate that it can carry."""


def names() -> tuple[str, ...]:
    """The estimators' names, without control variates."""
    return tuple(dict.fromkeys(label.partition("+")[0] for label in ESTIMATORS))


def labels() -> tuple[str, ...]:
    """Every estimator with each control variate it can carry, fitted or not, and its variants."""
    every = []
    for label, record in ESTIMATORS.items():
        every += [label, f"{label}+fitted"] if record.fits else [label]
    return tuple(every)


def sweepable_labels() -> tuple[str, ...]:
    """Those that `sigmaprop.limit.sweep` can measure: functions of f and grad f at the draws."""
    return tuple(label for label, record in ESTIMATORS.items() if record.sweeps)


def record_of(label: str) -> Record:
    """The record of a label, fitted or not.

    Raises:
        ValueError: no estimator has this label; the nearest is named.
    """
    return ESTIMATORS[label.removesuffix("+fitted")]
