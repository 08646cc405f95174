"""Options of `sigmaprop vae`, its presets, and what may be swept.

Like `config` of the other commands, this module imports nothing heavy.
"""

import dataclasses
from typing import Annotated, Literal

import tyro

from sigmaprop.data.options import DataOptions

from ..options import LARGEST_SIGMA, VaeArm, option
from ..training.cells import cell_type, check_cells, each
from ..training.sweep import Sweep, check, check_sigmas, sweep_type, sweepable, taken


@dataclasses.dataclass(frozen=True)
class VaeOptions:
    """A variational autoencoder whose decoder is N(mean(z), Sigma(z))."""

    dataset: str = option("digits", group="data", sweepable=False)
    """Data: ring, grid, spirals, gaussian, linear_gaussian, digits; an image set that `sigmaprop
    data prepare` has made, such as fashion_mnist; or your own, path/to/file.npz with an array x."""
    data: DataOptions = option(DataOptions, group="data", sweepable=False)
    """What to make of the data; grey levels have a likelihood once they are dequantised."""
    redraw_split: bool = option(False, group="data", sweepable=False)
    """Whether each seed draws anew which rows train and which validate; the test rows stay."""
    arm: VaeArm = option("global", group="sigma")
    """Where sigma comes from. unit: 1. fixed: --sigma. optimal: the root mean square error of the
    batch. Learned, from --sigma-start: global (one number), per_pixel, heteroscedastic (sigma(z)),
    low_rank (per pixel and a factor of --rank columns). Sigma 0 has no likelihood."""
    sigma: float = option(0.1, within=(1e-12, LARGEST_SIGMA), group="sigma", arms=("fixed",))
    """Sigma of the arm fixed, in units of x, above 0."""
    sigma_start: float = option(
        0.3, within=(1e-12, LARGEST_SIGMA), group="sigma", arms=("learned",)
    )
    """Where learned sigmas start, inside floor and ceiling."""
    sigma_floor: float = option(
        1e-3, within=(1e-12, LARGEST_SIGMA), group="sigma", arms=("bounded",)
    )
    """Smallest learned or optimal sigma; the share of time spent at it is recorded."""
    sigma_ceiling: float = option(
        10.0, within=(1e-12, LARGEST_SIGMA), group="sigma", arms=("bounded",)
    )
    """Largest learned or optimal sigma."""
    parameterisation: Literal["log", "softplus", "linear", "inverse"] = option(
        "log", group="sigma", static=True, arms=("learned",)
    )
    """What the optimiser moves: log sigma, its softplus inverse, sigma itself, or 1 / sigma by
    gradient and proximal steps (arms global and per_pixel, --sigma-optimizer sgd)."""
    rank: int = option(2, within=(1, 10**6), group="sigma", static=True, arms=("low_rank",))
    """Columns of low_rank's factor, 1 to the dimension of x."""
    kl: Literal["analytic", "monte_carlo"] = option("analytic", group="the bound", static=True)
    """The divergence of q(z|x) to the prior: in closed form, or at the z that is decoded."""
    objective: Literal["nll", "beta_nll"] = option("nll", group="the bound", static=True)
    """What the decoder pays: -log p(x|z), or its coordinates weighted by sigma^(2 beta)."""
    beta: float = option(0.5, within=(0, 1), group="the bound")
    """Of beta_nll, 0 (the likelihood) to 1 (the mean learns as from a squared error)."""
    mean_gradient: Literal["joint", "detached"] = option("joint", group="the bound", static=True)
    """joint: mean and sigma pay one bound. detached: sigma does not move the mean, which learns as
    if sigma were --mean-sigma."""
    mean_sigma: float = option(1.0, within=(1e-12, LARGEST_SIGMA), group="the bound")
    """The sigma that the mean of detached learns under, above 0."""
    generator: str = option("mlp", group="networks", static=True)
    """Network of the decoder's mean: mlp, linear (W z + b), goodfellow2014, dcgan, wu10, wu50, or
    your own, path/to/file.py:function."""
    widths: tuple[int, ...] = option((128, 128), group="networks", sweepable=False, static=True)
    """Hidden layers of the generator mlp."""
    encoder_widths: tuple[int, ...] = option(
        (128, 128), group="networks", sweepable=False, static=True
    )
    """Hidden layers of the encoder; none: it is linear, which suits a linear decoder."""
    channels: int = option(64, within=(1, 4096), group="networks", static=True)
    """Channels of dcgan's largest images; deeper layers have multiples."""
    activation: Literal["relu", "leaky_relu", "tanh", "softplus", "silu", "gelu"] = option(
        "relu", group="networks", static=True
    )
    """Of encoder, and of the generators mlp and dcgan."""
    output: Literal["linear", "sigmoid", "tanh"] = option("linear", group="networks", static=True)
    """Of the decoder's mean."""
    latent_dim: int = option(16, within=(1, 10**6), group="networks", static=True)
    """Length of z, which is standard normal."""
    dtype: Literal["float32", "bfloat16"] = option("float32", group="networks", static=True)
    """In which the networks' products are computed; parameters and likelihoods stay float32."""
    batch_size: int = option(64, within=(1, 10**6), group="optimisers", static=True)
    """Examples in a step."""
    learning_rate: float = option(1e-3, within=(0, 1e6), group="optimisers")
    """Of encoder and decoder."""
    sigma_learning_rate: float | None = option(
        None, within=(0, 1e6), group="optimisers", arms=("learned",)
    )
    """Of what makes sigma. None: --learning-rate."""
    optimizer: Literal["adam", "sgd"] = option("adam", group="optimisers", static=True)
    """Of encoder and decoder."""
    sigma_optimizer: Literal["adam", "sgd"] = option(
        "adam", group="optimisers", static=True, arms=("learned",)
    )
    """Of what makes sigma."""
    b1: float = option(0.9, within=(0, 1), group="optimisers", static=True)
    """Adam's decay of the first moment, 0 to 1."""
    b2: float = option(0.999, within=(0, 1), group="optimisers", static=True)
    """Adam's decay of the second moment, 0 to 1."""


