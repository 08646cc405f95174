"""The command line: ``sigmaprop COMMAND [options]``.

Only tyro is imported up front. JAX is imported once the options are known to be sound, after the
environment it reads at its start has been set: as many CPU devices as cores, and a persistent
compilation cache. What was set is recorded with every run.
"""

import contextlib
import dataclasses
import errno
import functools
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import tyro

from sigmaprop.names import shortened, shown, unknown

from .. import streams
from ..advise.config import AdviseConfig
from ..estimators.config import ESTIMATORS_PRESETS, EstimatorsConfig
from ..gan.config import GAN_PRESETS, GROUPS, SWEEPABLE, GanConfig, swept
from ..limit.config import LIMIT_PRESETS, LimitConfig
from ..options import own_functions
from . import arguments as words
from .tiny import cut

Positional = tyro.conf.Positional


class UserError(Exception):
    """A mistake of the user's: printed as one sentence, exit status 2."""


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
class LimitCommand:
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
class EstimatorsCommand:
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
class GanCommand:
    """Train GAN generators N(mean(z), Sigma(z)) in every treatment of sigma, and compare them.

    All combinations of swept options run with every seed, side by side in one compiled program.
    Without options it runs the preset `digits`. It ends with a comparison of the arms and the path
    of an HTML report. A run that was stopped goes on with `sigmaprop resume`.
    """

    gan: Annotated[GanCommandOptions, tyro.conf.arg(name="")]
    preset: Literal["digits", "demo", "ring", "grid", "fashion", "goodfellow2014"] = "digits"
    """Options to start from; options given beside it win. digits: 8x8 images, about a minute on 2
    cores; demo: a sixth of its steps; ring, grid: mixtures whose modes can be counted; fashion:
    DCGAN on fashion_mnist; goodfellow2014: the networks and rates of that paper on mnist. The last
    two are for a GPU and need `sigmaprop data prepare`."""
    config: Path | None = None
    """Options to start from instead: the config.json of an earlier run, or its directory. Options
    given beside it win."""
    run_dir: Path | None = None
    """Directory of this run, new or empty. None: a fresh one under runs/."""
    dry_run: bool = False
    """Whether to say what the run would take, and run nothing."""


@dataclasses.dataclass(frozen=True)
class ResumeCommand:
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
class BenchLimit:
    """Time the sweep over sigma and batch size against its noise, its gradients, and other ways."""

    repeats: int = 7
    """Interleaved repeats of each measurement, >= 3; medians are reported."""
    out: Path | None = None
    """File for the results as JSON. None: print only."""


@dataclasses.dataclass(frozen=True)
class BenchEstimators(BenchLimit):
    """Time every estimator against its noise and evaluations of f, and against other libraries."""

    optax_path: Path | None = None
    """Directory that holds optax 0.2.6, the last with its monte_carlo module
    (`pip install --no-deps --target DIR optax==0.2.6`). None: the installed one, if it has it."""


@dataclasses.dataclass(frozen=True)
class BenchGan(BenchLimit):
    """Time steps of many GANs against the peak of their matrix products, and against PyTorch."""

    replicas: tuple[int, ...] | None = None
    """Numbers of GANs that run side by side. None: 1 to 128, or to 4096 on an accelerator."""
    torch_python: Path | None = None
    """A Python that has PyTorch. None: this one, if it does."""


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


