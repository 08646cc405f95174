"""What finished runs hold, in the form that figures and reports are made from.

This package draws from files alone: it imports no JAX.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.reporting.unfinished import notice
from sigmaprop.runs import read_metrics
from sigmaprop.runs.files import RunError, read_json
from sigmaprop.runs.tables import check_columns

LONGEST_LABEL = 48
LARGEST = 1e100
"""Larger numbers are overflow and are not drawn."""
_MEASURED = ("value", "error", "theory")
_FIRST = ("dtype", "dim", "seed")


class Series(NamedTuple):
    """One metric of one estimator, every entry [rows]; sorted by sigma, then batch size."""

    sigma: np.ndarray
    batch_size: np.ndarray
    num_batches: np.ndarray
    value: np.ndarray
    error: np.ndarray
    theory: np.ndarray

    def where(self, chosen: np.ndarray) -> "Series":
        """The rows that a mask chooses."""
        return Series(*(column[chosen] for column in self))


class Key(NamedTuple):
    """What names a series."""

    objective: str
    estimator: str
    noise: str
    wrt: str
    metric: str


class Results(NamedTuple):
    """One run.

    Attributes:
        label: what tells this run from the others it is drawn with, empty for one alone.
        name: of its directory.
        command: of the command line.
        config: its options.
        environment: versions, device, flags.
        claims: its conclusions, numbers that are not known as NaN.
        picture: image and gradients of the digit classifier, if it was measured.
        series: the metrics.
        sizes: dim and dtype of every objective, in the order of the run.
        notice: how far it has come, empty for a complete run.
    """

    label: str
    name: str
    command: str
    config: dict[str, Any]
    environment: dict[str, Any]
    claims: list[dict[str, Any]]
    picture: dict[str, Any] | None
    series: Mapping[Key, Series]
    sizes: Mapping[str, tuple[int, str]]
    notice: str = ""

    def get(self, objective: str, which: tuple[str, str], wrt: str, metric: str) -> Series | None:
        """One metric of an (estimator, noise), or None if it was not measured."""
        return self.series.get(Key(objective, *which, wrt, metric))

    def estimators(self, objective: str) -> list[tuple[str, str]]:
        """Every (estimator, noise) measured on an objective, in the order of the run."""
        found = ((k.estimator, k.noise) for k in self.series if k.objective == objective)
        return list(dict.fromkeys(found))


def read(directories: Sequence[Path]) -> list[Results]:
    """Reads runs and labels each by what differs in its config.

    Raises:
        RunError: a file is missing or damaged.
    """
    found = [_read_one(Path(directory)) for directory in directories]
    labels = label([one.config for one in found], [one.name for one in found])
    return [one._replace(label=text) for one, text in zip(found, labels, strict=True)]


def label(configs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """What tells each config from the others, else the directory's name, else a number."""
    if len(configs) == 1:
        return [""]
    options = dict.fromkeys(option for config in configs for option in config)
    different = [o for o in options if any(c.get(o) != configs[0].get(o) for c in configs)]
    different.sort(key=lambda option: (option not in _FIRST, option))
    scalars = [o for o in different if not any(isinstance(c.get(o), list) for c in configs)]
    labels = [", ".join(_option(o, config.get(o)) for o in scalars) for config in configs]
    if len(set(labels)) < len(labels) and different != scalars:
        labels = [", ".join(_option(o, config.get(o)) for o in different) for config in configs]
    if len(set(labels)) < len(labels):
        labels = [f"{text}, {name}".lstrip(", ") for text, name in zip(labels, names, strict=True)]
    labels = [plain(text, LONGEST_LABEL) for text in labels]
    if len(set(labels)) < len(labels):
        labels = [f"{i}: {text}" for i, text in enumerate(labels, 1)]
    return labels