SWEEPABLE = sweepable(VaeOptions)
VaeSweep = sweep_type("VaeSweep", VaeOptions, __name__)
VaeCell = cell_type("VaeCell", VaeOptions, __name__)


def _arms(*names: str) -> Sweep:
    """A sweep over arms."""
    return VaeSweep(arm=names)


@dataclasses.dataclass(frozen=True)
class VaeConfig(VaeOptions):
    """Train variational autoencoders in every treatment of sigma, side by side in one program."""

    sweep: VaeSweep = dataclasses.field(  # pyright: ignore[reportInvalidTypeForm]
        default_factory=lambda: _arms("unit", "fixed", "global", "optimal", "per_pixel")
    )
    """Options to give several values at once, such as `--sweep.arm unit global optimal`."""
    cells: Annotated[tuple[VaeCell, ...], tyro.conf.Fixed, tyro.conf.Suppress] = ()  # pyright: ignore[reportInvalidTypeForm]
    """Cells that were given one by one, instead of a sweep; see `--cells` of the command."""
    crossing: Literal["concerned", "full"] = option("concerned", group="the run", missing="full")
    """What a sweep crosses. concerned: an option multiplies only the arms that it concerns, so unit
    runs once for all values of --sweep.sigma. full: every combination runs."""
    steps: int = option(3000, within=(1, 10**8), group="the run")
    """Steps, 1 to 10^8."""
    seeds: int = option(4, within=(1, 10**4), group="the run")
    """Seeds of every combination, shared by all of them, 1 to 10^4. Intervals need 3 or more."""
    first_seed: int = option(0, within=(0, 10**6), group="the run")
    """Number of the first of them, 0 to 10^6: --seeds 2 --first-seed 1 runs the middle two of
    --seeds 4, to their bits."""
    seed: int = option(0, within=(0, 2**32 - 1), group="the run")
    """Root of all randomness, 0 to 4294967295."""
    evaluations: int = option(5, within=(1, 1000), group="measurements")
    """Evaluations on validation examples in the last fifth of the run, 1 to 1000; four are earlier.
    The test examples are evaluated once, at the end."""
    eval_draws: int = option(64, within=(1, 10**6), group="measurements")
    """Draws of z for each example behind the bounds ELBO and IWAE, 1 to 10^6."""
    eval_examples: int = option(1000, within=(1, 10**8), group="measurements")
    """Most held-out examples of an evaluation, 1 to 10^8."""
    metrics_every: int = option(20, within=(1, 10**6), group="the run")
    """Steps that recorded losses and sigmas are averaged over, 1 to 10^6."""
    checkpoint_seconds: float = option(10.0, within=(1e-3, 1e6), group="the run")
    """Seconds of work between checkpoints, > 0; no number depends on it."""
    replica_chunk: int | Literal["auto"] | None = option(None, within=(1, 10**6), group="the run")
    """Replicas that are vectorised together; halved where a device is out of memory. auto: as many
    of a device as its memory takes, by what the compiled programs need. None: 1 on a CPU, else all
    of a device up to 1024."""
    deterministic: bool = option(False, group="the run")
    """Whether numbers have the same bits for any number of devices and replicas beside: one replica
    at a time, deterministic operations on a GPU. On a CPU the default."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        check(self)
        check_cells(self)
        check_sigmas(taken(self))
        for cell, values in each(self):
            with cell.blamed():
                check_sigmas(values)
        if self.deterministic and self.replica_chunk not in (None, 1):
            raise ValueError(
                f"--replica-chunk {self.replica_chunk} and --deterministic exclude each other: "
                "vectorised replicas round differently; leave one out"
            )


VAE_PRESETS = {
    "digits": VaeConfig(data=DataOptions(dequantise=True), sigma_learning_rate=1e-2),
    "demo": VaeConfig(
        data=DataOptions(dequantise=True),
        sigma_learning_rate=1e-2,
        sweep=_arms("unit", "global", "optimal"),
        steps=400,
        evaluations=1,
        eval_draws=16,
    ),
    "fashion": VaeConfig(
        dataset="fashion_mnist",
        data=DataOptions(dequantise=True),
        widths=(256, 256),
        encoder_widths=(256, 256),
        latent_dim=32,
        batch_size=128,
        sigma_learning_rate=1e-2,
        steps=20_000,
        seeds=3,
        metrics_every=50,
        eval_examples=10_000,
    ),
    "linear_gaussian": VaeConfig(
        dataset="linear_gaussian",
        generator="linear",
        encoder_widths=(),
        latent_dim=2,
        batch_size=256,
        learning_rate=1e-2,
        sigma_start=1.0,
        eval_examples=2000,
    ),
}
