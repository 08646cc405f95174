"""The finished replicas of a run, whatever trained them: how examples are drawn and decoded."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import runs
from sigmaprop.data.dataset import Dataset, Splits
from sigmaprop.gaussians import Diagonal, LowRank
from sigmaprop.generators import evaluation, post_hoc, replicas, vae, vae_step
from sigmaprop.generators.divergence import NOT_DIVERGED
from sigmaprop.generators.gan import Draws, GanSpec
from sigmaprop.generators.replicas import Engine
from sigmaprop.generators.step import generate
from sigmaprop.generators.step import model as gan_model
from sigmaprop.generators.vae import VaeSpec
from sigmaprop.runs.arrays import load_tree

from ..forecast import parameters
from ..gan import frozen
from ..gan.config import GanConfig
from ..gan.plan import all_hypers as gan_hypers
from ..gan.plan import prepare as prepare_gan
from ..training.groups import seed_numbers
from ..training.loop import model_name
from ..vae.config import VaeConfig
from ..vae.plan import all_hypers as vae_hypers
from ..vae.plan import prepare as prepare_vae
from ..vae.train import samples

COMMANDS: dict[str, type] = {"gan": GanConfig, "vae": VaeConfig}
"""Runs that can be evaluated, and their options."""


class Model(NamedTuple):
    """Replicas of one program with the weights of one kind.

    Attributes:
        weights: "last" or "average".
        numbers: of the replicas.
        seeds: of each.
        alive: whether each ended, [R].
        engine: maps a function over them.
        params: of all, [R, ...], placed.
        hypers: of all, placed.
        latent_dim: Z.
        prior: of z, "normal" or "uniform".
        draw: ``(params, hypers, key, num) -> (mean, x)``, [num, D] each.
        decode: ``(params, hypers) -> (z -> Gaussian)``, its noise included.
        encode: ``(params, hypers) -> (x -> Gaussian)``, None without an encoder.
    """

    weights: str
    numbers: tuple[int, ...]
    seeds: tuple[int, ...]
    alive: np.ndarray
    engine: Engine
    params: Any
    hypers: Any
    latent_dim: int
    prior: str
    draw: Callable[..., Any]
    decode: Callable[..., Any]
    encode: Callable[..., Any] | None

    def decode_mean(self, params: Any, hypers: Any) -> Callable[[Any], Any]:
        """z to mu(z)."""
        decode = self.decode(params, hypers)
        return lambda z: decode(z).mean


class Source(NamedTuple):
    """A run that is evaluated.

    Attributes:
        directory: of it.
        config: its options.
        dataset: what it trained on.
        splits: of each seed, by its number.
        groups: makes the models, one after the other.
        decoders: of each program how many are evaluated, and their parameters.
    """

    directory: Path
    config: Any
    dataset: Dataset
    splits: Mapping[int, Splits]
    groups: Callable[[], Iterator[Model]]
    decoders: Sequence[tuple[int, int]]


def load(directory: Path, seeds: int | None = None, weights: str = "both") -> Source:
    """The finished replicas of a run.

    Args:
        directory: of the run.
        seeds: how many of its seeds, from the first; None: all.
        weights: "last", "average", or "both".

    Raises:
        ValueError: no run of `gan` or `vae`, not complete, one that kept no models, or none of
            these seeds or weights.
        RunError: a file is missing or damaged.
    """
    command = runs.load_command(directory)
    if command not in COMMANDS:
        raise ValueError(f"{directory} is a run of {command}; give one of gan or vae")
    if runs.state(directory) != "complete":
        raise ValueError(
            f"{directory} is not complete; go on with `sigmaprop resume {directory}` first"
        )
    config = runs.load_config(directory, COMMANDS[command], command=command)
    plan: Any = _prepare_gan(config, directory) if command == "gan" else prepare_vae(config)
    for index in range(len(plan.groups)):
        if not (directory / model_name(index)).is_file():
            raise ValueError(
                f"{directory} has no {model_name(index)}: it was made by a version that kept no "
                f"models; repeat it with `sigmaprop replay {directory}`"
            )
    numbers = seed_numbers(config)
    if seeds is not None and seeds > len(numbers):
        raise ValueError(f"--seeds is {seeds}; {directory} has {len(numbers)}: give that at most")
    averaged = command == "gan" and all(cell.options.ema_decay > 0 for cell in plan.cells)
    if weights == "average" and not averaged:
        raise ValueError(
            f"--weights is average; not every cell of {directory} kept one: give last or both"
        )
    make = _gan if command == "gan" else _vae
    groups = functools.partial(make, directory, config, plan, numbers[:seeds], weights)
    splits = dict(zip(numbers, plan.splits, strict=True))
    decoders = [_size(group, numbers[:seeds]) for group in plan.groups]
    return Source(directory, config, plan.dataset, splits, groups, decoders)


def _size(group: Any, seeds: range) -> tuple[int, int]:
    """How many replicas of a program have these seeds, and the parameters of their decoders."""
    own = sum(one.seed in seeds for one in group.replicas)
    is_gan = isinstance(group.spec, GanSpec)
    return own, parameters(group.spec.generator if is_gan else group.spec.decoder)


def _prepare_gan(config: GanConfig, directory: Path) -> Any:
    return prepare_gan(config, frozen.stored(config, directory))


def _gan(
    directory: Path, config: GanConfig, plan: Any, seeds: range, weights: str
) -> Iterator[Model]:
    for index, group in enumerate(plan.groups):
        spec: GanSpec = group.spec
        rows = [row for row, one in enumerate(group.replicas) if one.seed in seeds]
        chosen = [group.replicas[row] for row in rows]
        engine = replicas.engine(gan_model(spec), len(rows))
        root = jax.random.key(config.seed)
        given = [group.given[row] for row in rows]
        each = gan_hypers(chosen, spec, config.steps, root, given=given)
        hypers = engine.place(each)
        state = jax.eval_shape(engine.init, hypers)
        like = {"last": state.player, "average": state.average, "diverged_at": state.diverged_at}
        if group.fitted is not None:
            own = () if group.fitted == "isotropic" else (spec.observation.dim,)
            num = len(evaluation.generators(state))
            like["post_hoc"] = jax.ShapeDtypeStruct((len(rows), num, *own), jnp.float32)
        found = _rows_of(load_tree(directory / model_name(index), like), rows)
        t = jnp.asarray(config.steps)
        for place, kind in enumerate(evaluation.WEIGHTS):
            if group.fitted is not None and found[kind] is not None:
                noise = jnp.asarray(found["post_hoc"][:, place])
                hypers = engine.place(jax.vmap(post_hoc.with_sigma)(each, noise))
            if found[kind] is not None and weights in ("both", kind):
                yield Model(
                    kind,
                    tuple(one.number for one in chosen),
                    tuple(one.seed for one in chosen),
                    found["diverged_at"] == NOT_DIVERGED,
                    engine,
                    engine.place(jax.tree.map(jnp.asarray, found[kind])),
                    hypers,
                    spec.generator.in_dim,
                    spec.latent,
                    functools.partial(_gan_draw, spec, t),
                    functools.partial(_gan_decoder, spec, t),
                    None,
                )


def _gan_draw(
    spec: GanSpec, t: Any, params: Any, own: Any, key: Any, num: int
) -> tuple[jax.Array, jax.Array]:
    fakes = evaluation.sample(spec, params, own, key, num, t)
    return fakes.mean, fakes.x


def _gan_decoder(spec: GanSpec, t: Any, params: Any, own: Any) -> Callable[[Any], Any]:
    """z to the Gaussian at the end of the generator."""
    nothing = jnp.zeros((1, spec.observation.dim))
    zeta = jnp.zeros((1, spec.observation.rank)) if spec.observation.has_factor else None

    def decode(z: Any) -> Diagonal | LowRank:
        fakes = generate(spec, params, own, z[None], Draws(nothing, zeta), t)
        mean, scale = fakes.mean[0], fakes.noise.scale
        scale = jnp.abs(jnp.broadcast_to(scale[0] if scale.ndim == 2 else scale, mean.shape))
        factor = fakes.noise.factor
        return Diagonal(mean, scale) if factor is None else LowRank(mean, scale, factor)

    return decode


def _vae(
    directory: Path, config: VaeConfig, plan: Any, seeds: range, weights: str
) -> Iterator[Model]:
    del weights  # there are those of the last step only
    for index, group in enumerate(plan.groups):
        spec: VaeSpec = group.spec
        rows = [row for row, one in enumerate(group.replicas) if one.seed in seeds]
        chosen = [group.replicas[row] for row in rows]
        engine = replicas.engine(vae_step.model(spec), len(rows))
        root = jax.random.key(config.seed)
        hypers = engine.place(vae_hypers(chosen, spec, root))
        state = jax.eval_shape(engine.init, hypers)
        like = {
            "params": state.params,
            "variance": state.variance,
            "diverged_at": state.diverged_at,
        }
        found = _rows_of(load_tree(directory / model_name(index), like), rows)
        params = {name: found[name] for name in ("params", "variance")}
        t = jnp.asarray(config.steps)
        yield Model(
            "last",
            tuple(one.number for one in chosen),
            tuple(one.seed for one in chosen),
            found["diverged_at"] == NOT_DIVERGED,
            engine,
            engine.place(jax.tree.map(jnp.asarray, params)),
            hypers,
            spec.decoder.in_dim,
            "normal",
            functools.partial(_vae_draw, spec, t),
            functools.partial(_vae_decoder, spec, t),
            functools.partial(_vae_encoder, spec),
        )


def _rows_of(found: Any, rows: Sequence[int]) -> Any:
    """Some replicas of arrays that hold all of a group."""
    return jax.tree.map(lambda leaf: leaf[np.asarray(rows)], found)


def _vae_state(params: Any) -> vae.VaeState:
    """As much of a state as decoding takes."""
    nothing, moments = jnp.zeros(()), None
    return vae.VaeState(params["params"], moments, params["variance"], nothing, nothing)  # pyright: ignore


def _vae_draw(
    spec: VaeSpec, t: Any, params: Any, own: Any, key: Any, num: int
) -> tuple[jax.Array, jax.Array]:
    made = samples(spec, own._replace(key=key), _vae_state(params), num, t)
    return made["mean_last"], made["x_last"]


def _vae_decoder(spec: VaeSpec, t: Any, params: Any, own: Any) -> Callable[[Any], Any]:
    return vae.gaussian(spec, own, _vae_state(params), t)


def _vae_encoder(spec: VaeSpec, params: Any, own: Any) -> Callable[[Any], Any]:
    """x to q(z|x)."""
    del own

    def of_example(x: Any) -> Diagonal:
        made = vae.encode(spec, params["params"], x[None])
        return Diagonal(made.mean[0], jnp.exp(made.log_scale[0]))

    return of_example
