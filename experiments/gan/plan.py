"""From the options of `sigmaprop gan` to specs, replicas and their hypers.

Every combination of swept values is a cell; a cell with a seed is a replica. Replicas whose options
differ only in numbers (arm, sigma, rates, weights) share a spec and run in one program; those that
differ in networks, loss or batch size fall into different groups, which run one after the other.
"""

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import data
from sigmaprop.generators import (
    instance,
    losses,
    networks,
    observation,
    optimizers,
    parameterisation,
    regularizers,
    schedule,
    sigma_gradient,
)
from sigmaprop.generators.annealing import Annealing
from sigmaprop.generators.arms import ARMS
from sigmaprop.generators.gan import GanSpec, Hypers, Rates
from sigmaprop.generators.networks.own import smoothness_in_file
from sigmaprop.generators.observation import NoiseHypers, Observation
from sigmaprop.generators.parameterisation import Bounds
from sigmaprop.generators.replicas import stack
from sigmaprop.metrics import mmd
from sigmaprop.names import unknown
from sigmaprop.runs.own_sources import is_own

from ..training.cells import cells
from ..training.groups import grouped, in_order, replica_keys, seed_numbers, training_rows
from ..training.sweep import Cell, Replica
from . import arm_options
from .config import GanConfig, GanOptions
from .constants import Constants, Copied, copied
from .given import Noise, check_options, noises
from .players import discriminator_of, generator_of

_STATIC = [field.name for field in dataclasses.fields(GanOptions) if field.metadata["static"]]
_schedule = functools.partial(schedule.sigma_schedule, array=np.asarray)
_rate = functools.partial(optimizers.rate, array=np.asarray)


class Group(NamedTuple):
    """Replicas of one spec, and what each is given that its options do not hold."""

    spec: GanSpec
    replicas: tuple[Replica, ...]
    given: tuple[Noise | Copied | None, ...] = ()

    @property
    def fitted(self) -> Literal["isotropic", "diagonal"] | None:
        """What is fitted behind the means where they are scored, None for nothing."""
        return arm_options.fitted(self.replicas[0].cell.options)

    @property
    def firsts(self) -> list[int]:
        """Rows of the first seed of every cell: the gap is measured there."""
        first = min(replica.seed for replica in self.replicas)
        return [row for row, replica in enumerate(self.replicas) if replica.seed == first]


class Plan(NamedTuple):
    """A checked configuration.

    Attributes:
        dataset: what is trained on.
        cells: in the order of the sweep or list.
        groups: one program each.
        splits: of each seed; one and the same where they are not redrawn.
        squared_bandwidths: of the MMD's kernels, from the training rows of each split, [S, J].
        constants: those of the arm frozen that no config holds; None where there are none.
    """

    dataset: data.Dataset
    cells: tuple[Cell, ...]
    groups: tuple[Group, ...]
    splits: tuple[data.Splits, ...]
    squared_bandwidths: np.ndarray
    constants: Constants | None = None

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """All of them, by number."""
        return in_order(self.groups)


