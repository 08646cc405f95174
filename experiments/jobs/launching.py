"""``--launcher``: hands the seeds of a sweep over as jobs, waits for them, and joins their runs."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sigmaprop import runs
from sigmaprop.names import shortened
from sigmaprop.runs import files, signals
from sigmaprop.runs.files import RunError

from .. import progress
from ..cli.starting import start_jax
from ..terminal import Terminal, counted
from . import queue as queues
from . import sheet
from .options import JobsOptions, Part, asked, cores, parts, without
from .queue import Queue
from .sheet import Sheet
from .work import SCRIPT, TOGETHER, Work

ALL = "all"
"""Below the directory of jobs, the run that they make together."""
_OWN = ("--launcher", "--launcher-jobs", "--launcher-option", "--launcher-detach")
_OF_RUN = ("--seeds", "--first-seed", "--run-dir", "--dry-run")
_LOOKS = 3
"""Looks at a job that is gone before it counts as failed: a shared disk may lag behind."""
_MOST_SHOWN = 200


def launch(name: str, words: Sequence[str], options: Any, config: Any, *, takes: set[str]) -> int:
    """Runs a command as jobs; the exit status, 1 where a job failed.

    Args:
        name: of the command.
        words: behind it.
        options: a `JobsOptions` with ``run_dir`` and ``dry_run``.
        config: of the experiment.
        takes: options of the command.

    Raises:
        RunError: a mistake of the user's.
    """
    terminal, jobs = Terminal(), parts(options, config)
    tasks = _tasks(options, takes)
    plain = without(words, (*_OWN, *_OF_RUN, *([TOGETHER] if tasks > 1 else [])))
    queues.check(options.launcher)
    begun = options.run_dir is not None and files.exists(options.run_dir / sheet.NAME)
    if options.dry_run or not begun:
        _rehearse(name, without(words, (*_OWN, TOGETHER, "--run-dir", "--dry-run")), terminal)
    if options.dry_run:
        terminal.say(f"in {counted(len(jobs), 'job')}: {', '.join(part.title for part in jobs)}")
        return 0
    again = without(words, ("--run-dir", "--launcher-detach", "--dry-run"))
    opened = sheet.opened(options.run_dir, name, again, config, jobs)
    queue = queues.open_queue(options.launcher, opened.directory / sheet.FOLDER, asked(options))
    lock = files.take_lock(opened.directory)
    try:
        opened.save()
        works = _works(opened, plain, options, tasks)
        left = _submit(opened, works, queue, terminal)
        if left and options.launcher_detach:
            _tell_detached(opened, queue, terminal)
            return 0
        if left and (failed := _wait(opened, queue, terminal, local=options.launcher == "local")):
            number = counted(len(failed), "job")
            terminal.say(f"{number} left; go on with `{opened.again}`")
            return 1
        return _join(opened, config, terminal)
    finally:
        os.close(lock)


def _tasks(options: JobsOptions, takes: set[str]) -> int:
    """Processes of a job, which work together where they are several.

    Raises:
        RunError: the command cannot.
    """
    found = asked(options)
    tasks = found.get("nodes", 1) * found.get("tasks_per_node", 1)
    if tasks > 1 and TOGETHER not in takes:
        raise RunError(
            f"--launcher-option asks for {tasks} processes a job, and the command runs as one; "
            "leave nodes and tasks_per_node out"
        )
    return tasks


def _rehearse(name: str, words: Sequence[str], terminal: Terminal) -> None:
    """Lets a process check the options, and say what the whole sweep takes.

    JAX must not start here: the devices of this machine are the jobs'.

    Raises:
        RunError: the options have a mistake.
    """
    with progress.waiting(terminal, "checking the options"):
        told = _beside(name, *words, "--dry-run", "True")
    if told.returncode:
        why = told.stderr.strip().removeprefix("sigmaprop: ")
        raise RunError(why or f"the options cannot be checked (status {told.returncode})")
    print(told.stdout, end="", flush=True)


def _beside(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command of ours in a process that takes no device but the CPU."""
    own = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [*SCRIPT, *map(str, words)], env=own, capture_output=True, text=True, **options
    )


