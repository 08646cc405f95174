"""The command line: ``sigmaprop COMMAND [options]``.

Only tyro is imported up front. JAX is imported once the options are known to be sound, after the
environment it reads at its start has been set: as many CPU devices as cores, and a persistent
compilation cache. What was set is recorded with every run.
"""

import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import tyro

from sigmaprop import processes
from sigmaprop.names import shortened, shown, unknown

from .. import streams
from ..advise.config import AdviseConfig
from ..jobs import options as jobs
from ..jobs.options import JobsOptions
from . import arguments as words
from . import (
    bench_commands,
    benching,
    commands,
    compile_commands,
    given,
    results_commands,
    sharing,
    study_commands,
)
from .complaints import UserError, complain, explain, refuse, report_user_errors
from .presets import ENTRIES
from .starting import about_backend, is_of_backend, prepare_jax, start_jax, was_deterministic
from .tiny import cut


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command; never returns.

    The exit status is 0, or: 1 where `replay` found another number, `results check` refuses a
    record, `doctor` found no device, a job of `--launcher` failed, another process of the run is
    lost, a file or standard output could not be written; 2 for a mistake on the command line or in
    a file that it names; 129, 130 and 143 after SIGHUP, Ctrl-C and SIGTERM; 141 where the reader of
    the output has gone.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with streams.guarded() as output:
        status = _run(arguments)
        sharing.leave(status)
    sys.exit(status or int(output.lost is not None))


def _run(arguments: list[str]) -> int:
    """The exit status of one command; what went wrong is told in one sentence."""
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()  # here, where a closed pipe can still be answered
        return status
    except UserError as error:
        return complain(str(error), 2)
    except processes.PeerLost as error:
        return complain(sharing.explained(error), sharing.LOST)
    except KeyboardInterrupt as error:
        explain("interrupted", error)
        return _leave(130)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if status in _ENDED:
            explain(_ENDED[status], error)
            return _leave(status)
        return status
    except BrokenPipeError:
        streams.discard(sys.stdout)
        return 141
    except OSError as error:
        what = "a file" if error.filename is None else error.filename
        status = 2 if error.errno in _OF_A_NAME else 1
        return complain(f"cannot use {what} ({error.strerror or error})", status)
    except Exception as error:
        if not is_of_backend(error):
            if processes.num() == 1:
                raise
            traceback.print_exc()  # here: the others wait for the end of this process
            return 1
        return complain(about_backend(error), 2)


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
    if name not in COMMANDS:
        raise UserError(unknown("command", name, COMMANDS))
    command, action = COMMANDS[name]
    if {"-h", "--help"} & set(rest) and (kind := _KINDS.get((name, *rest[:1]))):
        words.parse(kind, ["--help"], name=f"{name} {rest[0]}")
    if "--help-all" in rest:
        words.parse(command, ["--help"], default=_default(name, rest), name=name)
    if not {"-h", "--help"} & set(rest):
        refuse(lambda: check(name, rest))
    return action(rest if name == _AROUND else words.with_flags(command, rest))


def check(name: str, rest: Sequence[str]) -> None:
    """Refuses words of a command that its parser would not take; see `arguments.check`."""
    command, _ = COMMANDS[name]
    if name != _AROUND:
        return words.check(name, command, rest)
    own, inner = words.divided(command, rest)
    words.check(name, command, own)
    return words.check(own[0], COMMANDS[own[0]][0], inner)


def _default(name: str, arguments: list[str]) -> Any:
    """What the options of a command start from, for its help; none where it has no presets."""
    entry = ENTRIES.get(name)
    if entry is None:
        return tyro.MISSING
    base, _ = given.starting_point(arguments, name)
    return entry.filled(base)


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
        {name: command for name, (command, _) in COMMANDS.items()},
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
    takers = [name for name, (one, _) in COMMANDS.items() if option in words.options(one)]
    if not takers:
        raise UserError(
            f"unknown option {shown(first)}; write `sigmaprop COMMAND ...`, with one of "
            f"{', '.join(COMMANDS)}"
        )
    raise UserError(
        f"option {option} comes before a command; write `sigmaprop COMMAND {shortened(first)} ...`,"
        f" with one of {', '.join(takers)}"
    )


def _demo(arguments: list[str]) -> int:
    command = words.parse(commands.DemoCommand, arguments, name="demo")
    start_jax()
    from . import demo

    return report_user_errors(lambda: demo.show(command.run_dir))


