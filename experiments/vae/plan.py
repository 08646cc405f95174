"""From the options of `sigmaprop vae` to specs, replicas and their hypers; see `gan.plan`."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import data
from sigmaprop.generators import networks, observation, optimizers, parameterisation, schedule
from sigmaprop.generators.arms import VAE_ARMS
from sigmaprop.generators.observation import NoiseHypers, Observation
from sigmaprop.generators.parameterisation import Bounds
from sigmaprop.generators.replicas import stack
from sigmaprop.generators.vae import VaeHypers, VaeRates, VaeSpec
from sigmaprop.names import unknown
from sigmaprop.runs.own_sources import is_own

from ..training.cells import cells
from ..training.groups import grouped, in_order, replica_keys, seed_numbers, training_rows
from ..training.sweep import Cell, Replica
from .config import VaeConfig, VaeOptions

_STATIC = [field.name for field in dataclasses.fields(VaeOptions) if field.metadata["static"]]
_schedule = functools.partial(schedule.sigma_schedule, array=np.asarray)
_rate = functools.partial(optimizers.rate, array=np.asarray)
_PROXIMAL = ("unit", "fixed", "optimal", "global", "per_pixel")
"""Arms whose scale is a parameter of its own, or none."""


class Group(NamedTuple):
    """Replicas of one spec."""

    spec: VaeSpec
    replicas: tuple[Replica, ...]


class Plan(NamedTuple):
    """A checked configuration.

    Attributes:
        dataset: what is trained on.
        cells: in the order of the sweep or list.
        groups: one program each.
        splits: of each seed; one and the same where they are not redrawn.
    """

    dataset: data.Dataset
    cells: tuple[Cell, ...]
    groups: tuple[Group, ...]
    splits: tuple[data.Splits, ...]

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """All of them, by number."""
        return in_order(self.groups)


def prepare(config: VaeConfig) -> Plan:
    """Looks every name up, loads the data and checks what the options mean together.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    found = cells(config, VaeOptions)
    for cell in found:  # before anything is loaded
        with cell.blamed():
            _check_cell(cell.options)
    data.check(config.dataset, config.data)
    dataset = data.load(config.dataset, config.data)
    for name in ("train", "validation", "test"):
        if not len(getattr(dataset.splits, name)):
            raise ValueError(f"{dataset.name} has no {name} rows; choose another --dataset")
    for cell in found:
        with cell.blamed():
            _check_against(cell.options, dataset)
    shared = grouped(found, seed_numbers(config), _program)
    groups = (Group(make_spec(own, dataset), own) for own in shared)
    return Plan(dataset, found, tuple(groups), tuple(training_rows(config, dataset)))


def _program(options: VaeOptions) -> tuple[Any, ...]:
    """What replicas of one program agree in.

    A factor makes the density of every replica of its program that of a full covariance.
    """
    return (*(getattr(options, name) for name in _STATIC), options.arm == "low_rank")


def make_spec(replicas: tuple[Replica, ...], dataset: data.Dataset) -> VaeSpec:
    """What these replicas share; whatever one of them needs is in the program."""
    every = [replica.cell.options for replica in replicas]
    options: VaeOptions = every[0]
    decoder = _decoder(options, dataset.shape)
    return VaeSpec(
        encoder=networks.mlp_encoder(
            dataset.dim,
            decoder.in_dim,
            widths=options.encoder_widths,
            activation=options.activation,
            dtype=options.dtype,
        ),
        decoder=decoder,
        observation=Observation(
            dataset.dim,
            decoder.feature_dim,
            observation.components(tuple(one.arm for one in every)),
            parameterisation.LIKELIHOOD_PARAMETERISATIONS[options.parameterisation],
            options.rank,
        ),
        optimizer=optimizers.get(options.optimizer, b1=options.b1, b2=options.b2),
        sigma_optimizer=optimizers.get(options.sigma_optimizer, b1=options.b1, b2=options.b2),
        batch_size=options.batch_size,
        kl=options.kl,
        objective=options.objective,
        mean_gradient=options.mean_gradient,
        proximal=options.parameterisation == "inverse",
    )