def prepare(config: GanConfig, constants: Constants | None = None) -> Plan:
    """Looks every name up, loads the data and checks what the options mean together.

    Args:
        config: the options.
        constants: what ``frozen_sha256`` stands for, see `frozen.stored`; None where it is None.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    found = cells(config, GanOptions)
    for cell in found:  # before anything is loaded
        with cell.blamed():
            _check_cell(cell.options)
    check_options(config, found)
    dataset = _load(config)
    values, copies = _known(config, constants, dataset.shape)
    static, numbers = operator.attrgetter(*_STATIC), seed_numbers(config)
    given, built = {}, set()
    for cell in found:
        with cell.blamed():
            _check_rank(cell.options, dataset)
            networks_of = static(cell.options), arm_options.program(cell.options, dataset.dim)
            if networks_of not in built:  # 30 ms each, and most cells share them
                _check_networks(cell.options, dataset)
                built.add(networks_of)
            given[cell.options] = noises(cell.options, dataset, config.seeds, values, copies)

    def program(one: GanOptions) -> tuple[Any, ...]:
        return static(one), arm_options.program(one, dataset.dim), _kind(given[one][0])

    shared = grouped(found, numbers, program)
    groups = []
    for own in shared:
        each = tuple(given[one.cell.options][numbers.index(one.seed)] for one in own)
        groups.append(Group(make_spec(own, dataset, each[0]), own, each))
    splits = tuple(training_rows(config, dataset))
    fits = ("validation",) if any(group.fitted for group in groups) else ()
    bandwidths = _bandwidths(config, dataset, splits, ("train", config.held_out, *fits))
    return Plan(dataset, found, tuple(groups), splits, bandwidths, constants)


def _known(
    config: GanConfig, constants: Constants | None, shape: tuple[int, ...]
) -> tuple[Sequence[float] | np.ndarray, Sequence[Copied]]:
    """Numbers that another run learned, or what computes its sigma(z)."""
    if constants is None:
        return config.frozen_values, ()
    if constants.values is not None:
        return constants.values.ravel(), ()
    return (), copied(constants, shape, generator_of)


def _kind(given: Noise | Copied | None) -> int | str | None:
    """What programs differ by: columns of a factor that is given, 0 without one, or a copy."""
    if isinstance(given, Copied):
        return "copy"
    return None if given is None else given.columns


def make_spec(
    replicas: tuple[Replica, ...], dataset: data.Dataset, given: Noise | Copied | None = None
) -> GanSpec:
    """What these replicas share; whatever one of them needs is in the program.

    ``given`` is what one of them is given, and the others are given the like of.
    """
    columns = given.columns if isinstance(given, Noise) else None
    every = [replica.cell.options for replica in replicas]
    options = every[0]
    generator = generator_of(options, dataset.shape)
    components = observation.components(tuple(one.arm for one in every))
    return GanSpec(
        generator=generator,
        discriminator=discriminator_of(options, dataset.shape),
        observation=Observation(
            dataset.dim,
            generator.feature_dim,
            components,
            parameterisation.get(options.parameterisation),
            columns or options.rank,
            given_factor=bool(columns),
            copier=given.copier if isinstance(given, Copied) else None,
        ),
        loss=losses.get(options.loss),
        optimizer=_optimizer(options, options.optimizer),
        sigma_optimizer=_optimizer(options, options.sigma_optimizer),
        batch_size=options.batch_size,
        latent=options.latent,
        discriminator_steps=options.discriminator_steps,
        simultaneous=options.simultaneous,
        gradient=options.gradient,
        sigma_gradient=options.sigma_gradient,
        noise_samples=options.noise_samples,
        penalties=tuple(
            name for name in regularizers.NAMES if any(getattr(one, name) > 0 for one in every)
        ),
        penalty_points=options.penalty_points,
        spectral_norm=options.spectral_norm,
        shared=any(one.placement == "shared" for one in every),
        instance_noise=any(one.instance_noise > 0 or one.instance_noise_last > 0 for one in every),
        entropy=any(one.entropy_weight > 0 for one in every),
        entropy_burn_in=options.entropy_burn_in,
        random_level=any(one.instance_level != "constant" for one in every),
        told=options.tell_level,
        adaptive=any(one.instance_target > 0 for one in every),
        mean_gradient=options.mean_gradient,
        sigma_player=options.sigma_player,
        proximal=any(arm_options.is_proximal(one) for one in every),
        average=any(one.ema_decay > 0 for one in every),
        annealed=any(_anneals(one) for one in every),
    )


def hypers(
    replica: Replica,
    spec: GanSpec,
    steps: int,
    root: jax.Array,
    rows: np.ndarray | None = None,
    given: Noise | Copied | None = None,
) -> Hypers:
    """What the replica has of its own; its key depends on the seed's number alone."""
    own = all_hypers((replica,), spec, steps, root, None if rows is None else rows[None], (given,))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], own)