@dataclasses.dataclass(frozen=True)
class BenchCommand:
    """Time what the commands run against its parts, and against other ways to write it."""

    what: Positional[Literal["limit", "estimators", "gan"]]
    """What to time: the sweep over sigma and batch size, every estimator, or steps of many GANs."""
    repeats: int = 7
    """Interleaved repeats of each measurement, >= 3; medians are reported."""
    out: Path | None = None
    """File for the results as JSON. None: print only."""
    optax_path: Path | None = None
    """estimators: directory that holds optax 0.2.6, the last with its monte_carlo module
    (`pip install --no-deps --target DIR optax==0.2.6`). None: the installed one, if it has it."""
    replicas: tuple[int, ...] | None = None
    """gan: numbers of GANs that run side by side. None: 1 to 128, or to 4096 on an accelerator."""
    torch_python: Path | None = None
    """gan: a Python that has PyTorch. None: this one, if it does."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command; never returns.

    The exit status is 0, or: 1 where `replay` found another number, `doctor` no device, a file or
    standard output could not be written; 2 for a mistake on the command line or in a file that it
    names; 130 and 143 after Ctrl-C and SIGTERM; 141 where the reader of the output has gone.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with streams.guarded() as output:
        status = _run(arguments)
    sys.exit(status or int(output.lost is not None))


def _run(arguments: list[str]) -> int:
    """The exit status of one command; what went wrong is told in one sentence."""
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()  # here, where a closed pipe can still be answered
        return status
    except UserError as error:
        return _complain(str(error), 2)
    except KeyboardInterrupt as error:
        _explain("interrupted", error)
        return _leave(130)
    except SystemExit as error:
        if error.code == 143:
            _explain("terminated", error)
            return _leave(143)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BrokenPipeError:
        streams.discard(sys.stdout)
        return 141
    except OSError as error:
        what = "a file" if error.filename is None else error.filename
        status = 2 if error.errno in _OF_A_NAME else 1
        return _complain(f"cannot use {what} ({error.strerror or error})", status)
    except Exception as error:
        if not _is_of_backend(error):
            raise
        return _complain(_about_backend(error), 2)


def _complain(sentence: str, status: int) -> int:
    """Says in one sentence what is wrong; gives the status."""
    words = (shortened(word, _LONGEST_WORD) for word in sentence.split())
    text = shortened(" ".join(words), _LONGEST)
    text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    print(f"sigmaprop: {text}", file=sys.stderr)
    return status


def _explain(how: str, error: BaseException) -> None:
    """Says how the command ended, and what its run directory is worth."""
    _complain("; ".join([how, *getattr(error, "__notes__", ())]), 0)


def _leave(status: int) -> int:
    """The status, or the end at once where devices compute: else JAX 0.10 waits, 0.12 crashes."""
    jax = sys.modules.get("jax")
    if jax is not None and not all(array.is_ready() for array in jax.live_arrays()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        if arguments[:1] == ["--version"]:
            return _version(arguments[1:])
        _overview(arguments or ["--help"])
    name, rest = arguments[0], arguments[1:]
    if name not in _COMMANDS:
        raise UserError(unknown("command", name, _COMMANDS))
    command, action = _COMMANDS[name]
    if {"-h", "--help"} & set(rest) and (kind := _KINDS.get((name, *rest[:1]))):
        _parse(kind, ["--help"], name=f"{name} {rest[0]}")
    if "--help-all" in rest:
        _parse(command, ["--help"], default=_default(name, rest), name=name)
    if not {"-h", "--help"} & set(rest):
        _refuse(lambda: words.check(name, command, rest))
    return action(words.with_flags(command, rest))


def _default(name: str, arguments: list[str]) -> Any:
    """What the options of a command start from, for its help; none where it has no presets."""
    found = {
        "limit": (LimitConfig, LIMIT_PRESETS, LimitCommand, LimitOptions),
        "estimators": (EstimatorsConfig, ESTIMATORS_PRESETS, EstimatorsCommand, EstimatorsOptions),
        "gan": (GanConfig, GAN_PRESETS, GanCommand, GanCommandOptions),
    }.get(name)
    if found is None:
        return tyro.MISSING
    config, presets, command, options = found
    base, _ = _starting_point(arguments, name, config, presets)
    return command(options(**vars(base)))


def _version(more: list[str]) -> int:
    from sigmaprop import __version__

    if more:
        raise UserError(f"unexpected word {shown(more[0])} behind --version; leave it out")
    print(f"sigmaprop {__version__}")
    return 0


def _overview(arguments: list[str]) -> NoReturn:
    """Help on all commands, or shell completion (``--tyro-print-completion bash``)."""
    first, *rest = arguments
    if first in _COMPLETIONS:
        if not rest or rest[0] not in _SHELLS:
            raise UserError(f"{first} needs the name of a shell: one of {', '.join(_SHELLS)}")
        if len(rest) != _COMPLETIONS[first]:
            raise UserError(f"{first} takes {_COMPLETIONS[first]} words, not {len(rest)}")
    elif first not in ("-h", "--help"):
        _refuse_first(first)
    tyro.extras.subcommand_cli_from_dict(
        {name: command for name, (command, _) in _COMMANDS.items()},
        prog="sigmaprop",
        description=(
            "How the derivative of a Gaussian expectation reaches its mean and its scale. "
            "Begin with `sigmaprop demo`."
        ),
        args=arguments,
    )
    sys.exit(0)


def _refuse_first(first: str) -> NoReturn:
    """Refuses an option before the command: one of a command's, or of none."""
    option = first.partition("=")[0].replace("_", "-")
    takers = [name for name, (one, _) in _COMMANDS.items() if option in words.options(one)]
    if not takers:
        raise UserError(
            f"unknown option {shown(first)}; write `sigmaprop COMMAND ...`, with one of "
            f"{', '.join(_COMMANDS)}"
        )
    raise UserError(
        f"option {option} comes before a command; write `sigmaprop COMMAND {shortened(first)} ...`,"
        f" with one of {', '.join(takers)}"
    )