def plain(text: str, longest: int = 80) -> str:
    """Text that every font has glyphs for and XML allows, cut to a length."""
    text = re.sub(r"[^ -~\u00a1-\u00ff]", "?", text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _option(name: str, value: Any) -> str:
    """An option as a label: words speak for themselves, numbers need their name."""
    if name == "dtype":
        return str(value)
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return f"{name} {'default' if value is None else value}"


def _read_one(directory: Path) -> Results:
    table = columns(directory, (*Key._fields, "dtype"), (*Series._fields, "dim"))
    picture = directory / "picture.json"
    return Results(
        label="",
        **told(directory),
        picture=read_json(picture) if picture.exists() else None,
        series=grouped(table, Key, Series, ("batch_size", "sigma")),
        sizes=_sizes(table),
    )


def told(directory: Path) -> dict[str, Any]:
    """What every run tells of itself: name, command, config, environment, claims, notice.

    Raises:
        RunError: a file is missing or damaged.
    """
    content, claims = read_json(directory / "config.json"), directory / "conclusions.json"
    found = read_json(claims) if claims.exists() else []
    environment = read_json(directory / "environment.json")
    try:
        return {
            "name": directory.resolve().name,
            "command": str(content.get("command", "")),
            "config": dict(content.get("config", {})),
            "environment": dict(environment),
            "claims": [_known(claim) for claim in found],
            "notice": notice(directory),
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{directory} holds a JSON file without its usual content ({error!r}); restore it or "
            "choose another run"
        ) from error


def columns(directory: Path, words: Sequence[str], numbers: Sequence[str]) -> dict[str, Any]:
    """The table's columns as arrays, those of strings as (codes, words); overflow is NaN.

    Args:
        directory: of the run.
        words: columns of strings that are needed.
        numbers: columns of numbers that are.

    Raises:
        RunError: there is no table, it is damaged, or one of the needed columns is missing.
    """
    import pyarrow as pa

    table = read_metrics(directory)
    check_columns(table, directory, words=words, numbers=(*numbers, *_MEASURED))
    found: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in words or pa.types.is_string(column.type):
            encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
            found[name] = (encoded.indices.to_numpy(), encoded.dictionary.to_pylist())
        else:
            found[name] = column.to_numpy()
    for name in _MEASURED:
        with np.errstate(invalid="ignore"):
            found[name] = np.where(np.abs(found[name]) < LARGEST, found[name], np.nan)
    return found


def grouped(table: dict[str, Any], key: Any, series: Any, order: Sequence[str]) -> dict[Any, Any]:
    """Groups the rows by key, in order of first appearance.

    Args:
        table: from `columns`.
        key: a NamedTuple of columns of strings.
        series: a NamedTuple of columns of numbers.
        order: columns that the rows of a group are sorted by, the last first.
    """
    codes = np.zeros(len(table[order[0]]), np.int64)
    if not codes.size:
        return {}
    for name in key._fields:
        index, words = table[name]
        codes = codes * len(words) + index
    _, first, group = np.unique(codes, return_index=True, return_inverse=True)
    rows = np.lexsort((*(table[name] for name in order), group))
    pieces = np.split(rows, np.cumsum(np.bincount(group, minlength=len(first)))[:-1])
    found = {}
    for start, piece in sorted(zip(first.tolist(), pieces, strict=True), key=lambda p: p[0]):
        name = key(*(table[column][1][table[column][0][start]] for column in key._fields))
        found[name] = series(*(table[column][piece] for column in series._fields))
    return found


def _sizes(table: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Dim and dtype of every objective, in order of appearance."""
    index, words = table["objective"]
    dtypes, names = table["dtype"]
    seen, first = np.unique(index, return_index=True)
    rows = sorted(zip(first.tolist(), seen.tolist(), strict=True))
    return {words[code]: (int(table["dim"][row]), names[dtypes[row]]) for row, code in rows}


_OF_CLAIM = ("objective", "claim", "expected", "verdict", "sigma_low", "sigma_high")


def _known(claim: dict[str, Any]) -> dict[str, Any]:
    """A claim with NaN where JSON holds null."""
    if missing := [name for name in _OF_CLAIM if name not in claim]:
        raise KeyError(missing[0])
    known = lambda value: float("nan") if value is None else value  # noqa: E731
    measured = {name: known(value) for name, value in claim["measured"].items()}
    return {name: known(value) for name, value in claim.items()} | {"measured": measured}
