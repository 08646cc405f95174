"""Options of `sigmaprop gan`, its presets, and what may be swept.

Like `config`, this module imports nothing heavy: what needs a name looked up is checked when the
experiment is prepared.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sigmaprop.data.options import DataOptions
from sigmaprop.names import shown

from ..options import LARGEST_SIGMA, Arm, SigmaGradient, option
from ..training.cells import cell_type, check_cells, each
from ..training.sweep import Sweep, check, check_sigmas, sweep_type, sweepable, taken


@dataclasses.dataclass(frozen=True)
class GanOptions:
    """A GAN whose generator ends in N(mean(z), Sigma(z))."""

    dataset: str = option("digits", group="data", sweepable=False)
    """Data: ring, grid, spirals, gaussian, linear_gaussian, digits; an image set that `sigmaprop
    data prepare` has made: mnist, fashion_mnist, kmnist, cifar10, cifar100, svhn_cropped; or your
    own, path/to/file.npz with an array x."""
    data: DataOptions = option(DataOptions, group="data", sweepable=False)
    """What to make of the data."""
    redraw_split: bool = option(False, group="data", sweepable=False)
    """Whether each seed draws anew which rows train and which validate, and is scored with
    bandwidths of its own training rows; the test rows stay. Else the split fixed by name."""
    arm: Arm = option("global", group="sigma")
    """Where sigma comes from. zero: exactly 0. fixed: --sigma. scheduled: from --sigma to
    --sigma-last. Learned, from --sigma-start: global (one number), per_pixel, heteroscedastic
    (sigma(z)), low_rank (per pixel and a factor of --rank columns). more_latents: exactly 0, and
    --more-latents more latents inside the generator. post_hoc: trained as zero, with noise fitted
    to validation examples where it is scored. Given: oracle (the noise that
    --data.noise-std added to the data), frozen (what --frozen-from learned)."""
    placement: Literal["model", "shared"] = option("model", group="sigma", arms=("noisy",))
    """model: only generated examples get the noise. shared: real ones get noise of the same scale,
    another game: it has no level of sigma to settle at."""
    sigma_player: Literal["generator", "discriminator"] = option(
        "generator", group="sigma", static=True, arms=("noisy",)
    )
    """Who moves a shared sigma: the generator, so that less can be told apart, or the
    discriminator, so that more can (Spread Divergence)."""
    gradient: Literal["pathwise", "at_mean"] = option(
        "pathwise", group="gradients", static=True, arms=("noisy",)
    )
    """Where the generator differentiates the discriminator: at x, or at the mean although the
    discriminator sees x."""
    sigma_gradient: SigmaGradient = option(
        "pathwise", group="gradients", static=True, arms=("noisy",)
    )
    """Estimator of the gradient to sigma. bonnet_price needs a discriminator without kinks."""
    mean_gradient: Literal["joint", "detached"] = option(
        "joint", group="gradients", static=True, arms=("heteroscedastic",)
    )
    """Whether the gradient to sigma(z) moves the network of the mean too, or its head alone."""
    noise_samples: int = option(1, within=(1, 4096), group="gradients", static=True)
    """Draws of the noise for each latent of a generator step, 1 to 4096."""
    sigma: float = option(
        0.1, within=(0, LARGEST_SIGMA), group="sigma", arms=("fixed", "scheduled")
    )
    """Sigma of the arm fixed, first sigma of scheduled, in units of x, 0 to 1e6."""
    sigma_last: float = option(0.01, within=(0, LARGEST_SIGMA), group="sigma", arms=("scheduled",))
    """Last sigma of scheduled, 0 to 1e6; for exponential the floor, above 0."""
    sigma_schedule: Literal["constant", "linear", "cosine", "exponential"] = option(
        "exponential", group="sigma", arms=("scheduled",)
    )
    """How scheduled runs from --sigma to --sigma-last, over all --steps."""
    sigma_start: float = option(
        0.1, within=(1e-12, LARGEST_SIGMA), group="sigma", arms=("learned",)
    )
    """Where learned sigmas start, inside floor and ceiling."""
    sigma_floor: float = option(
        1e-3, within=(1e-12, LARGEST_SIGMA), group="sigma", arms=("learned",)
    )
    """Smallest learned sigma, above 0; the share of time spent at it is recorded."""
    sigma_ceiling: float = option(
        10.0, within=(1e-12, LARGEST_SIGMA), group="sigma", arms=("learned",)
    )
    """Largest learned sigma."""
    parameterisation: Literal["log", "softplus", "signed", "linear"] = option(
        "log", group="sigma", static=True, arms=("learned",)
    )
    """What the optimiser moves: log sigma, its softplus inverse, a scale of either sign, or sigma
    itself (linear; with --entropy-weight its log takes a proximal step, by --sigma-optimizer sgd).
    """
    rank: int = option(2, within=(1, 10**6), group="sigma", static=True, arms=("low_rank",))
    """Columns of low_rank's factor, 1 to the dimension of x."""
    more_latents: int | None = option(
        None, within=(1, 10**6), group="sigma", arms=("more_latents",)
    )
    """Latents that the generator of the arm more_latents has beside --latent-dim; they enter at its
    last hidden layer, before the activation. None: as many as x has coordinates."""
    post_hoc: Literal["isotropic", "diagonal"] = option(
        "isotropic", group="sigma", arms=("post_hoc",)
    )
    """What the arm post_hoc fits: one number, or one for each coordinate."""
    frozen_from: Path | None = option(None, group="sigma", sweepable=False)
    """Finished run whose learned noise is the constant of the arm frozen, seed by seed: a number,
    per pixel or with a factor (means over the last fifth of its steps), or sigma(z), computed by a
    copy of the generator that it ended with (of the moving average where it keeps one)."""
    frozen_cell: str | None = option(None, group="sigma", sweepable=False)
    """Label of that run's cell. None: its only one that learned."""
    frozen_values: tuple[float, ...] = option((), group="sigma", sweepable=False)
    """Those constants, which the command reads of --frozen-from and records: of every seed in turn
    one sigma, or one for each coordinate, or these and then a factor's rows."""
    frozen_sha256: str | None = option(None, group="sigma", sweepable=False)
    """SHA-256 of the constants, recorded in place of them where they are more than 2^20 numbers or
    generators that compute sigma(z): these lie in the run's own frozen.npz."""
    entropy_weight: float = option(0.0, within=(0, 1e6), group="gradients", arms=("noisy",))
    """What the generator is paid for a nat of its entropy, by Hamiltonian Monte Carlo; >= 0."""
    entropy_burn_in: int = option(
        5, within=(0, 1000), group="gradients", missing=2, static=True, arms=("noisy",)
    )
    """Moves of each of its chains before the two that count, 0 to 1000. Chains start at the latent
    that made x, and what has not left it, (1 - acceptance)^moves or more, biases the gradient."""
    loss: Literal[
        "non_saturating", "minimax", "least_squares", "hinge", "wasserstein", "relativistic"
    ] = option("non_saturating", group="the game", static=True)
    """What the players minimise; relativistic pairs each generated example with a real one."""
    r1: float = option(0.0, within=(0, 1e9), group="the game")
    """Weight of |grad D|^2 / 2 at real examples, >= 0."""
    r2: float = option(0.0, within=(0, 1e9), group="the game")
    """Weight of |grad D|^2 / 2 at generated examples, >= 0."""
    gradient_penalty: float = option(0.0, within=(0, 1e9), group="the game")
    """Weight of (|grad D| - 1)^2 between real and generated examples, >= 0."""
    roth: float = option(0.0, within=(0, 1e9), group="the game")
    """Weight of Roth's regulariser of the Jensen-Shannon loss: a noise variance, >= 0."""
    approximate_r1: float = option(0.0, within=(0, 1e9), group="the game")
    """Weight of |D(x + s eps) - D(x)|^2 at real examples, s of --penalty-sigma, >= 0. The weight
    gamma / (2 s^2) stands for --r1 gamma."""
    approximate_r2: float = option(0.0, within=(0, 1e9), group="the game")
    """The same at generated examples, >= 0."""
    penalty_sigma: float = option(0.01, within=(1e-12, LARGEST_SIGMA), group="the game")
    """Std of the noise of both, in units of x, above 0. `sigmaprop penalties` measures where it is
    too large for a discriminator, and where too small for its dtype."""
    penalty_points: Literal["clean", "noised"] = option("noised", group="the game", static=True)
    """Where the penalties are taken: at examples as the discriminator sees them, or without noise
    (real examples as they are, generated ones at their mean)."""
    spectral_norm: bool = option(False, group="the game", static=True)
    """Whether the discriminator's kernels are divided by their spectral norms."""
    instance_noise: float = option(0.0, within=(0, LARGEST_SIGMA), group="the game")
    """First std of noise on all that the discriminator sees, in both players' steps, >= 0."""
    instance_noise_last: float = option(0.0, within=(0, LARGEST_SIGMA), group="the game")
    """Its last std; it falls linearly over all --steps."""
    instance_level: Literal["constant", "uniform", "half_normal", "log_normal"] = option(
        "constant", group="the game"
    )
    """What each example's std of that noise is, in units of the step's: 1; uniform from 0 to 1;
    |N(0, 1)|; exp N(0, 1). A real and a generated example of one place in the batch share it."""
    tell_level: bool = option(False, group="the game", static=True)
    """Whether the discriminator is told that std, as one more input."""
    instance_target: float = option(0.0, within=(0, 1), group="the game")
    """Diffusion-GAN's rule: the noise grows while the mean sign of D's outputs at real examples is
    above this, and shrinks below it, up to --instance-noise. 0: it does not adapt."""
    instance_rate: float = option(1e-3, within=(1e-9, 1), group="the game")
    """What it grows or shrinks by in a step, as a share of --instance-noise."""
    generator: str = option("mlp", group="networks", static=True)
    """Network of the mean: mlp, residual, linear (W z + b), goodfellow2014, dcgan, resnet, wu10,
    wu50 (the decoders of Wu et al., 2017), or your own, path/to/file.py:function."""
    discriminator: str = option("mlp", group="networks", static=True)
    """Network of the discriminator: mlp, residual, goodfellow2014 (maxout with dropout), dcgan,
    resnet, or your own, path/to/file.py:function."""
    dropout: bool = option(True, group="networks", static=True)
    """Whether the discriminator goodfellow2014 drops units in training."""
    widths: tuple[int, ...] = option((128, 128), group="networks", sweepable=False, static=True)
    """Hidden layers of the generator mlp; of residual one for each block, all the same."""
    discriminator_widths: tuple[int, ...] = option(
        (128, 128), group="networks", sweepable=False, static=True
    )
    """Hidden layers of the discriminator mlp; of residual one for each block, all the same."""
    waves: tuple[float, ...] = option(
        (), within=(1e-6, 1e6), group="networks", sweepable=False, static=True
    )
    """Frequencies f: the generator residual sees the sine and cosine of 2 pi f z too."""
    discriminator_waves: tuple[float, ...] = option(
        (), within=(1e-6, 1e6), group="networks", sweepable=False, static=True
    )
    """Frequencies f: the discriminator residual sees the sine and cosine of 2 pi f x too."""
    channels: int = option(64, within=(1, 4096), group="networks", static=True)
    """Channels of the largest images of dcgan and resnet, in both networks; deeper layers have
    multiples."""
    activation: Literal["relu", "leaky_relu", "tanh", "softplus", "silu", "gelu"] = option(
        "relu", group="networks", static=True
    )
    """Of the generators mlp, residual, dcgan and resnet."""
    discriminator_activation: Literal["relu", "leaky_relu", "tanh", "softplus", "silu", "gelu"] = (
        option("leaky_relu", group="networks", static=True)
    )
    """Of the discriminators mlp, residual, dcgan and resnet."""
    output: Literal["linear", "sigmoid", "tanh"] = option("linear", group="networks", static=True)
    """Of the generator. A bounded output with noise behind it is told by values out of range."""
    latent_dim: int = option(32, within=(1, 10**6), group="networks", static=True)
    """Length of z."""
    latent: Literal["normal", "uniform"] = option("normal", group="networks", static=True)
    """Distribution of z, of variance 1: normal, or uniform on +-sqrt 3."""
    dtype: Literal["float32", "bfloat16"] = option("float32", group="networks", static=True)
    """In which the networks' products are computed; parameters stay float32."""
    batch_size: int = option(64, within=(1, 10**6), group="optimisers", static=True)
    """Examples of each kind in a step."""
    learning_rate: float = option(1e-3, within=(0, 1e6), group="optimisers")
    """Of the generator."""
    discriminator_learning_rate: float | None = option(None, within=(0, 1e6), group="optimisers")
    """Of the discriminator. None: --learning-rate."""
    sigma_learning_rate: float | None = option(
        None, within=(0, 1e6), group="optimisers", arms=("learned",)
    )
    """Of what makes sigma. None: --learning-rate. Under Adam log sigma moves by at most about this
    a step, so it times --steps bounds where sigma can get to."""
    optimizer: Literal["adam", "sgd"] = option("adam", group="optimisers", static=True)
    """Of both networks."""
    sigma_optimizer: Literal["adam", "sgd"] = option(
        "adam", group="optimisers", static=True, arms=("learned",)
    )
    """Of what makes sigma."""
    b1: float = option(0.5, within=(0, 1), group="optimisers", static=True)
    """Adam's decay of the first moment, 0 to 1."""
    b2: float = option(0.99, within=(0, 1), group="optimisers", static=True)
    """Adam's decay of the second moment, 0 to 1."""
    momentum: float = option(0.0, within=(0, 1), group="optimisers", static=True)
    """Of sgd, at the start, 0 to 1."""
    momentum_last: float = option(0.0, within=(0, 1), group="optimisers", static=True)
    """Of sgd, from --momentum-steps on; linear before."""
    momentum_steps: int = option(1, within=(1, 10**9), group="optimisers", static=True)
    """Steps from --momentum to --momentum-last."""
    learning_rate_decay: float = option(1.0, within=(1, 10), group="optimisers")
    """Divisor of the networks' rates at each step, >= 1."""
    learning_rate_smallest: float = option(1e-6, within=(0, 1e6), group="optimisers")
    """Where the decay of the rates ends."""
    anneal: float = option(0.9, within=(1e-3, 1), group="optimisers")
    """Share of --steps in which --learning-rate-fall, --penalty-fall and --b2-last are reached, by
    half a cosine."""
    learning_rate_fall: float = option(1.0, within=(1, 1e9), group="optimisers")
    """Divisor of the networks' rates at the end, >= 1."""
    penalty_fall: float = option(1.0, within=(1, 1e9), group="optimisers")
    """Divisor of the penalties' weights at the end, >= 1, by a cosine of their logarithm."""
    b2_last: float | None = option(None, within=(0, 1), group="optimisers")
    """Adam's decay of the second moment at the end. None: --b2 at every step."""
    warm_up: int = option(0, within=(0, 10**8), group="optimisers")
    """Steps over which the networks' rates rise from 0."""
    discriminator_steps: int = option(1, within=(1, 100), group="optimisers", static=True)
    """Steps of the discriminator for each of the generator, 1 to 100."""
    simultaneous: bool = option(False, group="optimisers", static=True)
    """Whether both players move from the same point; else the discriminator goes first."""
    ema_decay: float = option(0.999, within=(0, 1), group="optimisers")
    """Decay of the moving average of generator and noise, which is scored beside the last iterate;
    shorter at first. 0 keeps none."""
    ema_half_life: float = option(0.0, within=(0, 1), group="optimisers")
    """Half-life of the moving average as a share of the steps so far, with --ema-decay as its
    longest memory. 0: a rule of about .08."""


