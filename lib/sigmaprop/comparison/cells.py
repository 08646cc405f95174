"""One estimator on one function: independent replicates at every sigma, in one compiled program."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from sigmaprop import estimators, meshes, processes
from sigmaprop.estimators import Choice
from sigmaprop.estimators.estimation import estimate
from sigmaprop.gaussians import Gaussian

_CHUNK_ELEMENTS = 2**18


class Setting(NamedTuple):
    """How one estimator is run.

    Attributes:
        label: of the estimator, as in ``sigmaprop.estimators.labels()``.
        noise: name of the noise scheme.
        num_samples: points x of one estimate.
        replicates: independent estimates.
    """

    label: str
    noise: str
    num_samples: int
    replicates: int

    @property
    def choice(self) -> Choice:
        """Name, control variate and options."""
        return estimators.parse(self.label)

    @property
    def estimator(self) -> estimators.Estimator:
        """The estimator itself."""
        return estimators.of_label(self.label, self.noise)


class Cell(NamedTuple):
    """What replicates of one estimator gave. S: sigma, R: replicate.

    Attributes:
        gradient: Gaussian-shaped, leading axes [S, R], float64.
        variance: Gaussian-shaped, reported num_samples x Var(estimate), leading axes [S, R].
        seconds: of one device for one estimate of num_samples points; NaN without a clock.
        evaluations: of f, its gradient or a product with its Hessian, for one estimate.
        temporary_bytes: memory that the compiled program asks for beside inputs and outputs.
    """

    gradient: Any
    variance: Any
    seconds: float
    evaluations: int
    temporary_bytes: int


def measure(
    f: Callable[[Float[Array, " D"]], Float[Array, ""]],
    gaussians: Sequence[Gaussian],
    setting: Setting,
    key: Array,
    clock: Callable[[], float] | None = None,
    repeats: int = 5,
    devices: Sequence[Any] | None = None,
) -> Cell:
    """Runs the replicates at every Gaussian, with the same noise at each, devices side by side.

    Args:
        f: maps x [D] to a scalar.
        gaussians: [S] of one family and dimension.
        setting: the estimator and its sizes.
        key: typed key; replicate r uses ``fold_in(key, r)``.
        clock: seconds, to time the compiled program by; None: not timed.
        repeats: timed runs, of which the median counts.
        devices: over which the Gaussians are spread; None: all accelerators, or one CPU device, for
            XLA rounds the last bit of a variance in another way where it compiles for several.

    Raises:
        ValueError: as `sigmaprop.estimate`.
    """
    mesh = meshes.make(_devices(len(gaussians)) if devices is None else devices)
    rounds = -(-len(gaussians) // mesh.size)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *gaussians)
    inputs = processes.place(
        meshes.pad(stacked, rounds * mesh.size), NamedSharding(mesh, PartitionSpec(meshes.BATCH))
    )
    inputs = (inputs, processes.place(key, NamedSharding(mesh, PartitionSpec())))
    compiled = jax.jit(program(f, gaussians[0], setting, mesh)).lower(*inputs).compile()
    found = processes.fetch(jax.block_until_ready(compiled(*inputs)))
    gradient, variance = jax.tree.map(lambda leaf: np.float64(leaf[: len(gaussians)]), found)
    seconds = np.nan
    if clock is not None:
        each = rounds * setting.replicates
        seconds = median_seconds(lambda: compiled(*inputs), clock, repeats) / each
    return Cell(
        gradient,
        variance,
        seconds,
        _evaluations(setting, gaussians[0]),
        _temporary_bytes(compiled),
    )


def _devices(num: int) -> Sequence[Any]:
    """Those that so many Gaussians are spread over."""
    return meshes.among(num) if jax.default_backend() != "cpu" else jax.local_devices()[:1]


def program(
    f: Callable[[Array], Array], like: Gaussian, setting: Setting, mesh: Mesh
) -> Callable[[Gaussian, Array], tuple[Any, Any]]:
    """``(gaussians [S], key) -> (gradients, variances)``, [S, R] each, of `measure`'s replicates.

    Args:
        f: see `measure`.
        like: a Gaussian of their family and dimension.
        setting: see `measure`.
        mesh: of as many devices as divide S.
    """
    name, variate, options = setting.choice
    width = sum(np.size(leaf) for leaf in jax.tree.leaves(like))
    width = max(width, setting.estimator.columns(like.noise_dim))
    chunk = max(1, _CHUNK_ELEMENTS // (width * setting.replicates))

    def one(gaussian: Any, key: Array) -> tuple[Any, Any]:
        found = estimate(
            f,
            gaussian,
            key,
            setting.num_samples,
            estimator=name,
            noise=setting.noise,
            control_variate=variate,
            options=options,
            chunk=chunk,
        )
        return found.gradient, found.variance

    def every(gaussians: Gaussian, key: Array) -> tuple[Any, Any]:
        keys = jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(setting.replicates))
        return meshes.map_rows(mesh, jax.vmap(one, in_axes=(None, 0)))(gaussians, keys)

    return every


def median_seconds(run: Callable[[], Any], clock: Callable[[], float], repeats: int) -> float:
    """The median time of so many runs to the end."""
    times = []
    for _ in range(repeats):
        start = clock()
        jax.block_until_ready(run())
        times.append(clock() - start)
    return float(np.median(times))


def _evaluations(setting: Setting, gaussian: Gaussian) -> int:
    """Evaluations for one estimate; deterministic ones count their nodes or their directions."""
    estimator = setting.estimator
    if estimator.name == "at_mean":
        return 1
    if estimator.name == "second_order":
        return gaussian.noise_dim
    draws = setting.num_samples // estimator.samples_per_draw
    return draws * estimator.evaluations(gaussian.noise_dim)


def _temporary_bytes(program: Any) -> int:
    """What XLA plans for intermediate results; -1 where the backend does not say."""
    analysis = program.memory_analysis()
    return -1 if analysis is None else int(analysis.temp_size_in_bytes)
