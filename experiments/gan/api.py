"""`sigmaprop.train`: the experiment `sigmaprop gan` on an array of your own, from Python.

import sigmaprop

training = sigmaprop.train(x, arms=("zero", "fixed", "global"), seeds=4, steps=1000)
training.frame.query("metric == 'sigma'").groupby("arm")["value"].last()
training.report("report")
"""

import contextlib
import dataclasses
import functools
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from sigmaprop import runs
from sigmaprop.generators.gan import GanSpec, State
from sigmaprop.generators.networks import named_network
from sigmaprop.generators.networks.own import Pair
from sigmaprop.names import nearest
from sigmaprop.reporting import frame
from sigmaprop.runs import configs, own_sources
from sigmaprop.runs.files import atomic

from .. import progress as bars
from ..options import own_functions
from ..terminal import Terminal
from ..training.cells import parse
from ..training.records import total_work
from . import frozen
from .config import GanConfig
from .plan import Group, prepare
from .presets import GAN_PRESETS
from .run import run
from .run import write_report as write

PRESET = next(iter(GAN_PRESETS.values()))
"""What `sigmaprop gan` starts from."""
_FIXED = ("dataset", "sweep", "cells", "arm")
"""Options that `train` gives itself."""
_ARMS = ("zero", "fixed", "global")


class Program(NamedTuple):
    """Replicas that were trained side by side.

    Attributes:
        spec: the networks, and what else these replicas share.
        replicas: their numbers in ``Training.run.replicas``. [R]
        state: of each after the last step, arrays of leading axis R.
    """

    spec: GanSpec
    replicas: tuple[int, ...]
    state: State


@dataclasses.dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes:
        run: as `sigmaprop.load` gives it: config, environment, claims, replicas, and what follows.
        programs: one, or more where cells differ in networks, loss or batch size.
    """

    run: frame.Run
    programs: tuple[Program, ...]

    @property
    def spec(self) -> GanSpec:
        """The networks, and what else all replicas share.

        Raises:
            ValueError: there are several programs.
        """
        return self._only.spec

    @property
    def state(self) -> State:
        """Of every replica after the last step, arrays of leading axis R, ordered as replicas.

        ``run.replicas`` begins with the seeds of the first arm or cell.

        Raises:
            ValueError: there are several programs.
        """
        return self._only.state

    @property
    def _only(self) -> Program:
        """The program of all replicas."""
        only, *more = self.programs
        if more:
            raise ValueError(
                f"the cells of this training are {len(self.programs)} programs, each with a spec "
                "and states of its own; read Training.programs"
            )
        return only

    @property
    def frame(self) -> pd.DataFrame:
        """Every number, a row each, with arm and seed as columns."""
        return self.run.frame

    @property
    def samples(self) -> dict[str, np.ndarray]:
        """Examples of the last iterate: "mean", "x" and the noise's "scale", each [R, N, D]."""
        return self.run.samples

    def report(self, path: Path | str) -> Path:
        """Writes the page and its figures into a directory; the path of the page.

        Raises:
            RunError: the directory cannot be written.
        """
        target = Path(path)
        target.mkdir(parents=True, exist_ok=True)
        write(target, (self.run.directory,), lambda drawn, total: None)
        return target / "report.html"