def _experiment(name: str, arguments: list[str]) -> int:
    """A command whose options lie over a preset or an earlier run; some can be swept."""
    base, origin = given.starting_point(arguments, name)
    if hasattr(base, "sweep") and {"-h", "--help"} & set(arguments):
        from .help import compact

        print("\n".join(compact(name, ENTRIES[name].command, base)))
        return 0
    command, config = given.checked(name, arguments, base)
    if isinstance(command, JobsOptions):
        refuse(lambda: jobs.check(command, config))
        if command.launcher is not None:
            from ..jobs import launching

            takes = set(words.options(type(command)))
            return report_user_errors(
                lambda: launching.launch(name, arguments, command, config, takes=takes)
            )
    return _launch(name, config, command, base, origin)


def _resume(arguments: list[str]) -> int:
    command = words.parse(commands.ResumeCommand, arguments, name="resume")
    cluster = refuse(lambda: sharing.check(command))
    start_jax(deterministic=was_deterministic(command.run), cluster=cluster)
    from sigmaprop import runs

    from . import launch, registry

    def resume() -> int:
        registry.refuse_study(command.run)
        runs.check_begun(command.run)
        return launch.resume(registry.of_run(command.run), command.run)

    return report_user_errors(resume)


def _data(arguments: list[str]) -> int:
    command = words.parse(commands.DataCommand, arguments, name="data")
    if command.what == "prepare" and len(command.name) != 1:
        raise UserError(
            f"data prepare takes one data set, not {len(command.name)}; "
            "`sigmaprop data list` shows them"
        )
    if command.what == "list" and (command.name or command.source or command.out):
        raise UserError("data list takes no further words; leave them out")
    from . import data

    if command.what == "list":
        return report_user_errors(data.show)
    name, source, out = command.name[0], command.source, command.out
    return report_user_errors(lambda: refuse(lambda: data.prepare(name, source, out)))


def _launch(name: str, config: Any, command: Any, base: Any, origin: Path | None) -> int:
    shared = isinstance(command, commands.Shared)
    cluster = refuse(lambda: sharing.check(command)) if shared else None
    start_jax(deterministic=getattr(config, "deterministic", False), cluster=cluster)
    from . import launch, registry

    changed = None if origin is None else (base, origin)
    experiment = registry.get(name)
    if command.dry_run:
        return report_user_errors(lambda: launch.forecast(experiment, config))
    run_dir = command.run_dir
    return report_user_errors(lambda: launch.launch(experiment, config, run_dir, changed))


def _advise(arguments: list[str]) -> int:
    default = commands.AdviseCommand(commands.AdviseOptions(**vars(cut("advise", AdviseConfig()))))
    command = words.parse(commands.AdviseCommand, arguments, default=default, name="advise")
    config = refuse(lambda: AdviseConfig(**vars(command.advise)))
    start_jax()
    from ..advise import run as advise

    return report_user_errors(lambda: advise.show(config))


def _replay(arguments: list[str]) -> int:
    command = words.parse(commands.ReplayCommand, arguments, name="replay")
    start_jax()
    from . import launch, registry

    return report_user_errors(
        lambda: launch.replay(registry.of_run(command.run), command.run, command.run_dir)
    )


def _report(arguments: list[str]) -> int:
    command = words.parse(commands.ReportCommand, arguments, name="report")
    if not command.runs:
        raise UserError("report names no run; give one or more run directories")
    from . import launch, registry

    return report_user_errors(
        lambda: launch.report(registry.of_run(command.runs[0]), command.runs, command.out)
    )


def _runs(arguments: list[str]) -> int:
    command = words.parse(commands.RunsCommand, arguments, name="runs")
    from . import runs

    return report_user_errors(lambda: runs.show(command.directory))


def _compare(arguments: list[str]) -> int:
    command = words.parse(commands.CompareCommand, arguments, name="compare")
    from . import runs

    return report_user_errors(lambda: runs.compare(command.runs))


def _list(arguments: list[str]) -> int:
    words.parse(commands.ListCommand, arguments, name="list")
    prepare_jax()
    from . import listing

    return listing.show()


def _doctor(arguments: list[str]) -> int:
    words.parse(commands.DoctorCommand, arguments, name="doctor")
    prepare_jax()
    from . import doctor

    return doctor.show()


