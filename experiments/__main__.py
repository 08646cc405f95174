"""The command line: ``sigmaprop COMMAND [options]``.

Only tyro is imported up front. JAX is imported once the options are known to be sound, after the
environment it reads at its start has been set: as many CPU devices as cores, and a persistent
compilation cache. What was set is recorded with every run.
"""

import dataclasses
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import tyro

from .config import LIMIT_PRESETS, LimitConfig

Positional = tyro.conf.Positional


class UserError(Exception):
    """A mistake of the user's: printed as one sentence, exit status 2."""


@dataclasses.dataclass(frozen=True)
class LimitCommand:
    """Sweep the Monte Carlo gradient of E f(x + sigma eps) against grad f(x).

    Without options it runs the preset `quick`. It ends with a table of conclusions and the path of
    an HTML report; the run directory holds every number.
    """

    config: tyro.conf.OmitArgPrefixes[LimitConfig]
    preset: Literal["quick", "full"] = "quick"
    """Options to start from. quick: 6 objectives, about a minute on 2 cores; full: 16 objectives
    and 4 times the samples, some minutes. Options given beside it win."""
    config_file: Annotated[Path | None, tyro.conf.arg(name="config")] = None
    """Options to start from instead: the config.json of an earlier run, or its directory. Options
    given beside it win."""
    run_dir: Path | None = None
    """Directory of this run, new or empty. None: a fresh one under runs/."""


@dataclasses.dataclass(frozen=True)
class ReplayCommand:
    """Run a finished run again and say whether every number is the same to the bit.

    Differences of versions, devices and flags are named first. Exit status 1 if a number differs.
    """

    run: Positional[Path]
    """Directory of the run to repeat."""
    run_dir: Path | None = None
    """Directory of the repetition, new or empty. None: a fresh one under runs/."""


@dataclasses.dataclass(frozen=True)
class ReportCommand:
    """Draw the figures, tables and HTML report of finished runs anew; overlay several."""

    runs: Positional[tuple[Path, ...]]
    """Run directories; the first gives the tables, all are drawn."""
    out: Path | None = None
    """Directory for report.html and figures/. None: the run's own (one run only)."""


@dataclasses.dataclass(frozen=True)
class ListCommand:
    """List objectives, estimators, noise schemes, schedules and presets."""


@dataclasses.dataclass(frozen=True)
class DoctorCommand:
    """Say what this machine has and what limits it: devices, memory, versions, caches."""


@dataclasses.dataclass(frozen=True)
class BenchCommand:
    """Time the sweep against drawing its noise, and against other ways to write it."""

    what: Positional[Literal["limit"]]
    """What to time. limit: the sweep over sigma and batch size."""
    repeats: int = 7
    """Interleaved repeats of each measurement, >= 3; medians are reported."""
    out: Path | None = None
    """File for the results as JSON. None: print only."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command; never returns."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.exit(_dispatch(arguments))
    except UserError as error:
        print(f"sigmaprop: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("sigmaprop: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        if arguments == ["--version"]:
            from sigmaprop import __version__

            print(f"sigmaprop {__version__}")
            return 0
        _overview(arguments or ["--help"])
    name, rest = arguments[0], arguments[1:]
    if name not in _COMMANDS:
        near = difflib.get_close_matches(name, _COMMANDS, n=1, cutoff=0.0)[0]
        raise UserError(
            f"unknown command {name!r}; did you mean {near!r}? Known: {', '.join(_COMMANDS)}"
        )
    _refuse_repeats(rest)
    return _COMMANDS[name][1](rest)


def _overview(arguments: list[str]) -> NoReturn:
    """Help on all commands, or shell completion (``--tyro-print-completion bash``)."""
    tyro.extras.subcommand_cli_from_dict(
        {name: command for name, (command, _) in _COMMANDS.items()},
        prog="sigmaprop",
        description=(
            "How the derivative of a Gaussian expectation reaches its mean and its scale. "
            "Begin with `sigmaprop limit`."
        ),
        args=arguments,
    )
    sys.exit(0)


def _refuse_repeats(arguments: list[str]) -> None:
    """The parser would silently keep the last of a repeated option."""
    given = [word.split("=")[0].replace("_", "-") for word in arguments if word.startswith("--")]
    for option in dict.fromkeys(given):
        if given.count(option) > 1:
            raise UserError(f"option {option} is given {given.count(option)} times; give it once")


def _parse(command: type, arguments: list[str], **options: Any) -> Any:
    try:
        return tyro.cli(
            command,
            args=arguments,
            prog=f"sigmaprop {options.pop('name')}",
            config=(tyro.conf.FlagConversionOff,),
            **options,
        )
    except ValueError as error:
        raise UserError(error) from error


def _limit(arguments: list[str]) -> int:
    base, origin = _starting_point(arguments)
    default = LimitCommand(base)
    command = _parse(LimitCommand, arguments, default=default, name="limit")
    _prepare_jax()
    from . import limit_main

    return _report_user_errors(lambda: limit_main.limit(command, base, origin))


def _starting_point(arguments: list[str]) -> tuple[LimitConfig, Path | None]:
    """The options that flags are laid over: a preset, or an earlier run's config file."""
    preset, file = _value(arguments, "--preset"), _value(arguments, "--config")
    if preset is not None and file is not None:
        raise UserError(f"--preset {preset} and --config {file} exclude each other; give one")
    if file is not None:
        from sigmaprop import runs

        path = Path(file)
        return _report_user_errors(
            lambda: runs.load_config(path, LimitConfig, command="limit")
        ), path
    return LIMIT_PRESETS.get(preset or "quick", LimitConfig()), None


def _value(arguments: list[str], option: str) -> str | None:
    for i, word in enumerate(arguments):
        if word.startswith(option + "="):
            return word.partition("=")[2]
        if word == option and i + 1 < len(arguments):
            return arguments[i + 1]
    return None


def _report_user_errors(action: Callable[[], Any]) -> Any:
    """Turns the errors that a user can mend into one sentence; all others are defects."""
    from sigmaprop.runs import RunError

    try:
        return action()
    except RunError as error:
        raise UserError(error) from error


def _replay(arguments: list[str]) -> int:
    command = _parse(ReplayCommand, arguments, name="replay")
    _prepare_jax()
    from . import limit_main

    return _report_user_errors(lambda: limit_main.replay(command.run, command.run_dir))


def _report(arguments: list[str]) -> int:
    command = _parse(ReportCommand, arguments, name="report")
    if not command.runs:
        raise UserError("report names no run; give one or more run directories")
    from . import limit_main

    return _report_user_errors(lambda: limit_main.report(command.runs, command.out))


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
        raise UserError(f"--repeats is {command.repeats}; it must be at least 3")
    _prepare_jax()
    from . import bench

    return _report_user_errors(lambda: bench.limit(command.repeats, command.out))


def _prepare_jax() -> None:
    """Sets what JAX reads when it starts, unless the user has set it."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_force_host_platform_device_count" not in flags:
        flags = f"{flags} --xla_force_host_platform_device_count={count or 1}"
        os.environ["XLA_FLAGS"] = flags.strip()
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    cache = Path(os.environ.get("SIGMAPROP_CACHE", home / "sigmaprop")) / "xla"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


_COMMANDS: dict[str, tuple[type, Callable[[list[str]], int]]] = {
    "limit": (LimitCommand, _limit),
    "list": (ListCommand, _list),
    "replay": (ReplayCommand, _replay),
    "report": (ReportCommand, _report),
    "bench": (BenchCommand, _bench),
    "doctor": (DoctorCommand, _doctor),
}


if __name__ == "__main__":
    main()
