"""Made-up runs of `sigmaprop gan` on disk, so that every number is known."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sigmaprop.experiments.gan import tables as gan_tables

from sigmaprop import metrics
from sigmaprop.generators import compare as gan_comparison
from sigmaprop.generators import evaluation, scores
from sigmaprop.generators.gan import METRICS

ARMS = ("zero", "fixed", "global", "per_pixel")
LEARNED = ("global", "per_pixel", "heteroscedastic", "low_rank")
STEPS, EVERY = 100, 5
MOMENTS = (5, 20, 50)
EVALUATED = (10, 40, 85, 90, 95, 100)
MMD2 = {"zero": 0.04, "fixed": 0.02, "global": 0.041, "per_pixel": 0.08}
FALL = {"global": 0.005, "per_pixel": 0.0, "heteroscedastic": -0.01, "low_rank": 0.02}
"""How fast log sigma falls, a step, with the first seed; ..."""
MORE = 1e-5
"""... so much faster with each further one."""
REAL = {
    "mmd2": {"mean": 0.0, "median": -1e-4, "percentile_95": 1e-3},
    "sliced_wasserstein": {"mean": 0.1, "median": 0.1, "percentile_95": 0.12},
}


IDEAL = {
    "num_modes": 8.0, "high_quality": 0.989, "reverse_kl": 0.0, "variance_ratio": 0.949,
    "log_likelihood": -1.9,
}  # fmt: skip
"""What the truth scores."""


def sigma_of(arm, step, seed=0):
    """Of a replica of an arm."""
    if arm == "zero":
        return 0.0 * step
    return 0.1 * np.exp(-(FALL[arm] + MORE * seed if arm in FALL else 0.0) * step)


def score_of(metric, arm, of, seed, step):
    """MMD^2 varies by some percent between seeds; x is worse than the mean by a fifth."""
    wobble = 1 + 0.03 * np.sin(7.0 * seed + len(arm)) + 0.2 * np.exp(-step / 20)
    if metric == "num_modes":
        return 8.0 - (arm == "zero")
    if metric in ("high_quality", "variance_ratio"):
        return 0.9 * wobble
    if metric == "log_likelihood":
        return -2 * wobble
    size = MMD2.get(arm, 0.03) * (1.2 if of == "x" and arm != "zero" else 1.0) * wobble
    return size if metric == "mmd2" else np.sqrt(size)


def table_of(described, mixture, average=True, diverged=None, early=False):
    """The metrics of all replicas."""
    steps = np.arange(EVERY, STEPS + 1, EVERY)
    numbers = [one["replica"] for one in described]
    windows = np.zeros((len(described), len(steps), len(METRICS)))
    for one in described:
        row = windows[one["replica"]]
        row[:, METRICS.index("sigma")] = sigma_of(one["arm"], steps, one["seed"])
        row[:, METRICS.index("discriminator_loss")] = 1.3 + 0.1 * np.sin(steps + one["seed"])
        row[:, METRICS.index("generator_loss")] = 0.8 + 0.01 * one["cell"]
        row[:, METRICS.index("logit_real")] = 0.5
        row[:, METRICS.index("logit_fake")] = -0.5
        if one["arm"] == "low_rank":
            row[steps > 50, METRICS.index("at_floor")] = 1.0
    tables = [gan_tables.rows(numbers, steps, METRICS, windows)]
    names = metrics.tracked() if mixture else metrics.distances()
    for weights in evaluation.WEIGHTS if average else ("last",):
        for of in evaluation.OF:
            values = [
                [
                    [score_of(name, o["arm"], of, o["seed"], at) for name in names]
                    for at in EVALUATED
                ]
                for o in described
            ]
            made = gan_tables.rows(
                numbers, EVALUATED, names, np.array(values), of=of, weights=weights
            )
            tables.append(made)
    at = np.array([(diverged or {}).get(number, -1) for number in numbers], float)
    tables.append(gan_tables.rows(numbers, [STEPS], ("diverged_at",), at[:, None, None]))
    return pa.concat_tables(tables)


def describe(arms, seeds, swept=None):
    """The content of replicas.json: every arm with every value of another option."""
    found = []
    name, values = swept or ("", (None,))
    for cell, (arm, value) in enumerate((arm, value) for arm in arms for value in values):
        for seed in range(seeds):
            chosen = {"arm": arm} | ({} if swept is None else {name: value})
            label = arm if swept is None else f"{arm}, {name}={value}"
            found.append(
                {
                    "replica": len(found), "cell": cell, "label": label, "arm": arm, "seed": seed,
                    "swept": chosen, "learns": arm in LEARNED,
                }
            )  # fmt: skip
    return found


def examples(described, shape, num=64):
    """Means that are noise or bumps, with a noise that is larger at the end of x."""
    generator = np.random.default_rng(0)
    dim = int(np.prod(shape))
    mean = generator.uniform(0, 1, (len(described), num, dim))
    final = np.array([sigma_of(one["arm"], STEPS) for one in described])
    scale = final[:, None, None] * np.linspace(0.5, 1.5, dim) * np.ones((1, num, 1))
    x = mean + scale * generator.standard_normal(mean.shape)
    return {"mean_last": mean, "x_last": x, "scale_last": scale}


def make_run(
    directory,
    arms=ARMS,
    seeds=4,
    shape=(8, 8),
    mixture=False,
    swept=None,
    diverged=None,
    average=True,
    compare=True,
    change=lambda table: table,
    **config,
):
    """Writes a run directory as `sigmaprop gan` leaves it."""
    directory.mkdir(parents=True)
    described = describe(arms, seeds, swept)
    table = change(table_of(described, mixture, average, diverged))
    pq.write_table(table, directory / "metrics.parquet")
    config = {
        "dataset": "digits", "data": {"noise_std": None}, "arm": "global", "placement": "model",
        "sweep": {"arm": list(arms), "placement": None}, "steps": STEPS, "seeds": seeds, "seed": 0,
        "sigma": 0.1, "sigma_start": 0.1, "sigma_floor": 1e-3, "sigma_ceiling": 10.0,
        "held_out": "validation", "evaluations": 4, "eval_samples": 1000, "batch_size": 64,
        "learning_rate": 1e-3, "sigma_learning_rate": None, "ema_decay": 0.999, "r1": 0.0,
        "loss": "non_saturating", "generator": "mlp", "discriminator": "mlp", "widths": [128, 128],
        "metrics_every": EVERY, "redraw_split": False,
    } | config  # fmt: skip
    write_json(directory / "config.json", {"schema": 1, "command": "gan", "config": config})
    environment = {
        "versions": {"python": "3.11", "jax": "0.10", "sigmaprop": "0.1"},
        "device": {"backend": "cpu", "kind": "cpu", "count": 2},
        "cpu": {"model": "some", "cores": 2},
        "argv": ["sigmaprop", "gan"],
    }
    write_json(directory / "environment.json", environment)
    write_json(directory / "replicas.json", described)
    reference = {"num_samples": 1000, "num_held_out": 300, "distances": REAL}
    write_json(directory / "reference.json", reference | ({"ideal": IDEAL} if mixture else {}))
    real = np.random.default_rng(1).uniform(0, 1, (64, int(np.prod(shape))))
    np.savez(directory / "real.npz", x=real, shape=np.asarray(shape))
    half = len(described) // 2 or 1
    for index, group in enumerate((described[:half], described[half:])):
        if group:
            numbers = np.array([one["replica"] for one in group])
            arrays = {"replica": numbers} | examples(group, shape)
            np.savez(directory / f"samples-{index}.npz", **arrays)
            early = {"replica": numbers} | {n: 0.5 * arrays[n] for n in ("mean_last", "x_last")}
            for step in MOMENTS:
                np.savez(directory / f"moments-{index}-{step}.npz", **early)
    if compare:
        found = scores.as_json(gan_comparison.compare(directory))
        write_json(directory / "comparison.json", found)
    return directory


def write_json(path, content):
    path.write_text(json.dumps(content, allow_nan=False))
