"""A small smooth digit classifier, trained in about a second: the network behind an objective."""

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from sigmaprop.data import cache, digits

Params: TypeAlias = Mapping[str, Array | np.ndarray]

NUM_PIXELS = 64
NUM_CLASSES = 10

# Counts changes to the code below that change what is trained, so that no older file is taken for
# the result of the newer code.
_RECIPE = 1


class Settings(NamedTuple):
    """How to train.

    Attributes:
        seed: of the initial weights.
        num_hidden: number of tanh units, H.
        num_steps: number of Adam steps.
        learning_rate: at the first step; it decays to 0 as a cosine.
        weight_decay: decoupled, in units of the learning rate.
    """

    seed: int = 0
    num_hidden: int = 32
    num_steps: int = 200
    learning_rate: float = 1e-2
    weight_decay: float = 0.1


DEFAULT = Settings()


class Classifier(NamedTuple):
    """A trained network.

    Attributes:
        params: float32 arrays ``w1`` [64, H], ``b1`` [H], ``w2`` [H, 10], ``b2`` [10].
        test_accuracy: the fraction of the test split that it classifies right.
    """

    params: dict[str, np.ndarray]
    test_accuracy: float


def init(key: Key[Array, ""], *, num_hidden: int) -> Params:
    """Random float32 weights of variance 1 / fan-in, and zero biases."""
    key_hidden, key_output = jax.random.split(key)
    w1 = jax.random.normal(key_hidden, (NUM_PIXELS, num_hidden), jnp.float32)
    w2 = jax.random.normal(key_output, (num_hidden, NUM_CLASSES), jnp.float32)
    return {
        "w1": w1 * NUM_PIXELS**-0.5,
        "b1": jnp.zeros(num_hidden, jnp.float32),
        "w2": w2 * num_hidden**-0.5,
        "b2": jnp.zeros(NUM_CLASSES, jnp.float32),
    }


def apply(params: Params, x: Float[ArrayLike, "*B 64"]) -> Float[Array, "*B 10"]:
    """Logits of images ``x`` of pixels in [0, 1]; infinitely differentiable (tanh)."""
    # An accelerator would otherwise round the factors to fewer bits than their dtype has.
    hidden = jnp.tanh(jnp.dot(x, params["w1"], precision="highest") + params["b1"])
    return jnp.dot(hidden, params["w2"], precision="highest") + params["b2"]


def cross_entropy(
    params: Params, x: Float[ArrayLike, "*B 64"], label: Int[ArrayLike, "*B"]
) -> Float[Array, "*B"]:
    """``-log p(label | x)``, in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(apply(params, x), jnp.asarray(label))


def train(data: digits.Digits, settings: Settings = DEFAULT) -> Classifier:
    """Full-batch Adam with weight decay: no mini-batch noise to amplify rounding.

    The result depends on neither ``jax_enable_x64`` nor a surrounding trace.

    Args:
        data: the digits; only the train split trains, only the test split is scored.
        settings: the number of units and steps, the rates and the seed.
    """
    schedule = optax.cosine_decay_schedule(settings.learning_rate, settings.num_steps)
    optimizer = optax.adamw(schedule, weight_decay=settings.weight_decay)

    def step(carry, _):
        params, opt_state = carry
        gradient = jax.grad(_mean_loss)(params, *data.train)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (jax.tree.map(jnp.add, params, updates), opt_state), None

    @jax.jit
    def run(key):
        params = init(key, num_hidden=settings.num_hidden)
        (params, _), _ = jax.lax.scan(
            step, (params, optimizer.init(params)), length=settings.num_steps
        )
        logits = apply(params, data.test.images)
        return params, jnp.sum(jnp.argmax(logits, axis=-1) == data.test.labels)

    with jax.enable_x64(False), jax.ensure_compile_time_eval():
        params, num_correct = jax.device_get(run(jax.random.key(settings.seed)))
    return Classifier(params, int(num_correct) / len(data.test.labels))


def pretrained() -> Classifier:
    """The classifier of default settings, trained at the first call and cached on disk.

    Raises:
        ValueError: the cached file is damaged; the message says what to do.
    """

    def make() -> cache.Arrays:
        classifier = train(digits.load())
        return {**classifier.params, "test_accuracy": np.asarray(classifier.test_accuracy)}

    shapes = jax.eval_shape(lambda: init(jax.random.key(0), num_hidden=DEFAULT.num_hidden))
    arrays = cache.load_or_make(
        _cache_name(),
        make,
        shapes={name: leaf.shape for name, leaf in shapes.items()} | {"test_accuracy": ()},
    )
    accuracy = float(arrays["test_accuracy"])
    return Classifier({name: arrays[name] for name in ("w1", "b1", "w2", "b2")}, accuracy)


def _mean_loss(params: Params, images: ArrayLike, labels: ArrayLike) -> Array:
    return jnp.mean(cross_entropy(params, images, labels))


def _cache_name() -> str:
    """A name that changes with the settings, the JAX version and the kind of device."""
    recipe = [_RECIPE, DEFAULT, digits.SPLIT_SEED, jax.__version__, jax.default_backend()]
    return f"digit_classifier-{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]}"
