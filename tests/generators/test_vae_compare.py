"""The comparison of arms by their held-out likelihood, on made-up numbers."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from sigmaprop.experiments.training import tables

from sigmaprop import runs
from sigmaprop.generators import results, vae_compare
from sigmaprop.reporting.vae import words

SEEDS, STEPS = 5, 100
ARMS = ("unit", "global", "optimal")
RNG = np.random.default_rng(0)
SHARED = RNG.standard_normal(SEEDS)
TEST = {
    "unit": -60 + SHARED,
    "global": 30 + SHARED + 0.5 * RNG.standard_normal(SEEDS),
    "optimal": -60 + SHARED + 0.1 * RNG.standard_normal(SEEDS),
}


def made_up(directory, diverged=()):
    """A run directory with the numbers above, and the replicas that diverged."""
    described, rows, number = [], [], 0
    for cell, arm in enumerate(ARMS):
        for seed in range(SEEDS):
            own = {"replica": number, "cell": cell, "label": arm, "arm": arm, "seed": seed}
            described.append(own | {"swept": {"arm": arm}, "learns": arm == "global"})
            value = np.full((1, 1, 1), TEST[arm][seed])
            rows += [
                tables.rows([number], [STEPS], vae_compare.BOUNDS, value, of=of, weights="last")
                for of in vae_compare.SPLITS
            ]
            rows.append(tables.rows([number], [80, 90, STEPS], ["sigma"], np.full((1, 3, 1), 0.1)))
            at = 50 if number in diverged else -1
            rows.append(tables.divergence([number], np.array([at]), STEPS))
            number += 1
    options = {"sigma_start": 0.3, "sigma_floor": 1e-3, "sigma_ceiling": 10.0}
    options |= {"steps": STEPS, "learning_rate": 1e-3}
    config = {"command": "vae", "config": options}
    runs.write_atomic(directory / "config.json", json.dumps(config))
    runs.write_atomic(directory / "replicas.json", json.dumps(described))
    runs.write_atomic(directory / "reference.json", json.dumps({"distances": {}}))
    pq.write_table(pa.concat_tables(rows), directory / "metrics.parquet")
    return vae_compare.compare(directory)


def test_differences_verdicts_and_intervals(tmp_path):
    """Against scipy's paired t test, and the level at which Holm's method decided."""
    unit, learned, best = made_up(tmp_path)
    assert (unit.against, unit.verdict) == ("", "")
    p_values = [stats.ttest_rel(TEST[arm], TEST["unit"]).pvalue for arm in ("global", "optimal")]
    assert learned.p_value == pytest.approx(2 * min(p_values))
    assert learned.verdict == "better"
    gap = TEST["global"] - TEST["unit"]
    half = stats.t.ppf(0.9875, SEEDS - 1) * gap.std(ddof=1) / np.sqrt(SEEDS)
    np.testing.assert_allclose(
        (learned.difference.value, learned.difference.low, learned.difference.high),
        (gap.mean(), gap.mean() - half, gap.mean() + half),
    )
    assert best.verdict == "equivalent"  # within a nat
    assert np.isfinite(best.missed)


def test_levels_are_means_over_seeds(tmp_path):
    _, learned, _ = made_up(tmp_path)
    level = learned.level("held_out_iwae", "test")
    assert level.value == pytest.approx(TEST["global"].mean())
    assert learned.sigma.value == pytest.approx(0.1)
    assert np.isnan(learned.level("none", "test").value)


def test_a_learned_sigma_is_said_to_have_settled_or_what_is_missing(tmp_path):
    """100 steps of 1e-3 against the way from .3 to 1e-3, ln 300 = 5.7."""
    unit, learned, best = made_up(tmp_path)
    assert (unit.settling, best.settling) == ("", "")
    assert learned.settling == (
        "cannot settle: rate x steps is 0.1, the bounds are 5.7 away, needs 17.1"
    )
    run = results.measured(tmp_path)
    told = list(words.found(run, [unit, learned, best]))
    assert any(one.endswith(f"settled: global: {learned.settling}.") for one in told)


def test_a_run_that_diverged_ranks_last(tmp_path):
    _, learned, best = made_up(tmp_path, diverged=(SEEDS, SEEDS + 1, SEEDS + 2))
    assert learned.diverged == 3
    assert learned.level("held_out_iwae", "test").value == -np.inf
    assert np.isnan(learned.difference.low)
    assert learned.verdict not in ("better", "equivalent")
    assert best.diverged == 0