def _bench(arguments: list[str]) -> int:
    command = words.parse(bench_commands.BenchCommand, arguments, name="bench")
    refuse(lambda: benching.check(command))
    start_jax()
    return report_user_errors(lambda: benching.run(command))


def _results(arguments: list[str]) -> int:
    command = words.parse(results_commands.ResultsCommand, arguments, name="results")
    from . import resulting

    refuse(lambda: resulting.check(command))
    return report_user_errors(lambda: resulting.show(command))


def _study(arguments: list[str]) -> int:
    command = words.parse(study_commands.StudyCommand, arguments, name="study")
    start_jax()
    from . import studying

    refuse(lambda: studying.check(command))
    return report_user_errors(lambda: studying.show(command))


def _compile(arguments: list[str]) -> int:
    own, inner = words.divided(compile_commands.CompileCommand, arguments)
    own = words.with_flags(compile_commands.CompileCommand, own)
    command = words.parse(compile_commands.CompileCommand, own, name=_AROUND)
    name, inner = command.command, words.with_flags(COMMANDS[command.command][0], inner)
    target = refuse(lambda: compile_commands.checked(command, words.named(inner)))
    base, _ = given.starting_point(inner, name)
    _, config = given.checked(name, inner, base)
    compile_commands.prepare(target)
    start_jax(deterministic=getattr(config, "deterministic", False))
    from . import compiling, registry

    experiment = registry.get(name)
    return report_user_errors(lambda: compiling.show(command, target, experiment, config))


_AROUND = "compile"
"""The command that takes the name and the options of another."""
_SHELLS = ("bash", "zsh", "tcsh", "fish")
_COMPLETIONS = {"--tyro-print-completion": 1, "--tyro-write-completion": 2}
"""Options of the parser's own, and how many words each takes."""
_ENDED = {129: "hung up", 143: "terminated"}
"""How a run says that a signal ended it, by its exit status."""
_OF_A_NAME = (
    *(errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM),
    *(errno.ELOOP, errno.EROFS, errno.EEXIST, errno.EINVAL),
)
"""Errors that another name on the command line would mend."""
_KINDS: dict[tuple[str, ...], type] = {
    ("bench", "limit"): bench_commands.BenchLimit,
    ("bench", "estimators"): bench_commands.BenchEstimators,
    ("bench", "gan"): bench_commands.BenchGan,
    ("bench", "metrics"): bench_commands.BenchMetrics,
    ("data", "list"): commands.DataList,
    ("data", "prepare"): commands.DataPrepare,
    ("results", "check"): results_commands.ResultsCheck,
    ("results", "site"): results_commands.ResultsSite,
    ("results", "table"): results_commands.ResultsTable,
}
"""What a command does by its first word: each has a help of its own."""
COMMANDS: dict[str, tuple[type, Callable[[list[str]], int]]] = {
    "demo": (commands.DemoCommand, _demo),
    "limit": (commands.LimitCommand, functools.partial(_experiment, "limit")),
    "estimators": (commands.EstimatorsCommand, functools.partial(_experiment, "estimators")),
    "gan": (commands.GanCommand, functools.partial(_experiment, "gan")),
    "vae": (commands.VaeCommand, functools.partial(_experiment, "vae")),
    "evaluate": (commands.EvaluateCommand, functools.partial(_experiment, "evaluate")),
    "metrics": (commands.MetricsCommand, functools.partial(_experiment, "metrics")),
    "penalties": (commands.PenaltiesCommand, functools.partial(_experiment, "penalties")),
    "study": (study_commands.StudyCommand, _study),
    "resume": (commands.ResumeCommand, _resume),
    "data": (commands.DataCommand, _data),
    "advise": (commands.AdviseCommand, _advise),
    "list": (commands.ListCommand, _list),
    "runs": (commands.RunsCommand, _runs),
    "compare": (commands.CompareCommand, _compare),
    "replay": (commands.ReplayCommand, _replay),
    "report": (commands.ReportCommand, _report),
    "compile": (compile_commands.CompileCommand, _compile),
    "bench": (bench_commands.BenchCommand, _bench),
    "results": (results_commands.ResultsCommand, _results),
    "doctor": (commands.DoctorCommand, _doctor),
}


if __name__ == "__main__":
    main()
