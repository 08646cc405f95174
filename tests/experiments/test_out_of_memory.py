"""A device that is out of memory: fewer replicas at a time, with the numbers that these have.

The engine raises the device's error where a test says; one process has too little memory indeed.
"""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from sigmaprop.experiments.gan import run as gan
from sigmaprop.experiments.gan.config import GanConfig, GanSweep
from sigmaprop.experiments.training import loop
from sigmaprop.experiments.vae import run as vae
from sigmaprop.experiments.vae.config import VaeConfig, VaeSweep

from sigmaprop import runs
from sigmaprop.generators import replicas

ERROR = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 81920000000 bytes.\nAnd so on."
SMALL = {
    **{"dataset": "ring", "steps": 40, "seeds": 5, "metrics_every": 10, "arm": "fixed"},
    **{"latent_dim": 2, "batch_size": 4, "widths": (4,), "evaluations": 1},
    **{"checkpoint_seconds": 1e-3},
}
EXPERIMENTS = {"gan": gan.EXPERIMENT, "vae": vae.EXPERIMENT}
CONFIGS = {
    "gan": GanConfig(
        **SMALL, sweep=GanSweep(), discriminator_widths=(4,), eval_samples=32, gap_evaluations=0
    ),
    "vae": VaeConfig(**SMALL, sweep=VaeSweep(), encoder_widths=(4,), eval_draws=2, eval_examples=8),
}


class Told(loop.Silent):
    """Progress: its sentences, and the replica-steps in all."""

    def __init__(self):
        self.said: list[str] = []
        self.done = 0

    def __call__(self, what: str, done: int = 0) -> None:
        """Counts."""
        self.done += done

    def say(self, sentence: str) -> None:
        """Keeps it."""
        self.said.append(sentence)


class Device:
    """`replicas.engine` on one device, with an error of its memory in calls of wide groups.

    Attributes:
        widest: replicas that fit together.
        spared: calls of ``run`` before the error; None where it is in ``init``.
    """

    def __init__(self, widest: int, spared: int | None = 0, error: str = ERROR):
        self.widest, self.spared, self.error = widest, spared, error
        self.built: list[int] = []
        self._engine = replicas.engine

    def __call__(self, *arguments: Any, **options: Any) -> replicas.Engine:
        """Builds an engine."""
        made = self._engine(*arguments, **(options | {"devices": jax.local_devices()[:1]}))
        chunk = made.layout.replica_chunk
        self.built.append(chunk)
        if chunk <= self.widest:
            return made
        if self.spared is None:
            return made._replace(init=self._failing(made.init, 0))
        return made._replace(run=self._failing(made.run, self.spared))

    def _failing(self, function: Callable[..., Any], spared: int) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal spared
            spared -= 1
            if spared < 0:
                raise RuntimeError(self.error)
            return function(*arguments)

        return call


def run(command: str, directory: Path, chunk: int, device: Device) -> Told:
    """A run of five replicas on such a device."""
    experiment, told = EXPERIMENTS[command], Told()
    config = dataclasses.replace(CONFIGS[command], replica_chunk=chunk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replicas, "engine", device)
        patch.setattr(loop, "CHUNK_SECONDS", 0.0)  # calls of the fewest steps
        plan = experiment.prepare(config)
        with runs.create(directory, command, config) as made:
            experiment.run(config, plan, made, told)
    return told


def metrics(directory: Path, command: str) -> Any:
    """The rows of a run."""
    return runs.load(directory, type(CONFIGS[command]), command=command).metrics


def same(first: Path, second: Path, command: str) -> None:
    """The same rows with the same bits, each once, and the same examples."""
    keys = list(EXPERIMENTS[command].keys)
    assert runs.compare_tables(*(metrics(one, command) for one in (first, second)), keys=keys) == []
    with np.load(first / "samples-0.npz") as a, np.load(second / "samples-0.npz") as b:
        assert a.files == b.files
        assert all(a[name].tobytes() == b[name].tobytes() for name in a.files)


def by_key(directory: Path) -> dict[tuple[str, ...], float]:
    """The values of a run of gan; a key stands for one row."""
    table = metrics(directory, "gan")
    keys = zip(*(map(str, table[name].to_pylist()) for name in gan.EXPERIMENT.keys), strict=True)
    found = dict(zip(keys, table["value"].to_pylist(), strict=True))
    assert len(found) == table.num_rows
    return found


