"""What metrics are measured in: pixels, a classifier that this suite trains, or your own function.

Distances between pixels are not distances between what they show. A small classifier's last hidden
layer is nearer to it; its recipe and the hash of its weights go into the record of every run that
used it, for a number in one set of features says nothing about another.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from sigmaprop.metrics.scoring import Features
from sigmaprop.names import unknown
from sigmaprop.runs import own_functions
from sigmaprop.runs.own_functions import described, told
from sigmaprop.runs.own_sources import is_own, refused, sha256

NAMES = ("pixels", "classifier")
"""What ``--features`` takes, beside ``path/to/file.py:function``."""


class Recipe(NamedTuple):
    """How the classifier is trained: two hidden layers of tanh, the last one being the features.

    Attributes:
        num_hidden: units of the first layer.
        num_features: units of the second, F.
        num_steps: of Adam.
        batch_size: rows of a step, drawn with replacement.
        learning_rate: at the first step; it decays to 0 as a cosine.
        weight_decay: decoupled, in units of the learning rate.
        seed: of weights and batches.
    """

    num_hidden: int = 128
    num_features: int = 32
    num_steps: int = 1000
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    seed: int = 0


class FeatureMap(NamedTuple):
    """Features with what is recorded of them.

    Attributes:
        name: "pixels", "classifier", or the spec of a file.
        function: rows [N, D] to features [N, F]; None for the rows themselves.
        record: recipe, hash and accuracy, for a JSON file.
    """

    name: str
    function: Features | None
    record: dict[str, Any]


def get(
    name: str,
    x: Float[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"] | None,
    train: Int[np.ndarray, " T"],
    test: Int[np.ndarray, " M"],
) -> FeatureMap:
    """The features of a name for a data set.

    Args:
        name: of `NAMES`, or ``path/to/file.py:function``, a function of rows [N, D].
        x: all examples.
        labels: class of each, which the classifier needs.
        train: rows that it is trained on.
        test: rows that its accuracy is measured on.

    Raises:
        ValueError: unknown name, no labels, or a file or function that is refused.
    """
    if is_own(name):
        return FeatureMap(name, _own(name, x.shape[1]), {"sha256": sha256(name)})
    if name == "pixels":
        return FeatureMap(name, None, {})
    if name != "classifier":
        raise unknown("features", name, (*NAMES, "path/to/file.py:function"))
    if labels is None:
        raise ValueError(
            "features 'classifier' need a data set with classes; this one has none: take 'pixels' "
            "or path/to/file.py:function"
        )
    return classifier(x, labels, train, test)


def classifier(
    x: Float[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"],
    train: Int[np.ndarray, " T"],
    test: Int[np.ndarray, " M"],
    recipe: Recipe = Recipe(),  # noqa: B008
) -> FeatureMap:
    """Trains the classifier on some rows; its last hidden layer is the features."""
    num_classes = int(labels.max()) + 1
    params = jax.device_get(
        _train(recipe, num_classes)(
            jax.random.key(recipe.seed), jnp.asarray(x[train]), jnp.asarray(labels[train])
        )
    )
    right = np.argmax(apply(params, jnp.asarray(x[test]))[1], axis=1) == labels[test]
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    record = {
        "recipe": recipe._asdict(),
        "num_classes": num_classes,
        "num_rows": len(train),
        "test_accuracy": float(right.mean()),
        "sha256": digest.hexdigest(),
    }
    return FeatureMap("classifier", lambda rows: apply(params, rows)[0], record)


def init(key: Key[Array, ""], dim: int, num_classes: int, recipe: Recipe) -> dict[str, Array]:
    """Weights of variance 1 / fan-in, and zero biases."""
    sizes = (dim, recipe.num_hidden, recipe.num_features, num_classes)
    params = {}
    for layer, one in enumerate(jax.random.split(key, 3)):
        shape = sizes[layer], sizes[layer + 1]
        params[f"w{layer}"] = jax.random.normal(one, shape) / np.sqrt(shape[0])
        params[f"b{layer}"] = jnp.zeros(shape[1])
    return params


def apply(params: Any, x: Float[Array, "N D"]) -> tuple[Array, Array]:
    """Features [N, F] and logits [N, C]."""
    highest = jax.lax.Precision.HIGHEST
    hidden = jnp.tanh(jnp.matmul(x, params["w0"], precision=highest) + params["b0"])
    features = jnp.tanh(jnp.matmul(hidden, params["w1"], precision=highest) + params["b1"])
    return features, jnp.matmul(features, params["w2"], precision=highest) + params["b2"]


def _train(recipe: Recipe, num_classes: int) -> Callable[..., Any]:
    """The whole training as one function of (key, x, labels)."""
    schedule = optax.cosine_decay_schedule(recipe.learning_rate, recipe.num_steps)
    optimizer = optax.adamw(schedule, weight_decay=recipe.weight_decay)

    def loss(params: Any, x: Array, labels: Array) -> Array:
        logits = apply(params, x)[1]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

    @jax.jit
    def train(key: Array, x: Array, labels: Array) -> Any:
        key_init, key_rows = jax.random.split(key)
        params = init(key_init, x.shape[1], num_classes, recipe)

        def step(carry: Any, t: Array) -> tuple[Any, None]:
            params, opt_state = carry
            key = jax.random.fold_in(key_rows, t)
            rows = jax.random.randint(key, (recipe.batch_size,), 0, len(x))
            grads = jax.grad(loss)(params, x[rows], labels[rows])
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), None

        carry = (params, optimizer.init(params))
        return jax.lax.scan(step, carry, jnp.arange(recipe.num_steps))[0][0]

    return train


def _own(spec: str, dim: int) -> Features:
    """The function in a file, once it is known to give features of rows."""
    function = own_functions.load(spec, "features")
    rows = jax.ShapeDtypeStruct((5, dim), jnp.float32)
    try:
        found = jax.eval_shape(function, rows)
    except Exception as error:
        raise refused(spec, f"on rows [5, {dim}] it raises {told(error)}", "features") from error
    shape = getattr(found, "shape", ())
    floating = hasattr(found, "dtype") and jnp.issubdtype(found.dtype, jnp.floating)
    if len(shape) != 2 or shape[0] != 5 or not floating:
        wanted = "it must give floating features [N, F] of rows [N, D]"
        raise refused(spec, f"it gives {described(found)}; {wanted}", "features")
    return function
