"""What the arms oracle and frozen are given: the noise of the data, or what another run learned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sigmaprop import data
from sigmaprop.data import transforms
from sigmaprop.generators.arms import ARMS
from sigmaprop.generators.observation import Given

from ..training.sweep import Cell
from .config import GanConfig, GanOptions
from .constants import Copied


class Noise(NamedTuple):
    """Noise on the host.

    Attributes:
        scale: in units of x, [] or [D].
        factor: in units of x, [D, R], None where there is none.
    """

    scale: np.ndarray
    factor: np.ndarray | None = None

    @property
    def columns(self) -> int | None:
        """R, 0 without a factor; None of one number, which needs no program of its own."""
        if self.factor is not None:
            return self.factor.shape[1]
        return 0 if self.scale.ndim else None

    def arrays(self) -> Given | None:
        """The constants of a replica; None of one number, which is a schedule."""
        if self.columns is None:
            return None
        scale: Any = np.asarray(self.scale, np.float32)
        factor: Any = None if self.factor is None else np.asarray(self.factor, np.float32)
        return Given(scale, factor)


def check_options(config: GanConfig, cells: Sequence[Cell]) -> None:
    """What does not take the data to see.

    Raises:
        ValueError: one sentence that names the option.
    """
    frozen = any(cell.options.arm == "frozen" for cell in cells)
    if frozen and not (config.frozen_values or config.frozen_sha256):
        raise ValueError("--arm frozen needs the run whose noise it takes; give --frozen-from RUN")
    for flag in ("from", "values", "sha256"):
        if getattr(config, f"frozen_{flag}") and not frozen:
            raise ValueError(f"--frozen-{flag} has no meaning without --arm frozen; leave it out")
    if config.frozen_values and config.frozen_sha256:
        raise ValueError("--frozen-values and --frozen-sha256 exclude each other; leave one out")
    if config.frozen_cell is not None and config.frozen_from is None:
        raise ValueError("--frozen-cell has no meaning without --frozen-from; leave it out")


def noises(
    options: GanOptions,
    dataset: data.Dataset,
    seeds: int,
    values: Sequence[float] | np.ndarray,
    copies: Sequence[Copied] = (),
) -> tuple[Noise | Copied | None, ...]:
    """What each seed's replica is given; None of an arm that takes its noise from elsewhere.

    Args:
        options: of the cell.
        dataset: what it trains on.
        seeds: how many.
        values: numbers that another run learned, of all seeds in turn.
        copies: instead of them, what computes the sigma(z) of each seed.

    Raises:
        ValueError: nothing is known of the data's noise, or the constants fit no kind of noise,
            seeds or latents.
    """
    given = ARMS[options.arm].given
    if given == "data":
        return (_check(options, _of_data(options, dataset)),) * seeds
    if given == "run" and copies:
        _check_copies(options, copies, seeds)
        return tuple(copies)
    if given == "run":
        return tuple(_check(options, one) for one in _split(values, seeds, dataset.dim))
    return (None,) * seeds


def _check_copies(options: GanOptions, copies: Sequence[Copied], seeds: int) -> None:
    """Refuses copies of other latents, or of another number of seeds."""
    if len(copies) != seeds:
        raise ValueError(
            f"the arm frozen has constants of {len(copies)} seeds, not of {seeds}; give --seeds "
            f"{len(copies)}"
        )
    for flag, name in (("--latent-dim", "latent_dim"), ("--latent", "latent")):
        known, own = (getattr(one, name) for one in (copies[0].options, options))
        if known != own:
            raise ValueError(
                f"{flag} is {own}, and --frozen-from learned sigma(z) with {known}; give {flag} "
                f"{known}"
            )


def _of_data(options: GanOptions, dataset: data.Dataset) -> Noise:
    """The noise that loading added."""
    std, length = dataset.noise_std, options.data.noise_length
    if dataset.clean is None:
        raise ValueError(
            f"--arm oracle needs data whose noise is known, and {dataset.name} is as it came; give "
            "--data.noise-std SIGMA, or choose another --arm"
        )
    if length is None:
        return Noise(np.asarray(std))
    factor = transforms.noise_factor(dataset.shape, std, length)
    return Noise(np.zeros(dataset.dim, np.float32), factor)


def _split(values: Sequence[float] | np.ndarray, seeds: int, dim: int) -> list[Noise]:
    """The constants of each seed, whose number says of what kind they are."""
    each, rest = divmod(len(values), seeds)
    columns = each // dim - 1
    if rest or not (each == 1 or (each and each % dim == 0)):
        raise ValueError(
            f"--frozen-values holds {len(values)} numbers for {seeds} seeds of {dim} coordinates; "
            f"each seed takes 1, {dim}, or {dim} times one more than a factor's columns"
        )
    rows = np.asarray(values, np.float64).reshape(seeds, each)
    if each == 1:
        return [Noise(row[0]) for row in rows]
    return [Noise(row[:dim], row[dim:].reshape(dim, columns) if columns else None) for row in rows]


def _check(options: GanOptions, noise: Noise) -> Noise:
    """Refuses noise without a density where one is asked for."""
    if np.all(noise.scale > 0):
        return noise
    for flag, asked in (
        (f"--entropy-weight {options.entropy_weight:g}", options.entropy_weight > 0),
        (f"--sigma-gradient {options.sigma_gradient}", options.sigma_gradient != "pathwise"),
    ):
        if asked:
            raise ValueError(
                f"{flag} has no meaning in the arm {options.arm}, whose noise has a scale of 0 "
                "beside its factor; choose another --arm, or leave it out"
            )
    return noise