def hypers(
    replica: Replica, spec: VaeSpec, root: jax.Array, rows: np.ndarray | None = None
) -> VaeHypers:
    """What the replica has of its own; its key depends on the seed's number alone."""
    own = all_hypers((replica,), spec, root, None if rows is None else rows[None])
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], own)


def all_hypers(
    replicas: Sequence[Replica], spec: VaeSpec, root: jax.Array, rows: np.ndarray | None = None
) -> VaeHypers:
    """What each replica has of its own, along a leading axis; see `gan.plan.all_hypers`."""
    return stack([_numbers(one, spec) for one in replicas])._replace(
        key=replica_keys(root, replicas),
        rows=None if rows is None else _number(rows, np.int32),
    )


def _numbers(replica: Replica, spec: VaeSpec) -> VaeHypers:
    """All of them but key and rows, on the host."""
    options: VaeOptions = replica.cell.options
    given = {"one": 1.0, "sigma": options.sigma}.get(VAE_ARMS[options.arm].given, 0.0)
    gates = observation.gates(options.arm, spec.observation.components)
    rate, own = options.learning_rate, options.sigma_learning_rate
    return VaeHypers(
        key=_number(0),  # made for all replicas at once
        noise=NoiseHypers(
            _schedule("constant", given, given, 1),
            {name: _number(gate, bool) for name, gate in gates.items()},
            _number(options.sigma_start),
            Bounds(_number(options.sigma_floor), _number(options.sigma_ceiling)),
        ),
        optimal=_number(options.arm == "optimal", bool),
        rates=VaeRates(_rate(rate), _rate(rate if own is None else own)),
        beta=_number(options.beta),
        mean_sigma=_number(options.mean_sigma),
    )


def _check_cell(options: VaeOptions) -> None:
    """What does not take the data to see."""
    if options.arm == "zero":
        raise ValueError(
            "--arm zero has no density, so examples have no likelihood under it; choose one of "
            f"{', '.join(VAE_ARMS)}"
        )
    VAE_ARMS.check(options.arm)
    name = options.generator
    if not is_own(name) and name not in networks.generator_names():
        raise unknown("generator", name, (*networks.generator_names(), "path/to/file.py:function"))
    if options.objective == "beta_nll" and options.arm == "low_rank":
        raise ValueError(
            "--objective beta_nll weights each coordinate by itself, which the correlated noise of "
            "--arm low_rank does not have; choose --objective nll or another --arm"
        )
    if options.parameterisation != "inverse":
        return
    if options.arm not in _PROXIMAL:
        raise ValueError(
            f"--parameterisation inverse takes its proximal step on a scale that is a parameter "
            f"itself, not on --arm {options.arm}; choose global, per_pixel or another "
            "--parameterisation"
        )
    if options.sigma_optimizer != "sgd":
        raise ValueError(
            f"--parameterisation inverse moves by plain gradient steps, not by --sigma-optimizer "
            f"{options.sigma_optimizer}; give --sigma-optimizer sgd"
        )
    if options.objective != "nll":
        raise ValueError(
            f"--parameterisation inverse and --objective {options.objective} exclude each other: "
            "the proximal step is that of the likelihood; leave one out"
        )


def _check_against(options: VaeOptions, dataset: data.Dataset) -> None:
    """What depends on the dimension of an example."""
    if options.arm == "low_rank":
        observation.check_rank(options.rank, dataset.dim)


def _decoder(options: VaeOptions, shape: tuple[int, ...]) -> networks.Network:
    name = options.generator
    if is_own(name):
        return networks.get_generator(name, options.latent_dim, shape)
    own = options.widths if name == "mlp" else None
    return networks.get_generator(
        name,
        options.latent_dim,
        shape,
        widths=(options.channels,) if name == "dcgan" else own,
        activation=options.activation if name in ("mlp", "dcgan") else None,
        output=None if name == "linear" else options.output,
        dtype=options.dtype,
    )


def _number(value: Any, dtype: Any = np.float32) -> Any:
    """On the host: `all_hypers` stacks those of thousands of replicas before they go to devices."""
    return np.asarray(value, dtype)
