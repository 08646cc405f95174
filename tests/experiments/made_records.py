"""Made-up records of a benchmark, for tests of what is said of them."""

import numpy as np
from sigmaprop.experiments.bench import ratios
from sigmaprop.experiments.bench.ratios import Found
from sigmaprop.experiments.results import record

REPEATS = 5
ENVIRONMENT = {
    "versions": {"python": "3.11.7", "jax": "0.10.2", "numpy": "2.4.6", "sigmaprop": "0.1.0"},
    "platform": "Linux-6.1-x86_64",
    "device": {"backend": "cpu", "kind": "cpu", "count": 2},
    "cpu": {"model": "Some CPU", "cores": 2},
    "flags": {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_dump_to=/data/ada",
        "JAX_COORDINATOR_ADDRESS": "node17.example.org:1234",
        "JAX_COMPILATION_CACHE_DIR": "/home/ada/.cache",
        "JAX_ENABLE_X64": "0",
    },
    "x64": False,
    "numerics": {"jax_default_matmul_precision": None},
    "git": {"commit": "a" * 40, "dirty": False},
}
OURS = (1.0, 1.1, 1.2, 1.05, 0.95)
THEIRS = (2.0, 2.1, 2.5, 2.0, 1.9)


def changed(**more) -> dict:
    return ENVIRONMENT | more


def found(ours=OURS, theirs=THEIRS, samples=64) -> Found:
    """A ratio, a rate, a share that may be negative, and a memory."""
    seconds = {"ours": np.array(ours), "theirs": np.array(theirs)}
    above, below = (ratios.terms(seconds, {name: 1}) for name in seconds)
    whole = ratios.terms(seconds, {"theirs": 1, "ours": -1.2})
    speeds = [
        *ratios.against([ratios.ratio("ours / theirs", above, below, 0.6)], torch="2.0"),
        ratios.rate("ours", {"ours": seconds["ours"]}, 1e-9),
    ]
    sections = {
        "times": ratios.sized(speeds, samples=samples, widths=[4, 4]),
        "parts": [ratios.ratio("the rest", whole, below, better="neither")],
        "memory": [ratios.constant("peak", 300.0, 200.0, 1.6)],
    }
    return Found(sections)


def made(environment=ENVIRONMENT, time="2026-01-01T00:00:00Z", load=1.5, **of_found):
    return record.Record(
        "limit",
        record.system_of(environment),
        record.code_of(environment),
        "sigmaprop bench limit --repeats 5",
        time,
        record.Load((load, 1.0, 1.0), (1.0, 1.0, 1.0), 2),
        REPEATS,
        record.points_of(found(**of_found)),
        ("a note",),
    )