def train(
    x: Any,
    *,
    generator: str | Pair = "mlp",
    discriminator: str | Pair = "mlp",
    arms: Sequence[str] | None = None,
    cells: Sequence[Mapping[str, Any]] | None = None,
    seeds: int = 4,
    steps: int = 1000,
    run_dir: Path | str | None = None,
    verbose: bool = False,
    **options: Any,
) -> Training:
    """Trains GANs in every treatment of sigma on an array, side by side in one program.

    The numbers are those of `sigmaprop gan --dataset file.npz` with the same options, bit for bit,
    in a process with as many devices; defaults are those of the command.

    Args:
        x: examples, [N, D], [N, H, W] or [N, H, W, C]; images of type uint8 are divided by 255.
            A tenth of the rows validates, a tenth tests.
        generator: a name of `sigmaprop list`, ``path/to/file.py:function``, or a pair of pure
            functions ``init(key) -> params``, ``apply(params, z [B, Z]) -> x [B, ...]``.
        discriminator: the same, with ``apply(params, x [B, ...]) -> logits [B]``.
        arms: where sigma comes from; see `sigmaprop list`. None: zero, fixed and global.
        cells: instead of ``arms`` any list of treatments, each a name and options of its own, such
            as ``{"name": "narrow", "arm": "global", "widths": (32, 32)}``; options that a cell
            does not name are those given beside. Names and files stand for networks here.
        seeds: of each arm or cell, shared by all. Intervals need 3 or more.
        steps: of the generator; 2500 is the command's own.
        run_dir: keeps the run there, and the examples beside it; None: in a temporary directory,
            which goes with ``Training.run``.
        verbose: whether to tell how far it is.
        **options: those of `sigmaprop gan`, by the same names, such as ``learning_rate=1e-4``.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
        RunError: the run cannot be written.
    """
    if run_dir is not None:
        own = {"generator": generator, "discriminator": discriminator}
        own |= {"arms": arms, "cells": cells, "seeds": seeds, "steps": steps}
        return _train(x, Path(run_dir), own, options, verbose)
    folder = tempfile.mkdtemp(prefix="sigmaprop-")
    forget = functools.partial(shutil.rmtree, folder, ignore_errors=True)
    try:
        training = train(
            x,
            generator=generator,
            discriminator=discriminator,
            arms=arms,
            cells=cells,
            seeds=seeds,
            steps=steps,
            run_dir=Path(folder, "run"),
            verbose=verbose,
            **options,
        )
    except BaseException:
        forget()
        raise
    weakref.finalize(training.run, forget)
    return training


def _train(
    x: Any, directory: Path, own: dict[str, Any], options: dict[str, Any], verbose: bool
) -> Training:
    """Trains in a directory that stays."""
    with contextlib.ExitStack() as stack:
        for kind in ("generator", "discriminator"):
            own[kind] = stack.enter_context(named_network(kind, own[kind]))
        config = frozen.resolved(_config(str(_write_examples(directory, x)), own, options))
        plan = prepare(config, frozen.stored(config))
        states: list[State] = []
        record = stack.enter_context(runs.create(directory, "gan", config))
        told = stack.enter_context(_progress(verbose, total_work(config, plan)))
        own_sources.save(record, own_functions(config))
        run(config, plan, record, told, finished=states.append)
    programs = (_program(*both) for both in zip(plan.groups, states, strict=True))
    return Training(frame.load(directory), tuple(programs))


def _program(group: Group, state: State) -> Program:
    """A group and its last state, without the rows that fill up devices."""
    numbers = tuple(replica.number for replica in group.replicas)
    own = jax.tree.map(lambda leaf: leaf[: len(numbers)], jax.device_get(state))
    return Program(group.spec, numbers, own)


def _write_examples(directory: Path, x: Any) -> Path:
    """The file that `--dataset` takes, beside the run."""
    path = directory.with_name(f"{directory.name}.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as file:
        np.savez(file, x=np.asarray(x))
    return path


def _config(dataset: str, own: dict[str, Any], options: dict[str, Any]) -> GanConfig:
    """The config of the same command, whose defaults are those of its first preset."""
    base = {field.name: getattr(PRESET, field.name) for field in dataclasses.fields(GanConfig)}
    names = [name for name in base if name not in _FIXED]
    for name in options:
        if name not in names:
            near = nearest(name, [*own, *names])
            hint = "" if near is None else f"did you mean {near}? "
            raise ValueError(
                f"train has no option {name}; {hint}The options are those of sigmaprop gan, which "
                "sigmaprop gan --help-all lists"
            )
    arms, cells = own.pop("arms"), own.pop("cells")
    if isinstance(arms, str):
        raise ValueError(f"arms is {arms!r}; give a list of names, such as ({arms!r},)")
    if cells is not None and arms is not None:
        raise ValueError("arms and cells exclude each other: a cell names its arm; give one")
    fixed: dict[str, Any] = {"dataset": dataset, "sweep": {}, "cells": ()}
    if cells is None:
        fixed["sweep"] = {"arm": list(_ARMS if arms is None else arms)}
    else:
        fixed["cells"] = parse(cells, GanConfig)
    return configs.from_values(GanConfig, base | options | own | fixed)


@contextlib.contextmanager
def _progress(verbose: bool, total: int) -> Iterator[Any]:
    if verbose:
        with bars.telling(Terminal(), total, "replica-steps") as told:
            yield told
    else:
        yield None
