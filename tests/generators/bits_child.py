"""Prints digests of states, one line a case; a process of its own, with its number of devices.

The reference GAN is written here with matrix products, jax.grad and optax alone; of the engine it
shares the keys. Run as ``python bits_child.py devices case ...``.
"""

import functools
import hashlib
import os
import sys
from typing import Any

DEVICES = int(sys.argv[1])
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import small_games  # noqa: E402

from sigmaprop.generators import gan, networks  # noqa: E402

STEPS, RATE, SIGMA = 25, 1e-3, 0.2
ARMS = tuple(name for name, arm in small_games.observation.ARMS.items() if arm.shares)
SIZES = {
    "small": (8, (32, 32), 16, 16),
    "wide": (8, (256, 256), 16, 64),
}
"""Latents, widths, coordinates, batch size."""


def data(dim: int) -> np.ndarray:
    """Training examples."""
    return np.random.default_rng(0).standard_normal((500, dim)).astype(np.float32)


@functools.cache
def build(size: str, arms: tuple[str, ...], **options: Any) -> gan.GanSpec:
    """A game of multilayer perceptrons."""
    latent, widths, dim, batch = SIZES[size]
    return small_games.make(
        networks.mlp_generator(latent, dim, widths=widths),
        networks.mlp_discriminator(dim, widths=widths),
        arms,
        batch_size=batch,
        **options,
    )


