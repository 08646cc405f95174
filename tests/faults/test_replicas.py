"""Replicas that fail by themselves, and devices that are too small for all of them."""

from pathlib import Path

import numpy as np
import pytest

from sigmaprop import runs

from .processes import GAN, SHORT, assert_same, preloaded, run, succeeded, told

WRAPPED = """
def wrapped(replicas):
    engine = replicas.engine

    def made(*arguments, **options):
        found = engine(*arguments, **options)
        return found._replace(run=changed(found.run, found.layout))

    replicas.engine = made

after("sigmaprop.generators.replicas", wrapped)
"""
POISON = """
import functools

def poisoned(leaf):
    import jax
    import jax.numpy as jnp

    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    return jax.device_put(leaf.at[1].set(jnp.nan), leaf.sharding)

def changed(run, layout):
    def call(state, hypers, data, now, until):
        import jax

        if 0 < now < until and not done:
            done.append(now)
            state = state._replace(player=jax.tree.map(poisoned, state.player))
        return run(state, hypers, data, now, until)

    return call

done = []
"""
"""The parameters of replica 1 become NaN once, where the first steps end."""
TOO_SMALL = """
import os

def changed(run, layout):
    def call(*arguments):
        if layout.replica_chunk > int(os.environ["FIT"]):
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory: 9 bytes.")
        return run(*arguments)

    return call
"""
"""A device that has room for so many replicas at a time."""


def rows_by_replica(directory: Path) -> dict[int, list[tuple]]:
    """The rows of each replica, with floats as their bits."""
    table = runs.read_metrics(directory)
    columns = [
        column.to_numpy().view(np.uint64).tolist()
        if str(column.type) == "double"
        else column.to_pylist()
        for column in table.columns
    ]
    found: dict[int, list[tuple]] = {}
    for number, *row in zip(table["replica"].to_pylist(), *columns, strict=True):
        found.setdefault(number, []).append(tuple(row))
    return {number: sorted(map(repr, rows)) for number, rows in found.items()}


@pytest.mark.slow
def test_a_nan_in_one_replica_is_that_replicas_alone(short, tmp_path):
    directory = tmp_path / "run"
    hook = preloaded(tmp_path / "hook", POISON + WRAPPED)
    out = succeeded(run(*GAN, *SHORT, "--run-dir", directory, env=hook))
    assert out.count("diverged at step") == 1
    assert "replica 1 (zero, seed 1) diverged at step" in out
    first, second = rows_by_replica(short), rows_by_replica(directory)
    assert {number for number in first if first[number] != second[number]} == {1}
    with np.load(short / "samples-0.npz") as a, np.load(directory / "samples-0.npz") as b:
        others = [0, 2, 3]
        for name in set(a.files) - {"replica"}:
            assert a[name][others].tobytes() == b[name][others].tobytes(), name
    assert (directory / "report.html").exists()


@pytest.mark.slow
def test_a_device_out_of_memory_gets_fewer_replicas_at_a_time(tmp_path):
    """The device's error is raised by the test: no device that is really full is needed."""
    hook = preloaded(tmp_path / "hook", TOO_SMALL + WRAPPED)
    words = (*GAN, *SHORT, "--replica-chunk")
    succeeded(run(*words, 1, "--run-dir", tmp_path / "narrow"))
    ended = run(*words, 2, "--run-dir", tmp_path / "run", env=hook | {"FIT": "1"})
    said = " ".join(succeeded(ended).split())
    assert said.count("out of memory") == 1
    assert (
        "out of memory with --replica-chunk 2 (RESOURCE_EXHAUSTED: Out of memory: 9 bytes)" in said
    )
    assert "going on with 1" in said
    assert_same(tmp_path / "narrow", tmp_path / "run")
    ended = run(*words, 2, "--run-dir", tmp_path / "none", env=hook | {"FIT": "0"})
    told(ended, 2, "out of memory with one replica at a time", "lower --seeds or --batch-size")
    assert runs.state(tmp_path / "none") == "failed"