SWEEPABLE = sweepable(GanOptions)
GanSweep = sweep_type("GanSweep", GanOptions, __name__)
GanCell = cell_type("GanCell", GanOptions, __name__)
QUICK_ARMS = ("zero", "fixed", "global", "per_pixel")


def arms(*names: str) -> Sweep:
    """A sweep over arms."""
    return GanSweep(arm=names)  # pyright: ignore[reportCallIssue]


@dataclasses.dataclass(frozen=True)
class GanConfig(GanOptions):
    """Train GAN generators in every treatment of sigma, many replicas in one compiled program."""

    sweep: GanSweep = dataclasses.field(default_factory=lambda: arms(*QUICK_ARMS))  # pyright: ignore[reportInvalidTypeForm]
    """Options to give several values at once, such as `--sweep.arm zero fixed global`."""
    cells: Annotated[tuple[GanCell, ...], tyro.conf.Fixed, tyro.conf.Suppress] = ()  # pyright: ignore[reportInvalidTypeForm]
    """Cells that were given one by one, instead of a sweep; see `--cells` of the command."""
    crossing: Literal["concerned", "full"] = option("concerned", group="the run", missing="full")
    """What a sweep crosses. concerned: an option multiplies only the arms that it concerns, so zero
    runs once for all values of --sweep.sigma. full: every combination runs."""
    steps: int = option(2500, within=(1, 10**8), group="the run")
    """Steps of the generator, 1 to 10^8."""
    seeds: int = option(4, within=(1, 10**4), group="the run")
    """Seeds of every combination, shared by all of them, 1 to 10^4. Intervals need 3 or more."""
    first_seed: int = option(0, within=(0, 10**6), group="the run")
    """Number of the first of them, 0 to 10^6: --seeds 2 --first-seed 1 runs the middle two of
    --seeds 4, to their bits."""
    seed: int = option(0, within=(0, 2**32 - 1), group="the run")
    """Root of all randomness, 0 to 4294967295."""
    evaluations: int = option(10, within=(1, 1000), group="measurements")
    """Checkpoints in the last fifth of the run that the comparison averages over, 1 to 1000; four
    earlier ones are scored too."""
    eval_samples: int = option(1000, within=(16, 10**6), group="measurements")
    """Generated examples behind each score, 16 to 10^6."""
    kernel: Literal["finest", "coarse"] = option("finest", group="measurements", missing="coarse")
    """Bandwidths of MMD²'s kernels. finest: down to the data's finest scale where that is known (of
    a mixture's components, say). coarse: from the median distance alone, which does not see how
    wide the components of a mixture are."""
    clean_scores: bool = option(True, group="measurements", missing=False)
    """Whether to score against the data before --data.noise-std as well, where it has noise."""
    held_out: Literal["validation", "test"] = option("validation", group="data")
    """Real examples to score against; keep the test set for the last word."""
    gap_evaluations: int = option(2, within=(0, 100), group="measurements")
    """How often the gap between grad f(mu) and grad E f(mu + sigma eps) is measured, with the
    discriminator as f, evenly up to the last step, 0 to 100."""
    gap_sigmas: tuple[float, ...] = option(
        (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625), group="measurements"
    )
    """Sigmas of that measurement, above 0."""
    gap_samples: int = option(4096, within=(64, 2**20), group="measurements")
    """Draws for each latent of it, a multiple of 16, 64 to 2^20."""
    metrics_every: int = option(20, within=(1, 10**6), group="the run")
    """Steps that recorded losses and sigmas are averaged over, 1 to 10^6."""
    checkpoint_seconds: float = option(10.0, within=(1e-3, 1e6), group="the run")
    """Seconds of work between checkpoints, > 0; no number depends on it."""
    replica_chunk: int | Literal["auto"] | None = option(None, within=(1, 10**6), group="the run")
    """Replicas that are vectorised together; halved where a device is out of memory. auto: as many
    of a device as its memory takes, by what the compiled programs need. None: 1 on a CPU, else all
    of a device up to 1024."""
    deterministic: bool = option(False, group="the run")
    """Whether training and scores have the same bits for any number of devices and replicas
    beside: one replica at a time, deterministic operations on a GPU. On a CPU the default; there
    the fit of the arm post_hoc has other last bits on a single device than on several."""
    tensorboard: bool = option(False, group="the run")
    """Whether to write event files for TensorBoard too (needs the extra `tensorboard`)."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        check(self)
        check_cells(self)
        _check_sigmas(taken(self))
        for cell, values in each(self):
            with cell.blamed():
                _check_sigmas(values)
        if self.deterministic and self.replica_chunk not in (None, 1):
            raise ValueError(
                f"--replica-chunk {self.replica_chunk} and --deterministic exclude each other: "
                "vectorised replicas round differently; leave one out"
            )
        if self.gap_samples % 16:
            raise ValueError(f"--gap-samples is {shown(self.gap_samples)}; give a multiple of 16")
        if not all(0 < sigma <= LARGEST_SIGMA for sigma in self.gap_sigmas):
            wrong = next(sigma for sigma in self.gap_sigmas if not 0 < sigma <= LARGEST_SIGMA)
            raise ValueError(f"--gap-sigmas holds {wrong}; each must be above 0, up to 1e6")


def _check_sigmas(values: dict[str, tuple[Any, ...]]) -> None:
    """Floor, start and ceiling in this order, swept or not; a schedule that exists."""
    check_sigmas(values)
    ends = (*values["sigma"], *values["sigma_last"])
    falling = "scheduled" in values["arm"] and "exponential" in values["sigma_schedule"]
    if falling and min(ends) <= 0:
        raise ValueError(
            "--sigma-schedule exponential runs between positive sigmas; give --sigma and "
            "--sigma-last above 0"
        )
