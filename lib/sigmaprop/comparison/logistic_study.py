"""A Bayesian logistic regression trained with each estimator: ELBO against steps and time."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop.comparison import logistic
from sigmaprop.comparison.cells import Setting
from sigmaprop.comparison.logistic import Settings, Trace
from sigmaprop.comparison.rows import Place, Row
from sigmaprop.comparison.studies import Found, Tools, stream
from sigmaprop.data import breast_cancer
from sigmaprop.statistics import UNKNOWN, Claim, claim, interval

_EVALUATIONS = 25
_REFERENCE = "pathwise"
_NUM_DATA = 569
"""Rows of the data: ELBOs are compared per datum."""


def train_with_each(tools: Tools, labels: Sequence[str], *, steps: int, seeds: int) -> Found:
    """Trains with each estimator at 50 posterior samples, the same minibatches for all."""
    every = next(n for n in range(max(1, steps // _EVALUATIONS), steps + 1) if steps % n == 0)
    settings = Settings(steps=steps, eval_every=every)
    data = breast_cancer.load()
    keys = jax.vmap(lambda r: jax.random.fold_in(stream(tools.key, "train"), r))(jnp.arange(seeds))
    rows, traces = [], {}
    for label in labels:
        tools.progress(f"logistic regression: {label}")
        program = logistic.program(label, settings)
        jax.block_until_ready(program(keys, data))
        start = tools.clock()
        trace = jax.device_get(jax.block_until_ready(program(keys, data)))
        seconds = (tools.clock() - start) / (steps * seeds)
        traces[label] = trace
        rows += _rows(label, settings, trace, seconds, data.features.shape[1])
    return Found(rows, _claims(traces))


def _rows(label: str, settings: Settings, trace: Trace, seconds: float, dim: int) -> list[Row]:
    """ELBO and gradient variance against steps; a diverged seed counts as no number."""
    count = logistic.samples_drawn(label, settings, dim)
    setting = Setting(label, settings.noise, count, len(trace.elbo))
    place = Place("logistic", "logistic_regression", "diagonal", dim, setting)
    rows = [place.row("all", "seconds", np.nan, seconds)]
    for wrt, metric, values in (
        ("all", "elbo", trace.elbo),
        ("mean", "variance_of_step", trace.mean_variance),
        ("scale", "variance_of_step", trace.log_scale_variance),
    ):
        for step, column in zip(trace.steps, np.asarray(values, np.float64).T, strict=True):
            error = column.std(ddof=1) / np.sqrt(len(column))
            at = place._replace(x=float(step))
            rows.append(at.row(wrt, metric, np.nan, column.mean(), error))
    return rows


def _claims(traces: dict[str, Trace]) -> list[Claim]:
    """That the others keep up with pathwise, in nats a datum at the end."""
    if _REFERENCE not in traces:
        return []
    claims = []
    best = np.asarray(traces[_REFERENCE].elbo[:, -1], np.float64)
    for label, trace in traces.items():
        if label in (_REFERENCE, "score_function"):
            continue
        own = np.asarray(trace.elbo[:, -1], np.float64)
        text = f"final ELBO of pathwise less that of {label}, in nats a datum"
        about = {"study": "logistic", "quantity": "elbo_gap", "estimator": label}
        lost = int((~np.isfinite(own)).sum())
        if lost or not np.isfinite(best).all():
            text += f" ({lost} of {len(own)} runs diverged)"
            one = claim("logistic regression", text, 0.0, 0.02, UNKNOWN, **about)
            claims.append(one._replace(verdict="fails") if lost else one)
            continue
        gap = (best - own) / _NUM_DATA
        measured = interval(gap.mean(), gap.std(ddof=1) / np.sqrt(len(gap)), len(gap))
        claims.append(claim("logistic regression", text, 0.0, 0.02, measured, **about))
    return claims
