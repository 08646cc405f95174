"""What each command takes: a dataclass whose docstring and field docstrings are its help.

This module imports nothing heavy, so that ``--help`` answers at once.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from ..advise.config import AdviseConfig
from ..estimators.config import EstimatorsConfig
from ..evaluate.config import EvaluateConfig
from ..gan.config import GanConfig
from ..gan.presets import GAN_PRESETS
from ..jobs.options import JobsOptions
from ..limit.config import LimitConfig
from ..metrics.config import MetricsConfig
from ..penalties.config import PenaltiesConfig
from ..vae.config import VaeConfig

Positional = tyro.conf.Positional
if TYPE_CHECKING:
    GanPreset = str
else:  # the names of the record, which a type checker cannot know
    GanPreset = Literal[tuple(GAN_PRESETS)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shared:
    """A command that several processes can carry out together."""

    distributed: bool = False
    """Whether this is one of several processes that share the run, each with devices of its own:
    start the same command in all of them. SLURM, Kubernetes, MPI and TPU pods tell each where it
    belongs; elsewhere the three options below do. The first one writes, and speaks."""
    coordinator: str | None = None
    """Where the processes meet: HOST:PORT of the first one."""
    num_processes: int | None = None
    """How many processes share the run."""
    process_id: int | None = None
    """Which of them this is, from 0; 0 writes."""


@dataclasses.dataclass(frozen=True)
class DemoCommand:
    """Run both main experiments at their smallest: `limit --preset demo`, then `gan --preset demo`.

    It ends with the paths of the two reports; a first look, in about as long as `limit` takes.
    """

    run_dir: Path | None = None
    """Directory for both runs, new or empty. None: a fresh one under runs/."""


@dataclasses.dataclass(frozen=True)
class LimitOptions(LimitConfig):
    """What to measure, and how."""

    def __post_init__(self) -> None:
        """Nothing: the values are checked together once all are known, outside the parser."""


@dataclasses.dataclass(frozen=True)
class LimitCommand(Shared):
    """Sweep the Monte Carlo gradient of E f(x + sigma eps) against grad f(x).

    Without options it runs the preset `quick`. It ends with a table of conclusions and the path of
    an HTML report; the run directory holds every number.
    """

    limit: tyro.conf.OmitArgPrefixes[LimitOptions]
    preset: Literal["quick", "demo", "full"] = "quick"
    """Options to start from. quick: 6 objectives, about a minute on 2 cores; demo: 2 of them; full:
    16 objectives and 4 times the samples, some minutes. Options given beside it win."""
    config: Path | None = None
    """Options to start from instead: the config.json of an earlier run, or its directory. Options
    given beside it win."""
    run_dir: Path | None = None
    """Directory of this run, new or empty. None: a fresh one under runs/."""
    dry_run: bool = False
    """Whether to say what the run would take, and run nothing."""


@dataclasses.dataclass(frozen=True)
class EstimatorsOptions(EstimatorsConfig):
    """What to compare, and how."""

    def __post_init__(self) -> None:
        """Nothing, as in `LimitOptions`."""


@dataclasses.dataclass(frozen=True)
class EstimatorsCommand(Shared):
    """Compare estimators of the gradient of E f: bias, variance, cost and efficiency.

    Efficiency is 1 / (variance x time), the number to choose by. Without options it runs the preset
    `quick`. It ends with a table of conclusions and the path of an HTML report; the run directory
    holds every number.
    """

    estimators: tyro.conf.OmitArgPrefixes[EstimatorsOptions]
    preset: Literal["quick", "full"] = "quick"
    """Options to start from. quick: a few minutes on 2 cores; full: all Gaussians and estimators,
    an hour. Options given beside it win."""
    config: Path | None = None
    """Options to start from instead: the config.json of an earlier run, or its directory. Options
    given beside it win."""
    run_dir: Path | None = None
    """Directory of this run, new or empty. None: a fresh one under runs/."""
    dry_run: bool = False
    """Whether to say what the run would take, and run nothing."""


@dataclasses.dataclass(frozen=True)
class GanCommandOptions(GanConfig):
    """What to train, and how."""

    def __post_init__(self) -> None:
        """Nothing, as in `LimitOptions`."""


@dataclasses.dataclass(frozen=True)
class GanCommand(JobsOptions, Shared):
    """Train GAN generators N(mean(z), Sigma(z)) in every treatment of sigma, and compare them.

    All combinations of swept options run with every seed, side by side in one compiled program.
    Without options it runs the preset `digits`. It ends with a comparison of the arms and the path
    of an HTML report. A run that was stopped goes on with `sigmaprop resume`.
    """

    gan: Annotated[GanCommandOptions, tyro.conf.arg(name="")]
    preset: GanPreset = "digits"
    """Options to start from; options given beside it win. digits: 8x8 images, about a minute on 2
    cores; demo: a sixth of its steps; ring, grid: mixtures whose modes can be counted; fashion:
    DCGAN on fashion_mnist; r3_digits, r3_ring, r3_grid, r3_fashion: a GAN of today on the same
    data, with relativistic pairs, R1 and R2, residual networks, and rates, penalties and Adam that
    are annealed; goodfellow2014: the networks and rates of that paper on mnist. Both fashion ones
    and the last are for a GPU and need `sigmaprop data prepare`."""
    config: Path | None = None
    """Options to start from instead: the config.json of an earlier run, or its directory. Options
    given beside it win."""
    cells: Path | None = None
    """File with a list of cells, instead of a sweep: [{"name": "slow", "learning_rate": 1e-4}].
    Options that a cell does not name are the command's."""
    search: int | None = None
    """Cells of each arm to draw by chance from the lists of a sweep: numbers between the least and
    the greatest, log-uniformly where they are above 0; of words one."""
    search_seed: int = 0
    """Root of these draws."""
    run_dir: Path | None = None
    """Directory of this run, new or empty. None: a fresh one under runs/."""
    dry_run: bool = False
    """Whether to say what the run would take, and run nothing."""