def digest(tree: Any) -> str:
    """Of the bits of all arrays."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        found.update(np.asarray(leaf).tobytes())
    return found.hexdigest()[:16]


def players(state: gan.State, replica: int) -> Any:
    """Parameters of both players of a replica."""
    return jax.tree.map(lambda leaf: leaf[replica], (state.player.network, state.discriminator))


def everything(state: gan.State, replica: int, arm: str) -> Any:
    """The same with the noise that the arm learns, and the moments of all."""
    learned = small_games.observation.ARMS[arm].component
    own = () if learned is None else (state.player.noise[learned], state.moments.noise[learned])
    own = (own, state.moments.generator, state.moments.discriminator)
    return players(state, replica), jax.tree.map(lambda leaf: leaf[replica], own)


def trained(
    size: str,
    arms: list[str],
    cuts: tuple[int, ...] = (STEPS,),
    seeds: Any = None,
    loss: str = "non_saturating",
    **options: Any,
) -> gan.State:
    """The state of one replica of each arm, by default of seeds 0, 1, ..."""
    spec = build(size, tuple(dict.fromkeys(arms)), loss=loss)
    seeds = range(len(arms)) if seeds is None else seeds
    each = [
        small_games.hypers(spec, arm, seed=seed, sigma=SIGMA, rate=RATE)
        for arm, seed in zip(arms, seeds, strict=True)
    ]
    return small_games.run(spec, each, data(SIZES[size][2]), cuts, **options)[0]


def layers(params: Any, x: jax.Array, activation: Any) -> jax.Array:
    """A perceptron with two hidden layers, written out."""
    for layer in ("hidden_0", "hidden_1"):
        x = activation(x @ params[layer]["kernel"] + params[layer]["bias"])
    return x @ params["output"]["kernel"] + params["output"]["bias"]


def reference(size: str, sigma: float | None, seed: int, paired: bool = False) -> Any:
    """The parameters of a GAN without noise, or with noise of a given sigma written out."""
    latent, _, dim, batch = SIZES[size]
    spec = build(size, ("zero",))
    keys = gan.streams(jax.random.fold_in(jax.random.key(0), seed))
    examples = jnp.asarray(data(dim))
    adam = optax.adam(RATE, b1=0.5, b2=0.99)
    softplus = jax.nn.softplus

    def written_out(whose):
        at = jax.vmap(functools.partial(jax.random.fold_in, keys[f"noise_{whose}"]))
        draw = jax.vmap(lambda key: jax.random.normal(key, (batch, dim)))
        return draw(at(jnp.arange(STEPS)))

    noise = {whose: written_out(whose) for whose in ("discriminator", "generator")}

    def generate(params, keys, whose, t):
        z = jax.random.normal(keys[f"latent_{whose}"], (batch, latent))
        mean = layers(params, z, jax.nn.relu)
        return mean if sigma is None else mean + sigma * noise[whose][t]

    def logits(params, x):
        return layers(params, x, functools.partial(jax.nn.leaky_relu, negative_slope=0.2))[:, 0]

    def step(t, carry):
        generator, discriminator, memory, judge_memory = carry
        now = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
        fake = generate(generator, now, "discriminator", t)
        real = examples[jax.random.randint(now["data"], (batch,), 0, len(examples))]

        def discriminator_loss(params):
            found = logits(params, jnp.concatenate([real, fake]))
            if paired:
                return jnp.mean(softplus(-(found[:batch] - found[batch:])))
            return jnp.mean(softplus(-found[:batch])) + jnp.mean(softplus(found[batch:]))

        updates, judge_memory = adam.update(
            jax.grad(discriminator_loss)(discriminator), judge_memory
        )
        discriminator = optax.apply_updates(discriminator, updates)

        rows = jax.random.randint(now["data_generator"], (batch,), 0, len(examples))
        rivals = logits(discriminator, examples[rows]) if paired else None

        def generator_loss(params):
            found = logits(discriminator, generate(params, now, "generator", t))
            return jnp.mean(softplus(-(found - rivals if paired else found)))

        updates, memory = adam.update(jax.grad(generator_loss)(generator), memory)
        return optax.apply_updates(generator, updates), discriminator, memory, judge_memory

    @jax.jit
    def run(steps):
        own = jax.random.split(keys["init"], 4)
        generator, discriminator = spec.generator.init(own[0]), spec.discriminator.init(own[1])
        start = generator, discriminator, adam.init(generator), adam.init(discriminator)
        return jax.lax.fori_loop(0, steps, step, start)[:2]

    return run(STEPS)


def case_reference(size: str) -> None:
    """`zero` and `fixed`, alone and among all arms, beside what is written out above."""
    for arm, sigma in (("zero", None), ("fixed", SIGMA)):
        print(size, arm, "reference", digest(reference(size, sigma, ARMS.index(arm))))
        alone = trained(size, [arm], seeds=[ARMS.index(arm)])
        print(size, arm, "alone in its program", digest(players(alone, 0)))
    every = trained(size, list(ARMS))
    for arm in ("zero", "fixed"):
        print(size, arm, "among all", digest(players(every, ARMS.index(arm))))


def case_paired(size: str) -> None:
    """The same where both players pay for pairs."""
    every = trained(size, list(ARMS), loss="relativistic")
    for arm, sigma in (("zero", None), ("fixed", SIGMA)):
        number = ARMS.index(arm)
        print(size, arm, "reference", digest(reference(size, sigma, number, paired=True)))
        alone = trained(size, [arm], seeds=[number], loss="relativistic")
        print(size, arm, "alone in its program", digest(players(alone, 0)))
        print(size, arm, "among all", digest(players(every, number)))


def case_alone(size: str, num: int) -> None:
    """One replica of each arm among many of all arms, and alone in a program of its own arm."""
    many = trained(size, [ARMS[i % len(ARMS)] for i in range(num)])
    for number, arm in enumerate(ARMS):
        alone = trained(size, [arm], seeds=[number])
        print(size, arm, "among", num, digest(everything(many, number, arm)))
        print(size, arm, "alone", digest(everything(alone, 0, arm)))


def case_cuts(size: str) -> None:
    """The same steps in calls of other lengths."""
    arms = ["zero", "global", "low_rank"]
    for name, cuts in (
        ("once", (STEPS,)),
        ("sevens", (7, 14, 21, STEPS)),
        ("ones", tuple(range(1, STEPS + 1))),
    ):
        print(size, "cuts", name, digest(trained(size, arms, cuts, every=5)))


def case_devices(size: str) -> None:
    """Three and eight replicas; three do not fill an even number of devices."""
    print(size, "three", digest(trained(size, [*ARMS[:1], *ARMS[3:5]])))
    print(size, "eight", digest(trained(size, [ARMS[i % len(ARMS)] for i in range(8)])))


CASES = {
    "reference": case_reference,
    "paired": case_paired,
    "alone": functools.partial(case_alone, num=14),
    "alone64": functools.partial(case_alone, num=64),
    "cuts": case_cuts,
    "devices": case_devices,
}

if __name__ == "__main__":
    assert jax.local_device_count() == DEVICES
    for word in sys.argv[2:]:
        name, size = word.split(":")
        CASES[name](size)
