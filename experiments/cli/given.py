"""The options that a command line gives to an experiment: over a preset, or an earlier run."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

from sigmaprop.names import shortened

from ..options import flag, own_functions
from ..training import cells
from ..training.sweep import swept
from . import arguments as words
from .complaints import UserError, refuse, report_user_errors
from .presets import ENTRIES
from .tiny import cut


def checked(name: str, arguments: list[str], base: Any) -> tuple[Any, Any]:
    """What the parser filled, and the options of the experiment, checked together."""
    entry = ENTRIES[name]
    given = words.parse(entry.command, arguments, default=entry.filled(base), name=name)
    values = dict(vars(getattr(given, name)))
    if "sweep" in values:
        values |= refuse(lambda: _cells(entry.config, given, values, arguments))
    return given, refuse(lambda: entry.config(**values))


def _cells(
    config: type, given: Any, values: dict[str, Any], arguments: list[str]
) -> dict[str, Any]:
    """What runs with every seed: a product of swept values, or a list of cells."""
    named = words.named(arguments)
    wanted = [one for one in ("--cells", "--search") if one in named]
    crossed = [one for one in sorted(named) if one.startswith(flag("sweep."))]
    if "--cells" in wanted and len(both := [*wanted, *crossed]) > 1:
        raise ValueError(f"{both[0]} and {both[1]} exclude each other; give one")
    if "--search-seed" in named and "--search" not in named:
        raise ValueError("--search-seed means nothing without --search; give both or neither")
    none = type(values["sweep"])()
    if given.cells is not None:
        return {"cells": cells.parse(cells.read(given.cells), config), "sweep": none}
    if given.search is not None:
        sweep = _without_overridden(values["sweep"], arguments)
        kind, seed = cells.kind_of(config).of, given.search_seed
        found = cells.drawn(sweep, kind, values["arm"], given.search, seed)
        return {"cells": cells.parse(found, config), "sweep": none}
    if values["cells"] and not crossed:  # of an earlier run
        for one in values["cells"]:
            if twice := [name for name in cells.given(one) if flag(name) in named]:
                raise ValueError(
                    f"cell {one.name} has its own {twice[0]}, so {flag(twice[0])} would not reach "
                    "it; leave it out, or give the cells anew with --cells"
                )
        return {}
    return {"cells": (), "sweep": _without_overridden(values["sweep"], arguments)}


def _without_overridden(sweep: Any, arguments: list[str]) -> Any:
    """The sweep without the options that the user gave one value: flags win over presets."""
    given = words.named(arguments)
    single = [name for name in swept(sweep) if flag(name) in given]
    for name in single:
        if flag(f"sweep.{name}") in given:
            raise ValueError(
                f"{flag(name)} and {flag(f'sweep.{name}')} exclude each other; give one"
            )
    return dataclasses.replace(sweep, **dict.fromkeys(single))


def starting_point(arguments: list[str], name: str) -> tuple[Any, Path | None]:
    """The options that flags are laid over: a preset, by default the first, or an earlier run's."""
    kind, presets, *_ = ENTRIES[name]
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
    config = report_user_errors(lambda: configs.load_config(path, kind, command=name))
    folder = path if path.is_dir() else path.parent
    for spec, option in own_functions(config).items():
        if words.value_of(option, arguments) is None:  # else it is the user's own affair
            remedy = f"to run it as it is now, give {option} {{spec}} beside --config"
            check = functools.partial(own_sources.check, folder, [spec], remedy)
            report_user_errors(check)
    return config, path
