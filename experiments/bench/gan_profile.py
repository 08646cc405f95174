"""Where the time of a step goes: its parts alone, or the step without them, in the same layout."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sigmaprop.generators import gan, networks
from sigmaprop.generators import step as steps

from . import gan_programs as programs
from .gan_programs import Sized, lasting, looped
from .timing import Program

WHOLE = "the engine"
PRODUCTS = "its matrix products alone"
ADAM = "Adam alone"
DRAWS = "random numbers and the choice of examples alone"
MOVES = "both moves, without metrics and look for divergence"
STEP = "the step in a bare loop"

Body = Callable[[Array, Any], Any]


def parts(made: gan.GanSpec, mesh: jax.sharding.Mesh) -> dict[str, Sized]:
    """Programs that run a part of a step over and over, counted in replica-steps."""
    hypers, state, data, keys = programs.arguments(made, "global")
    bodies: dict[str, tuple[Body, Any]] = {
        PRODUCTS: linear_products(made),
        ADAM: _adam(made, state),
        DRAWS: _draws(made, keys, data),
        MOVES: (_moves(made, hypers, data, keys), state),
        STEP: (_step(made, hypers, data, keys), state),
    }
    return {name: _repeated(name, mesh, body, start) for name, (body, start) in bodies.items()}


def _repeated(name: str, mesh: jax.sharding.Mesh, body: Body, start: Any) -> Sized:
    run = looped(mesh, body, start)
    count = lasting(run)
    return Sized(Program(name, lambda: run(count)), count * mesh.size)


def linear_products(made: gan.GanSpec) -> tuple[Body, Any]:
    """The products of a step of the multilayer GAN: it with linear units, and its gradients."""
    widths, latent, dim = programs.WIDTHS, made.generator.in_dim, made.generator.out_dim
    generator = networks.mlp_generator(latent, dim, widths=widths, activation="identity")
    judge = networks.mlp_discriminator(dim, widths=widths, activation="identity")
    keys = jax.random.split(jax.random.key(0), 4)
    params = generator.init(keys[0]), judge.init(keys[1])
    z = jax.random.normal(keys[2], (made.batch_size, latent))
    real = jax.random.normal(keys[3], (made.batch_size, dim))

    def square(judging: Any, x: Array) -> Array:
        return jnp.mean(judge.apply(judging, x) ** 2)

    def body(_: Array, carry: Any) -> Any:
        making, judging = params
        # What the last round found enters this one, so that no product leaves the loop.
        past = 1e-30 * sum(jnp.ravel(leaf)[0] for leaf in jax.tree.leaves(carry))
        fake = generator.apply(making, z + past).mean
        to_judge = jax.grad(square)(judging, jnp.concatenate([real, fake]))
        shift = 1e-30 * jnp.ravel(jax.tree.leaves(to_judge)[0])[0]
        own = jax.grad(lambda own: square(judging, generator.apply(own, 2 * z + shift).mean))
        return own(making), to_judge

    return body, jax.tree.map(jnp.zeros_like, params)


def _adam(made: gan.GanSpec, state: gan.State) -> tuple[Body, Any]:
    """Both players' updates, from gradients that change with the parameters."""
    params = state.player.network, state.discriminator
    start = params, made.optimizer.init(params)

    def body(t: Array, carry: Any) -> Any:
        params, moments = carry
        gradient = jax.tree.map(lambda leaf: 0.1 * leaf, params)
        return made.optimizer.update(gradient, moments, params, jnp.float32(1e-3), t)

    return body, start


def _draws(made: gan.GanSpec, keys: steps.Keys, data: Array) -> tuple[Body, Any]:
    """Latents and noise of both players, and a batch of the data."""
    size = made.batch_size

    def body(t: Array, carry: Any) -> Any:
        now = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
        total = carry
        for player in ("discriminator", "generator"):
            z = gan.latent(made, now[f"latent_{player}"], size)
            noise = gan.draws(made, now[f"noise_{player}"], size).eps
            total = total + jnp.sum(z) + jnp.sum(noise)
        rows = jax.random.randint(now["data"], (size,), 0, data.shape[0])
        return total + jnp.sum(data[rows])

    return body, jnp.zeros(())


def _moves(made: gan.GanSpec, hypers: gan.Hypers, data: Array, keys: steps.Keys) -> Body:

    def body(t: Array, state: gan.State) -> gan.State:
        now = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
        state, _ = steps._move_discriminator(made, hypers, state, data, now, t)
        return steps._move_generator(made, hypers, state, state, now, t)[0]

    return body


def _step(made: gan.GanSpec, hypers: gan.Hypers, data: Array, keys: steps.Keys) -> Body:

    def body(t: Array, state: gan.State) -> gan.State:
        state, told = steps.step(made, hypers, state, data, keys, t)
        return state._replace(window=state.window + told)

    return body


def shares(seconds: Mapping[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Each part's share of a step of the engine, and what no part explains; by repeats."""
    whole = seconds[WHOLE]
    found: dict[str, Any] = {name: seconds[name] / whole for name in (PRODUCTS, ADAM, DRAWS)}
    found["metrics and look for divergence"] = (seconds[STEP] - seconds[MOVES]) / whole
    found["the engine's loop, windows and groups"] = 1 - seconds[STEP] / whole
    found["the rest: activations, losses, noise"] = 1 - sum(found.values())
    return list(found.items())
