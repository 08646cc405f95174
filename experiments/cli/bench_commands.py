"""What `sigmaprop bench` takes: see `commands`.

Like it, this module imports nothing heavy.
"""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True)
class BenchLimit:
    """Time the sweep over sigma and batch size against its noise, its gradients, and other ways."""

    repeats: int = 7
    """Interleaved repeats of each measurement, >= 3; medians are reported."""
    out: Path | None = None
    """File for the results as JSON. None: print only."""
    record: Path | None = None
    """Directory of records to add one to: the system and every raw time, with checksums.
    `sigmaprop results` checks them and shows them. None: no record."""
    compare: Path | None = None
    """Directory of records, or a file of an earlier --out, to compare the repeats with. None:
    nothing."""


@dataclasses.dataclass(frozen=True)
class BenchEstimators(BenchLimit):
    """Time every estimator against its noise and evaluations of f, and against other libraries."""

    optax_path: Path | None = None
    """Directory that holds optax 0.2.6, the last with its monte_carlo module
    (`pip install --no-deps --target DIR optax==0.2.6`). None: the installed one, if it has it."""


@dataclasses.dataclass(frozen=True)
class BenchGan(BenchLimit):
    """Time steps of many GANs against the peak of their matrix products, and against PyTorch."""

    replicas: tuple[int, ...] | None = None
    """Numbers of GANs that run side by side. None: 1 to 128, or to 4096 on an accelerator."""
    torch_python: Path | None = None
    """A Python that has PyTorch. None: this one, if it does."""


@dataclasses.dataclass(frozen=True)
class BenchMetrics(BenchLimit):
    """Time the metrics of samples against the packages that define them (extra `peers`)."""


@dataclasses.dataclass(frozen=True)
class BenchCommand:
    """Time what the commands run against its parts, and against other ways to write it."""

    what: Positional[Literal["limit", "estimators", "gan", "metrics"]]
    """What to time: the sweep over sigma and batch size, every estimator, steps of many GANs, or
    the metrics of samples."""
    repeats: int = 7
    """Interleaved repeats of each measurement, >= 3; medians are reported."""
    out: Path | None = None
    """File for the results as JSON. None: print only."""
    record: Path | None = None
    """Directory of records to add one to: the system and every raw time, with checksums.
    `sigmaprop results` checks them and shows them. None: no record."""
    compare: Path | None = None
    """Directory of records, or a file of an earlier --out, to compare the repeats with. None:
    nothing."""
    optax_path: Path | None = None
    """estimators: directory that holds optax 0.2.6, the last with its monte_carlo module
    (`pip install --no-deps --target DIR optax==0.2.6`). None: the installed one, if it has it."""
    replicas: tuple[int, ...] | None = None
    """gan: numbers of GANs that run side by side. None: 1 to 128, or to 4096 on an accelerator."""
    torch_python: Path | None = None
    """gan: a Python that has PyTorch. None: this one, if it does."""