def all_hypers(
    replicas: Sequence[Replica],
    spec: GanSpec,
    steps: int,
    root: jax.Array,
    rows: np.ndarray | None = None,
    given: Sequence[Noise | Copied | None] = (),
) -> Hypers:
    """What each replica has of its own, along a leading axis; on the host but for the keys.

    Args:
        replicas: R of them.
        spec: what they share.
        steps: of the run.
        root: the run's key.
        rows: that each trains on, [R, n]; None for all.
        given: what each is given beside its options; empty for nothing.
    """
    nothing = (None,) * len(replicas)
    each = [
        _numbers(one, spec, steps, own) for one, own in zip(replicas, given or nothing, strict=True)
    ]
    return stack(each)._replace(
        key=replica_keys(root, replicas),
        rows=None if rows is None else _number(rows, np.int32),
    )


def _numbers(replica: Replica, spec: GanSpec, steps: int, given: Noise | Copied | None) -> Hypers:
    """All of them but key and rows, on the host."""
    options = replica.cell.options
    noise = NoiseHypers(
        _sigma_schedule(options, steps, given),
        {
            name: _number(gate, bool)
            for name, gate in observation.gates(options.arm, spec.observation.components).items()
        },
        _number(options.sigma_start),
        Bounds(_number(options.sigma_floor), _number(options.sigma_ceiling)),
        None if given is None else given.arrays(),
    )
    return Hypers(
        key=_number(0),  # made for all replicas at once
        noise=noise,
        shared=_number(options.placement == "shared", bool),
        rates=_rates(options),
        penalties={name: _number(getattr(options, name)) for name in spec.penalties},
        instance_noise=_schedule(
            "linear", options.instance_noise, options.instance_noise_last, steps
        ),
        entropy_weight=_number(options.entropy_weight),
        ema_decay=_number(options.ema_decay),
        penalty_sigma=_number(options.penalty_sigma),
        annealing=_annealing(options, steps) if spec.annealed else None,
        instance=_instance(options) if spec.random_level or spec.adaptive else None,
    )


def _instance(options: GanOptions) -> instance.Instance:
    return instance.instance(
        options.instance_level, options.instance_target, options.instance_rate, array=np.asarray
    )


def _anneals(options: GanOptions) -> bool:
    """Whether something changes over the run beside sigma."""
    falls = options.learning_rate_fall, options.penalty_fall
    moves = options.b2_last is not None, options.warm_up > 0, options.ema_half_life > 0
    return max(falls) > 1 or any(moves)


def _annealing(options: GanOptions, steps: int) -> Annealing:
    b2_last = options.b2 if options.b2_last is None else options.b2_last
    return Annealing(
        _number(max(1, round(options.anneal * steps)), np.int32),
        _number(options.warm_up, np.int32),
        _number(options.learning_rate_fall),
        _number(options.penalty_fall),
        _number(b2_last),
        _number(options.ema_half_life),
    )


def _bandwidths(
    config: GanConfig,
    dataset: data.Dataset,
    splits: tuple[data.Splits, ...],
    needed: tuple[str, ...],
) -> np.ndarray:
    """The squared bandwidths of each seed's number, [S, J]."""
    for name in needed:
        count = len(getattr(splits[0], name))
        if count < 2:
            raise ValueError(
                f"{dataset.name} has {count} {name} row{'' if count == 1 else 's'}; scores need 2 "
                "or more: choose another --dataset or a larger --data.num"
            )
    finest = dataset.finest if config.kernel == "finest" else None
    try:
        each = [
            mmd.squared_bandwidths(dataset.x[split.train], finest=finest)
            for split in (splits if config.redraw_split else splits[:1])
        ]
    except ValueError as error:
        raise ValueError(
            f"{dataset.name} cannot be scored: {error}; choose another --dataset"
        ) from error
    found = np.asarray(each, np.float32)
    return np.broadcast_to(found, (len(splits), found.shape[1]))


def _load(config: GanConfig) -> data.Dataset:
    data.check(config.dataset, config.data)
    return data.load(config.dataset, config.data)