@dataclasses.dataclass(frozen=True)
class VaeCommandOptions(VaeConfig):
    """What to train, and how."""

    def __post_init__(self) -> None:
        """Nothing, as in `LimitOptions`."""


@dataclasses.dataclass(frozen=True)
class VaeCommand(JobsOptions, Shared):
    """Train variational autoencoders in every treatment of the decoder's sigma, and compare them.

    All combinations of swept options run with every seed, side by side in one compiled program.
    Without options it runs the preset `digits`. It ends with the held-out likelihood of every arm
    and the path of an HTML report. A run that was stopped goes on with `sigmaprop resume`.
    """

    vae: Annotated[VaeCommandOptions, tyro.conf.arg(name="")]
    preset: Literal["digits", "demo", "fashion", "linear_gaussian"] = "digits"
    """Options to start from; options given beside it win. digits: 8x8 images; demo: fewer arms and
    steps; fashion: fashion_mnist, which needs `sigmaprop data prepare`; linear_gaussian: a linear
    decoder on data whose likelihood is known."""
    config: Path | None = None
    """Options to start from instead: the config.json of an earlier run, or its directory. Options
    given beside it win."""
    cells: Path | None = None
    """File with a list of cells, instead of a sweep: [{"name": "slow", "learning_rate": 1e-4}].
    Options that a cell does not name are the command's."""
    search: int | None = None
    """Cells of each arm to draw by chance from the lists of a sweep: numbers between the least and
    the greatest, log-uniformly where they are above 0; of words one."""
    search_seed: int = 0
    """Root of these draws."""
    run_dir: Path | None = None
    """Directory of this run, new or empty. None: a fresh one under runs/."""
    dry_run: bool = False
    """Whether to say what the run would take, and run nothing."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions(EvaluateConfig):
    """What to measure, and how."""

    run: Positional[str] = ""
    """Directory of a finished run of `gan` or `vae`."""

    def __post_init__(self) -> None:
        """Nothing, as in `LimitOptions`."""


@dataclasses.dataclass(frozen=True)
class EvaluateCommand(Shared):
    """Score a finished run of `gan` or `vae` by any metric, and by its likelihood.

    All replicas are scored at once: their means, their examples with sigma as trained, and with one
    sigma that is fitted to validation examples. The run is not changed: what is found lies below
    it, in `evaluations/`, and its report shows it. An evaluation that was stopped goes on with
    `sigmaprop resume`.
    """

    evaluate: Annotated[EvaluateOptions, tyro.conf.arg(name="")]
    preset: Literal["default"] = "default"
    """Options to start from; there is one set."""
    config: Path | None = None
    """Options to start from instead: the config.json of an earlier evaluation, or its directory.
    Options given beside it win."""
    run_dir: Path | None = None
    """Directory of this evaluation, new or empty. None: a fresh one under RUN/evaluations/."""
    dry_run: bool = False
    """Whether to say what it would take, and run nothing."""


@dataclasses.dataclass(frozen=True)
class MetricsOptions(MetricsConfig):
    """What to measure, and how."""

    def __post_init__(self) -> None:
        """Nothing, as in `LimitOptions`."""


@dataclasses.dataclass(frozen=True)
class MetricsCommand:
    """Measure which scale of samples every metric prefers, and which change of the data it sees.

    A metric that prefers too small a sigma answers whether to learn sigma before any training; one
    that sees no change cannot answer it. Without options it runs the preset `quick`. It ends with a
    table of conclusions and the path of an HTML report.
    """

    metrics: Annotated[MetricsOptions, tyro.conf.arg(name="")]
    preset: Literal["quick", "full", "digits", "ring"] = "quick"
    """Options to start from. quick: Gaussian data, 192 rows in 2 and 16 dimensions, some minutes on
    2 cores; full: 1000 rows in 64 dimensions too, an hour; digits, ring: on a data set. Options
    given beside it win."""
    config: Path | None = None
    """Options to start from instead: the config.json of an earlier run, or its directory. Options
    given beside it win."""
    run_dir: Path | None = None
    """Directory of this run, new or empty. None: a fresh one under runs/."""
    dry_run: bool = False
    """Whether to say what the run would take, and run nothing."""


@dataclasses.dataclass(frozen=True)
class PenaltiesOptions(PenaltiesConfig):
    """What to measure, and how."""

    def __post_init__(self) -> None:
        """Nothing, as in `LimitOptions`."""


@dataclasses.dataclass(frozen=True)
class PenaltiesCommand:
    """Measure where noise, finite differences and gradient penalties are the same thing.

    |D(x + sigma eps) - D(x)|^2 stands for R1 between a sigma that is too large for the curvature of
    the discriminator and one that is too small for its dtype; instance noise stands for R1, R1 + R2
    and Roth's form near D = 1/2. Without options it runs the preset `quick`. It ends with a table
    of conclusions and the path of an HTML report.
    """

    penalties: tyro.conf.OmitArgPrefixes[PenaltiesOptions]
    preset: Literal["quick", "full"] = "quick"
    """Options to start from. quick: two discriminators, under a minute on 2 cores; full: five,
    more networks and examples, some minutes. Options given beside it win."""
    config: Path | None = None
    """Options to start from instead: the config.json of an earlier run, or its directory. Options
    given beside it win."""
    run_dir: Path | None = None
    """Directory of this run, new or empty. None: a fresh one under runs/."""
    dry_run: bool = False
    """Whether to say what the run would take, and run nothing."""


@dataclasses.dataclass(frozen=True)
class ResumeCommand(Shared):
    """Go on with a run that was stopped, to the same numbers as if it had not been.

    The same bits are promised on the same machine with the same versions, flags, devices and
    replica chunk; differences are named. Before its first checkpoint a run starts at step 0. A
    config or metrics that were altered since are refused. Of a run that is complete it draws the
    report, where that is missing.
    """

    run: Positional[Path]
    """Directory of the run."""


@dataclasses.dataclass(frozen=True)
class DataCommand:
    """Prepare image sets for training without TensorFlow, or list what there is.

    `sigmaprop data list` shows every set. `sigmaprop data prepare fashion_mnist` downloads through
    tensorflow-datasets (extra `prepare`) and writes one compact file, which can be carried to
    another machine; with --from it reads the original files from a directory, without network.
    """

    what: Positional[Literal["list", "prepare"]]
    """What to do."""
    name: Positional[tuple[str, ...]] = ()
    """prepare: the set, a name in tensorflow-datasets."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """prepare: directory of the original files, as published or compressed anew. None: download."""
    out: Path | None = None
    """prepare: directory for the file. None: the cache, where training looks for it."""


@dataclasses.dataclass(frozen=True)
class AdviseOptions(AdviseConfig):
    """For what to advise."""

    def __post_init__(self) -> None:
        """Nothing, as in `LimitOptions`."""


@dataclasses.dataclass(frozen=True)
class AdviseCommand:
    """Say which estimator suits a function: pilot them all on a small budget, with the evidence.

    It finds jumps, where pathwise and score function disagree beyond their errors, and kinks that
    spoil Price's rule.
    """

    advise: tyro.conf.OmitArgPrefixes[AdviseOptions]


@dataclasses.dataclass(frozen=True)
class ReplayCommand:
    """Run a finished run again and say whether every number is the same to the bit.

    Differences of versions, devices and flags are named first. Exit status 1 if a number differs.
    A function of your own is run only if its file is what the run used.
    """

    run: Positional[Path]
    """Directory of the run to repeat."""
    run_dir: Path | None = None
    """Directory of the repetition, new or empty. None: a fresh one under runs/."""


@dataclasses.dataclass(frozen=True)
class ReportCommand:
    """Draw the figures, tables and HTML report of runs anew; overlay several.

    Of a run that is not finished it draws what there is, and says how to go on with it.
    """

    runs: Positional[tuple[Path, ...]]
    """Run directories; the first gives the tables, all are drawn."""
    out: Path | None = None
    """Directory for report.html and figures/. None: the run's own (one run only)."""