def _parse(command: type, arguments: list[str], **options: Any) -> Any:
    """What the parser makes of the words; a mistake that `words.check` let pass, as a sentence."""
    refusal = io.StringIO()
    try:
        with contextlib.redirect_stderr(refusal):
            return tyro.cli(
                command,
                args=arguments,
                prog=f"sigmaprop {options.pop('name')}",
                config=(tyro.conf.FlagConversionOff,),
                **options,
            )
    except SystemExit as error:
        if not error.code:
            raise
        frame = r"(-{3,}|[\u2500-\u257f\s])+"
        raise UserError(re.sub(frame, " ", refusal.getvalue()).strip()) from error


def _demo(arguments: list[str]) -> int:
    command = _parse(DemoCommand, arguments, name="demo")
    _start_jax()
    from . import demo

    return _report_user_errors(lambda: demo.show(command.run_dir))


def _limit(arguments: list[str]) -> int:
    base, origin = _starting_point(arguments, "limit", LimitConfig, LIMIT_PRESETS)
    default = LimitCommand(LimitOptions(**vars(base)))
    command = _parse(LimitCommand, arguments, default=default, name="limit")
    config = _refuse(lambda: LimitConfig(**vars(command.limit)))
    return _launch("limit", config, command, base, origin)


def _estimators(arguments: list[str]) -> int:
    base, origin = _starting_point(arguments, "estimators", EstimatorsConfig, ESTIMATORS_PRESETS)
    default = EstimatorsCommand(EstimatorsOptions(**vars(base)))
    command = _parse(EstimatorsCommand, arguments, default=default, name="estimators")
    config = _refuse(lambda: EstimatorsConfig(**vars(command.estimators)))
    return _launch("estimators", config, command, base, origin)


def _gan(arguments: list[str]) -> int:
    base, origin = _starting_point(arguments, "gan", GanConfig, GAN_PRESETS)
    if {"-h", "--help"} & set(arguments):
        from .help import compact

        print("\n".join(compact("gan", GanCommand, base, GROUPS, SWEEPABLE)))
        return 0
    default = GanCommand(GanCommandOptions(**vars(base)))
    command = _parse(GanCommand, arguments, default=default, name="gan")
    options = vars(command.gan)
    sweep = _refuse(lambda: _without_overridden(options["sweep"], arguments))
    config = _refuse(lambda: GanConfig(**(options | {"sweep": sweep})))
    return _launch("gan", config, command, base, origin)


def _without_overridden(sweep: Any, arguments: list[str]) -> Any:
    """The sweep without the options that the user gave one value: flags win over presets."""
    given = words.named(arguments)
    single = [name for name in swept(sweep) if f"--{name.replace('_', '-')}" in given]
    for name in single:
        flag = name.replace("_", "-")
        if f"--sweep.{flag}" in given:
            raise ValueError(f"--{flag} and --sweep.{flag} exclude each other; give one")
    return dataclasses.replace(sweep, **dict.fromkeys(single))


def _resume(arguments: list[str]) -> int:
    command = _parse(ResumeCommand, arguments, name="resume")
    _start_jax(deterministic=_was_deterministic(command.run))
    from sigmaprop import runs

    from . import launch, registry

    def resume() -> int:
        runs.check_begun(command.run)
        return launch.resume(registry.of_run(command.run), command.run)

    return _report_user_errors(resume)


def _was_deterministic(directory: Path) -> bool:
    """Whether a run asked for --deterministic; what is wrong with its config is told later."""
    from sigmaprop.runs.files import RunError, read_json

    try:
        content = read_json(directory / "config.json")
        return content["config"].get("deterministic") is True
    except (RunError, KeyError, TypeError, AttributeError):
        return False


def _data(arguments: list[str]) -> int:
    command = _parse(DataCommand, arguments, name="data")
    if command.what == "prepare" and len(command.name) != 1:
        raise UserError(
            f"data prepare takes one data set, not {len(command.name)}; "
            "`sigmaprop data list` shows them"
        )
    if command.what == "list" and (command.name or command.source or command.out):
        raise UserError("data list takes no further words; leave them out")
    from . import data

    if command.what == "list":
        return _report_user_errors(data.show)
    name, source, out = command.name[0], command.source, command.out
    return _report_user_errors(lambda: _refuse(lambda: data.prepare(name, source, out)))