def _check_cell(options: GanOptions) -> None:
    """What does not take the data to see."""
    for kind, name, known in (
        ("generator", options.generator, networks.generator_names()),
        ("discriminator", options.discriminator, networks.discriminator_names()),
    ):
        if networks.is_pair(name) and name not in known:
            raise ValueError(
                f"{kind} {name!r} was a pair of functions given to sigmaprop.train: no file holds "
                "it, so it can be given again from Python only"
            )
        if not is_own(name) and name not in known:
            raise unknown(kind, name, (*known, "path/to/file.py:function"))
    sigma_gradient.check(options.sigma_gradient, *_smoothness(options))
    if options.simultaneous and options.discriminator_steps > 1:
        raise ValueError(
            f"--discriminator-steps {options.discriminator_steps} and --simultaneous exclude each "
            "other: the players would not move from one point; leave one out"
        )
    if options.sigma_player == "discriminator" and options.placement != "shared":
        raise ValueError(
            f"--sigma-player discriminator has no meaning with --placement {options.placement}: "
            "with its own noise a generated example is only easier to tell; choose --placement "
            "shared"
        )
    if options.tell_level and (
        is_own(options.discriminator) or networks.is_pair(options.discriminator)
    ):
        raise ValueError(
            f"--tell-level has no meaning with the discriminator {options.discriminator}, which "
            "takes x alone; choose a --discriminator of `sigmaprop list`"
        )
    without = ARMS[options.arm].noiseless
    flat = without or (options.arm == "fixed" and options.sigma == 0)
    if options.entropy_weight > 0 and flat:
        which = options.arm if without else "fixed with --sigma 0"
        raise ValueError(
            f"--entropy-weight {options.entropy_weight:g} has no meaning in the arm {which}, whose "
            "samples have no density; choose another --arm or weight 0"
        )
    arm_options.check(options)


def _smoothness(options: GanOptions) -> tuple[str, str]:
    """That of the discriminator, and what to call it."""
    name = options.discriminator
    if is_own(name):
        return smoothness_in_file(name), name
    if name == "goodfellow2014" or networks.is_pair(name):
        return "kink", name
    activation = options.discriminator_activation
    return networks.ACTIVATIONS[activation].smoothness, f"{name} with {activation}"


def _check_rank(options: GanOptions, dataset: data.Dataset) -> None:
    if options.arm == "low_rank":
        observation.check_rank(options.rank, dataset.dim)


def _check_networks(options: GanOptions, dataset: data.Dataset) -> None:
    """Whether they can be built for examples of this shape."""
    generator_of(options, dataset.shape)
    discriminator_of(options, dataset.shape)


def _optimizer(options: GanOptions, name: str) -> optimizers.Optimizer:
    return optimizers.get(
        name,
        b1=options.b1,
        b2=options.b2,
        momentum=(options.momentum, options.momentum_last),
        momentum_steps=options.momentum_steps,
    )


def _rates(options: GanOptions) -> Rates:
    def other(rate: float | None) -> float:
        return options.learning_rate if rate is None else rate

    decay = (options.learning_rate_decay, options.learning_rate_smallest)
    return Rates(
        _rate(options.learning_rate, *decay),
        _rate(other(options.discriminator_learning_rate), *decay),
        _rate(other(options.sigma_learning_rate)),
    )


def _sigma_schedule(
    options: GanOptions, steps: int, noise: Noise | Copied | None
) -> schedule.SigmaSchedule:
    """Sigma by step, 0 for the arms that learn it, have none, or are given arrays."""
    given = ARMS[options.arm].given
    if given == "schedule":
        return _schedule(options.sigma_schedule, options.sigma, options.sigma_last, steps)
    sigma = options.sigma if given == "sigma" else 0.0
    if isinstance(noise, Noise) and noise.columns is None:
        sigma = float(noise.scale)
    return _schedule("constant", sigma, 0.0, steps)


def _number(value: Any, dtype: Any = np.float32) -> Any:
    """On the host: `all_hypers` stacks those of thousands of replicas before they go to devices."""
    return np.asarray(value, dtype)