def _works(opened: Sheet, plain: list[str], options: Any, tasks: int) -> dict[str, Work]:
    """What each job does, by its name."""
    found, local = {}, options.launcher == "local"
    mine, num = cores(), len(opened.jobs)
    gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    for place, part in enumerate(opened.jobs):
        run_dir = str(opened.run_dir(part))
        words = (opened.command, *plain, "--seeds", str(part.seeds))
        words += ("--first-seed", str(part.first_seed), "--run-dir", run_dir)
        words += (TOGETHER, "True") if tasks > 1 else ()
        own: list[int] = []
        if local and mine:
            own = mine[len(mine) * place // num : len(mine) * (place + 1) // num]
            own = own or [mine[place % len(mine)]]
        found[part.name] = Work(
            words,
            *(run_dir, str(opened.log(part)), str(Path.cwd())),
            cores=tuple(own),
            gpus=gpus[place % len(gpus)] if local and gpus else None,
            local=local,
            tasks=tasks,
        )
    return found


def _submit(opened: Sheet, works: dict[str, Work], queue: Queue, terminal: Terminal) -> list[Part]:
    """Hands over the jobs that are neither complete nor under way; those that are to be awaited."""
    left = [part for part in opened.jobs if opened.state(part) != "complete"]
    if done := len(opened.jobs) - len(left):
        terminal.say(f"{done} of {counted(len(opened.jobs), 'job')} complete already")
    for part in left:
        number = opened.numbers.get(part.name)
        if opened.state(part) == "running" or (number and queue.is_there(number)):
            terminal.say(f"{part.title} is under way")
            continue
        opened.numbers[part.name] = queue.submit(works[part.name], part.name)
        opened.save()
        terminal.say(f"{part.title}: submitted as {opened.numbers[part.name]}")
    return left


def _tell_detached(opened: Sheet, queue: Queue, terminal: Terminal) -> None:
    """Where the jobs can be seen, and how to come back to them."""
    terminal.say(
        f"{queue.advice([*opened.numbers.values()])}, or into {opened.directory}/job-*.log"
    )
    terminal.say(f"wait for them and make the report with `{opened.again}`")


def _wait(opened: Sheet, queue: Queue, terminal: Terminal, *, local: bool) -> list[Part]:
    """Waits until every job is complete or gone; those that failed, each told at once."""
    total = len(opened.jobs)
    done = {part.name for part in opened.jobs if opened.state(part) == "complete"}
    gone: dict[str, int] = {}
    failed: list[Part] = []
    try:
        with (
            signals.terminations_raise(),
            progress.telling(terminal, total, "jobs", "waiting for jobs") as told,
        ):
            told("waiting for jobs", len(done))
            while len(done) + len(failed) < total:
                time.sleep(queue.period)
                for part in opened.jobs:
                    if part.name in done or part in failed:
                        continue
                    state = opened.state(part)
                    if state == "complete":
                        done.add(part.name)
                        told(f"{part.name} is complete", 1)
                    elif _is_gone(opened, part, state, queue, gone):
                        failed.append(part)
                        told.say(_failure(opened, part))
                told(_under_way(opened, done, failed))
    except (KeyboardInterrupt, signals.Terminated) as error:
        queue.cancel()
        stops = "the jobs are stopped" if local else "the jobs go on by themselves"
        error.add_note(f"{stops}; go on with `{opened.again}`")
        raise
    return failed


def _is_gone(opened: Sheet, part: Part, state: str, queue: Queue, gone: dict[str, int]) -> bool:
    """Whether a job that is not complete is no longer there, at several looks in a row."""
    number = opened.numbers.get(part.name, "")
    gone[part.name] = (
        0 if state == "running" or queue.is_there(number) else gone.get(part.name, 0) + 1
    )
    return gone[part.name] >= _LOOKS


def _under_way(opened: Sheet, done: set[str], failed: list[Part]) -> str:
    """What the first job that runs says of itself."""
    for part in opened.jobs:
        if part.name not in done and part not in failed and opened.state(part) == "running":
            return f"{part.name}: {shortened(opened.last_line(part), _MOST_SHOWN)}"
    return "waiting for jobs"


def _failure(opened: Sheet, part: Part) -> str:
    """Which job failed, where its log is, and what that ends with."""
    why = shortened(opened.last_line(part), 2 * _MOST_SHOWN)
    if not why:
        folder = opened.directory / sheet.FOLDER
        return f"{part.title} ended before it printed anything; see submitit's logs in {folder}"
    return f"{part.title} failed: {why} (its log: {opened.log(part)})"


def _join(opened: Sheet, config: Any, terminal: Terminal) -> int:
    """One run of the runs of all jobs, with its report; the exit status."""
    directory = opened.directory / ALL
    if files.exists(directory / "status.json"):
        if runs.state(directory) == "complete":
            terminal.say(f"all jobs are complete and joined: {directory / 'report.html'}")
            return 0
        shutil.rmtree(directory)  # a joining that was cut short
    os.environ["JAX_PLATFORMS"] = "cpu"  # nothing is trained here
    start_jax()
    from ..cli import launch as experiments
    from ..cli import registry
    from .joining import joined

    own = joined(registry.get(opened.command), [opened.run_dir(part) for part in opened.jobs])
    try:
        return experiments.launch(own, config, directory)
    except (KeyboardInterrupt, signals.Terminated) as error:
        shutil.rmtree(directory, ignore_errors=True)  # to resume it would be to train
        error.__notes__ = [f"the jobs are complete; go on with `{opened.again}`"]
        raise