def _launch(name: str, config: Any, command: Any, base: Any, origin: Path | None) -> int:
    _start_jax(deterministic=getattr(config, "deterministic", False))
    from . import launch, registry

    changed = None if origin is None else (base, origin)
    experiment = registry.get(name)
    if command.dry_run:
        return _report_user_errors(lambda: launch.forecast(experiment, config))
    run_dir = command.run_dir
    return _report_user_errors(lambda: launch.launch(experiment, config, run_dir, changed))


def _advise(arguments: list[str]) -> int:
    default = AdviseCommand(AdviseOptions(**vars(cut("advise", AdviseConfig()))))
    command = _parse(AdviseCommand, arguments, default=default, name="advise")
    config = _refuse(lambda: AdviseConfig(**vars(command.advise)))
    _start_jax()
    from ..advise import run as advise

    return _report_user_errors(lambda: advise.show(config))


def _starting_point(
    arguments: list[str], name: str, kind: type, presets: dict[str, Any]
) -> tuple[Any, Path | None]:
    """The options that flags are laid over: a preset, by default the first, or an earlier run's."""
    preset = words.value_of("--preset", arguments)
    file = words.value_of("--config", arguments)
    if preset is not None and file is not None:
        raise UserError(
            f"--preset {shortened(preset)} and --config {shortened(file)} exclude each other; "
            "give one"
        )
    if file is None:
        return cut(name, presets.get(preset or next(iter(presets)), kind())), None
    from sigmaprop.runs import configs, own_sources

    path = Path(file)
    config = _report_user_errors(lambda: configs.load_config(path, kind, command=name))
    folder = path if path.is_dir() else path.parent
    for spec, option in own_functions(config).items():
        if words.value_of(option, arguments) is None:  # else it is the user's own affair
            remedy = f"to run it as it is now, give {option} {{spec}} beside --config"
            check = functools.partial(own_sources.check, folder, [spec], remedy)
            _report_user_errors(check)
    return config, path


def _refuse(check: Callable[[], Any]) -> Any:
    """Turns the refusal of a value into one sentence."""
    try:
        return check()
    except ValueError as error:
        raise UserError(error) from error


def _report_user_errors(action: Callable[[], Any]) -> Any:
    """Turns the errors that a user can mend into one sentence; all others are defects."""
    from sigmaprop.runs.files import RunError

    try:
        return action()
    except RunError as error:
        raise UserError(error) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"out of memory ({str(error)[:200]}); lower --dim, --chunk or --num-sigmas; for gan "
            "--seeds, --replica-chunk or --batch-size"
        ) from error


def _replay(arguments: list[str]) -> int:
    command = _parse(ReplayCommand, arguments, name="replay")
    _start_jax()
    from . import launch, registry

    return _report_user_errors(
        lambda: launch.replay(registry.of_run(command.run), command.run, command.run_dir)
    )


def _report(arguments: list[str]) -> int:
    command = _parse(ReportCommand, arguments, name="report")
    if not command.runs:
        raise UserError("report names no run; give one or more run directories")
    from . import launch, registry

    return _report_user_errors(
        lambda: launch.report(registry.of_run(command.runs[0]), command.runs, command.out)
    )


def _runs(arguments: list[str]) -> int:
    command = _parse(RunsCommand, arguments, name="runs")
    from . import runs

    return _report_user_errors(lambda: runs.show(command.directory))


def _compare(arguments: list[str]) -> int:
    command = _parse(CompareCommand, arguments, name="compare")
    from . import runs

    return _report_user_errors(lambda: runs.compare(command.runs))


def _list(arguments: list[str]) -> int:
    _parse(ListCommand, arguments, name="list")
    _prepare_jax()
    from . import listing

    return listing.show()


def _doctor(arguments: list[str]) -> int:
    _parse(DoctorCommand, arguments, name="doctor")
    _prepare_jax()
    from . import doctor

    return doctor.show()


def _bench(arguments: list[str]) -> int:
    command = _parse(BenchCommand, arguments, name="bench")
    if command.repeats < 3:
        raise UserError(f"--repeats is {shown(command.repeats)}; it must be at least 3")
    _refuse(lambda: _check_bench(command))
    _start_jax()
    if command.what == "gan":
        from ..bench import gan as bench_gan

        return _report_user_errors(
            lambda: bench_gan.gan(
                command.repeats, command.out, command.replicas, command.torch_python
            )
        )
    if command.what == "estimators":
        from ..bench import estimators as bench_estimators

        return _report_user_errors(
            lambda: bench_estimators.estimators(command.repeats, command.out, command.optax_path)
        )
    from ..bench import limit as bench

    return _report_user_errors(lambda: bench.limit_sweep(command.repeats, command.out))