@pytest.fixture(scope="module")
def narrow(tmp_path_factory) -> Callable[[str], Path]:
    """Runs that have two replicas at a time from the first, by their command."""
    root = tmp_path_factory.mktemp("narrow")

    def directory(command: str) -> Path:
        if not (root / command).exists():
            run(command, root / command, 2, Device(2))
        return root / command

    return directory


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("gan", 0),
        pytest.param("gan", None, marks=pytest.mark.slow),
        pytest.param("vae", 0, marks=pytest.mark.slow),
    ],
)
def test_what_is_begun_anew_has_the_numbers_of_the_smaller_chunk(narrow, tmp_path, command, spared):
    device = Device(2, spared)
    told = run(command, tmp_path / "run", 4, device)
    assert device.built[0] == 4
    assert 2 in device.built
    (sentence,) = [one for one in told.said if "memory" in one]
    assert sentence == (
        "out of memory with --replica-chunk 4 (RESOURCE_EXHAUSTED: Out of memory while trying to "
        "allocate 81920000000 bytes); going on with 2"
    )
    assert told.done == 5 * 40
    same(tmp_path / "run", narrow(command), command)


@pytest.mark.slow
def test_it_goes_on_from_the_last_checkpoint_whatever_its_padding(narrow, tmp_path):
    """Eight rows were saved of five replicas, and six go on; no step is recorded twice.

    The first steps were vectorised in fours, whose sums may differ from those in twos by rounding.
    """
    told = run("gan", tmp_path / "run", 4, Device(2, spared=6))
    assert any(one.startswith("going on from step 10 ") for one in told.said), told.said
    assert told.done == 5 * 40
    own, other = (by_key(one) for one in (tmp_path / "run", narrow("gan")))
    assert sorted(own) == sorted(other)
    np.testing.assert_allclose(
        [own[key] for key in other], list(other.values()), rtol=1e-3, atol=1e-4
    )


@pytest.mark.slow
def test_the_chunk_is_halved_until_it_fits(narrow, tmp_path):
    device = Device(2)
    told = run("gan", tmp_path / "run", 16, device)
    assert [one.partition(" (")[0] for one in told.said if "memory" in one] == [
        f"out of memory with --replica-chunk {chunk}" for chunk in (16, 8, 4)
    ]
    same(tmp_path / "run", narrow("gan"), "gan")


def test_one_replica_that_does_not_fit_ends_in_one_sentence(tmp_path):
    with pytest.raises(runs.RunError) as found:
        run("gan", tmp_path / "run", 2, Device(0))
    assert str(found.value) == (
        "out of memory with one replica at a time (RESOURCE_EXHAUSTED: Out of memory while trying "
        "to allocate 81920000000 bytes); lower --seeds or --batch-size, or sweep less at once"
    )


@pytest.mark.slow
def test_other_errors_are_not_taken_for_it(tmp_path):
    with pytest.raises(RuntimeError, match="INTERNAL"):
        run("gan", tmp_path / "run", 4, Device(2, error="INTERNAL: something else"))


CHILD = """
import resource, sys
import jax
from sigmaprop.experiments.cli.main import main

jax.block_until_ready(jax.numpy.zeros(1))
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
limit = used + 4 * 2**30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="a limit of Linux")
def test_memory_that_is_really_out_is_noticed(tmp_path):
    """A process that may take 4 GiB more, and steps of a million examples that take 10 each."""
    words = ("gan", "--dataset", "digits", "--steps", "2", "--seeds", "4", "--replica-chunk", "2")
    more = ("--sweep.arm", "fixed", "--batch-size", "1000000", "--run-dir", str(tmp_path / "run"))
    found = subprocess.run(
        [sys.executable, "-c", CHILD, *words, *more], capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 2, found.stderr
    told = " ".join(found.stdout.split())
    assert "out of memory with --replica-chunk 2 (RESOURCE_EXHAUSTED: Out of memory" in told
    (sentence,) = found.stderr.splitlines()
    assert sentence.startswith("sigmaprop: out of memory with one replica at a time (RESOURCE_EXH")