@dataclasses.dataclass(frozen=True)
class RunsCommand:
    """List runs: status, command, main number, size and age, the latest first.

    A directory that cannot be read gets a line that says why.
    """

    directory: Positional[Path] = Path("runs")
    """Directory that holds them."""


@dataclasses.dataclass(frozen=True)
class CompareCommand:
    """Print the options in which runs of one command differ, then their main numbers.

    Numbers come with their intervals, in a column for each run. To overlay the runs in figures use
    `sigmaprop report RUN RUN --out DIR`.
    """

    runs: Positional[tuple[Path, ...]]
    """Run directories, complete, two or more."""


@dataclasses.dataclass(frozen=True)
class ListCommand:
    """List objectives, estimators, noise schemes, schedules and presets."""


@dataclasses.dataclass(frozen=True)
class DoctorCommand:
    """Say what this machine has and what limits it: devices, memory, versions, caches.

    Exit status 1 where JAX starts no device, with the reason.
    """


@dataclasses.dataclass(frozen=True)
class DataList:
    """List every data set: what it is, its shape, where it comes from, whether it is ready."""


@dataclasses.dataclass(frozen=True)
class DataPrepare:
    """Make an image set ready for training without TensorFlow: one compact file with a checksum.

    It downloads through tensorflow-datasets (extra `prepare`), or with --from reads the original
    files from a directory, without network. The file can be carried to another machine.
    """

    name: Positional[str]
    """The set, a name in tensorflow-datasets."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Directory of the original files, as published or compressed anew. None: download."""
    out: Path | None = None
    """Directory for the file. None: the cache, where training looks for it."""