def _check_bench(command: BenchCommand) -> None:
    """Refuses options of another benchmark, and numbers of replicas that are none."""
    belongs = {"optax_path": "estimators", "replicas": "gan", "torch_python": "gan"}
    for name, what in belongs.items():
        value = getattr(command, name)
        if value is not None and command.what != what:
            text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} {shortened(text)} goes with `bench {what}` only")
    if command.replicas is not None and (not command.replicas or min(command.replicas) < 1):
        text = shortened(" ".join(map(str, command.replicas)))
        raise ValueError(f"--replicas is {text or 'empty'}; it needs whole numbers >= 1")


def _start_jax(*, deterministic: bool = False) -> None:
    """Starts JAX and its devices, before anything is written.

    Raises:
        UserError: they do not start.
    """
    _prepare_jax(deterministic=deterministic)
    try:
        import jax

        jax.local_devices()
    except Exception as error:  # a backend that does not start raises almost anything
        raise UserError(_about_backend(error)) from error


def _is_of_backend(error: BaseException) -> bool:
    """Whether it was raised where JAX starts its devices."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and Path(frames[-1].f_code.co_filename).name == _BACKENDS


def _about_backend(error: BaseException) -> str:
    """Why JAX does not start, and where that can be mended."""
    asked = os.environ.get("JAX_PLATFORMS")
    remedy = f"JAX_PLATFORMS is {shown(asked)}: unset it or name another; " if asked else ""
    why = " ".join(str(error).split()) or "no device of the kind that it looks for is there"
    return (
        f"JAX does not start: {shortened(why, 200)}; {remedy}"
        "`sigmaprop doctor` tells what this machine has"
    )


def _prepare_jax(*, deterministic: bool = False) -> None:
    """Sets what JAX reads when it starts, unless the user has set it."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_force_host_platform_device_count" not in flags:
        flags = f"{flags} --xla_force_host_platform_device_count={count or 1}"
        os.environ["XLA_FLAGS"] = flags.strip()
    for flag in _DETERMINISTIC if deterministic else ():
        if flag.split("=")[0] not in os.environ["XLA_FLAGS"]:
            os.environ["XLA_FLAGS"] += f" {flag}"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        _set_compilation_cache()
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _set_compilation_cache() -> None:
    """Keeps compiled programs between processes; says so where that cannot be."""
    from sigmaprop.data import cache

    directory = cache.directory() / "xla"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(
            f"sigmaprop: cannot write the cache directory {directory} ({error.strerror}), so every "
            "start compiles anew; set SIGMAPROP_CACHE to a writable directory",
            file=sys.stderr,
        )
    else:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(directory)


_DETERMINISTIC = ("--xla_gpu_deterministic_ops=true", "--xla_gpu_autotune_level=0")
"""What a GPU needs to give the same bits twice; without effect on a CPU."""
_SHELLS = ("bash", "zsh", "tcsh", "fish")
_COMPLETIONS = {"--tyro-print-completion": 1, "--tyro-write-completion": 2}
"""Options of the parser's own, and how many words each takes."""
_LONGEST_WORD, _LONGEST = 300, 2000
"""Characters of a complaint: a path may be long, what somebody pasted is not echoed whole."""
_OF_A_NAME = (
    *(errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM),
    *(errno.ELOOP, errno.EROFS, errno.EEXIST, errno.EINVAL),
)
"""Errors that another name on the command line would mend."""
_BACKENDS = "xla_bridge.py"
"""The file of JAX that starts devices."""
_KINDS: dict[tuple[str, ...], type] = {
    ("bench", "limit"): BenchLimit,
    ("bench", "estimators"): BenchEstimators,
    ("bench", "gan"): BenchGan,
    ("data", "list"): DataList,
    ("data", "prepare"): DataPrepare,
}
"""What a command does by its first word: each has a help of its own."""
_COMMANDS: dict[str, tuple[type, Callable[[list[str]], int]]] = {
    "demo": (DemoCommand, _demo),
    "limit": (LimitCommand, _limit),
    "estimators": (EstimatorsCommand, _estimators),
    "gan": (GanCommand, _gan),
    "resume": (ResumeCommand, _resume),
    "data": (DataCommand, _data),
    "advise": (AdviseCommand, _advise),
    "list": (ListCommand, _list),
    "runs": (RunsCommand, _runs),
    "compare": (CompareCommand, _compare),
    "replay": (ReplayCommand, _replay),
    "report": (ReportCommand, _report),
    "bench": (BenchCommand, _bench),
    "doctor": (DoctorCommand, _doctor),
}


if __name__ == "__main__":
    main()
