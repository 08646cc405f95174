"""Configs: they read back as they were, and a wrong option is named with its remedy."""

import dataclasses
import json
import struct
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmaprop.runs import configs
from sigmaprop.runs.files import RunError


@dataclasses.dataclass(frozen=True)
class Optimizer:
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)


@dataclasses.dataclass(frozen=True)
class Config:
    steps: int
    seed: int = 0
    scale: float = 1.0
    dtype: Literal["float32", "float64"] = "float32"
    order: Literal[1, 2] = 1
    sigmas: tuple[float, ...] = (1.0, 0.1)
    clip: float | None = None
    sizes: tuple[int, ...] | None = None
    deterministic: bool = False
    note: str = ""
    folder: Path = Path("data")
    optimizer: Optimizer = Optimizer()

    def __post_init__(self):
        if self.steps < 0:
            raise ValueError(f"--steps is {self.steps};\ngive 0 or more")


CONFIG = Config(steps=10, seed=7, clip=0.1, sizes=(1, 2))


def refused(call, *arguments, **options) -> str:
    """The message of the RunError that the call raises."""
    with pytest.raises(RunError) as caught:
        call(*arguments, **options)
    return str(caught.value)


finite = st.floats(allow_nan=False, allow_infinity=False)
examples = st.builds(
    Config,
    steps=st.integers(min_value=0),
    seed=st.integers(),
    scale=finite,
    dtype=st.sampled_from(["float32", "float64"]),
    sigmas=st.lists(finite).map(tuple),
    clip=st.none() | finite,
    sizes=st.none() | st.lists(st.integers()).map(tuple),
    deterministic=st.booleans(),
    note=st.text(),
    folder=st.sampled_from([Path("."), Path("/a b/ü"), Path("x/../y")]),
    optimizer=st.builds(Optimizer, rate=finite, betas=st.tuples(finite, finite)),
)


@settings(max_examples=60, deadline=None)
@given(config=examples)
def test_a_config_reads_back_as_it_was(config, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_text(configs.dump("limit", config))
    again = configs.load_config(path, Config, command="limit")
    assert again == config
    floats = [(*c.sigmas, c.scale, c.optimizer.rate, *c.optimizer.betas) for c in (again, config)]
    assert struct.pack(f"{len(floats[0])}d", *floats[0]) == struct.pack(
        f"{len(floats[1])}d", *floats[1]
    )
    assert type(again.clip) is type(config.clip)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_float_that_is_not_finite_is_not_written(value):
    config = dataclasses.replace(CONFIG, optimizer=Optimizer(betas=(0.9, value)))
    message = refused(configs.dump, "limit", config)
    assert message == f"option optimizer.betas[1] is {value}; give a finite number"


def test_a_config_that_json_cannot_hold_is_a_programming_error():
    def config_of(kind, value):
        return dataclasses.make_dataclass("Odd", [("item", kind)], frozen=True)(value)

    with pytest.raises(TypeError, match="dict'> is no type of a config option"):
        configs.dump("limit", config_of(dict, {}))
    with pytest.raises(TypeError, match="not object"):
        configs.dump("limit", config_of(int, object()))
    with pytest.raises(TypeError, match="Odd changes"):
        configs.dump("limit", config_of(str | Path, Path("x")))


def test_a_config_of_wrong_types_is_refused_when_written():
    message = refused(configs.dump, "limit", Config(steps=True))
    assert message == "option steps is True; give an integer"


def test_changes_are_counted_option_by_option():
    assert configs.changes(CONFIG, CONFIG) == (0, 13)
    other = dataclasses.replace(CONFIG, seed=8, sigmas=(1.0,), optimizer=Optimizer(rate=1.0))
    assert configs.changes(other, CONFIG) == (3, 13)


def test_all_options_of_another_nested_dataclass_are_changes():
    @dataclasses.dataclass(frozen=True)
    class Outer:
        inner: Optimizer | Config | None = None
        seed: int = 0

    assert configs.changes(Outer(Optimizer()), Outer()) == (2, 3)
    assert configs.changes(Outer(), Outer(Optimizer())) == (1, 2)
    assert configs.changes(Outer(Optimizer()), Outer(CONFIG, seed=1)) == (3, 3)


def config_file(folder: Path, /, **options) -> Path:
    path = folder / "config.json"
    content = {"schema": 1, "command": "limit", "config": {"steps": 1} | options}
    path.write_text(json.dumps(content))
    return path


def test_missing_options_take_their_defaults(tmp_path):
    assert configs.load_config(config_file(tmp_path), Config) == Config(steps=1)


def test_an_integer_is_a_float_and_a_directory_stands_for_its_config(tmp_path):
    config_file(tmp_path, scale=2)
    scale = configs.load_config(tmp_path, Config).scale
    assert type(scale) is float
    assert scale == 2.0
    assert configs.load_command(tmp_path) == "limit"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"steps": "ten"}, ["option steps is 'ten'", "an integer"]),
        ({"steps": 1.0}, ["option steps is 1.0", "an integer"]),
        ({"steps": True}, ["option steps is True", "an integer"]),
        ({"steps": -1}, ["--steps is -1", "give 0 or more"]),
        ({"scale": "1"}, ["option scale is '1'", "a finite number"]),
        ({"scale": 2**53 + 1}, ["option scale is 9007199254740993", "a finite number"]),
        ({"scale": 10**400}, ["option scale is 1000", "a finite number"]),
        ({"scale": None}, ["option scale is None", "a finite number"]),
        ({"deterministic": 1}, ["option deterministic is 1", "true or false"]),
        ({"note": 3}, ["option note is 3", "a string"]),
        ({"folder": 3}, ["option folder is 3", "a path"]),
        ({"dtype": "float16"}, ["option dtype is 'float16'", "one of 'float32', 'float64'"]),
        ({"order": True}, ["option order is True", "one of 1, 2"]),
        ({"clip": "x"}, ["option clip is 'x'", "a finite number or null"]),
        ({"sizes": [1, 2.5]}, ["option sizes[1] is 2.5", "an integer"]),
        ({"sizes": 4}, ["option sizes is 4", "a list, each item an integer or null"]),
        ({"sigmas": [1.0, "x"]}, ["option sigmas[1] is 'x'", "a finite number"]),
        ({"sigmas": {}}, ["option sigmas is {}", "a list, each item a finite number"]),
        ({"optimizer": 1}, ["option optimizer is 1", "the options rate, betas"]),
        ({"optimizer": {"betas": [0.9]}}, ["option optimizer.betas is [0.9]", "a list of 2"]),
        ({"optimizer": {"rat": 1}}, ["unknown option 'optimizer.rat'", "'optimizer.rate'?"]),
        ({"stpes": 3}, ["unknown option 'stpes'", "did you mean 'steps'?"]),
        ({"zzz": 3}, ["unknown option 'zzz'", "Known: steps, seed"]),
        ({"note": "x" * 1000, "steps": "y" * 1000}, ["option steps is 'yyyy"]),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_what_is_allowed(tmp_path, options, parts):
    path = config_file(tmp_path, **options)
    message = refused(configs.load_config, path, Config)
    assert len(message) < 400
    for part in (str(path), *parts):
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "truncated or not valid JSON"),
        ('{"schema": 1, "comm', "truncated or not valid JSON"),
        ("\xff", "truncated or not valid JSON"),
        ("[" * 100_000, "truncated or not valid JSON"),
        ("[]", "must hold exactly schema, command, config"),
        ('{"schema": 1, "config": {}}', "must hold exactly schema, command, config"),
        ('{"schema": 2, "command": "limit", "config": {}}', "schema 2, but this version reads 1"),
        ('{"schema": true, "command": "limit", "config": {}}', "schema True"),
        ('{"schema": 1, "command": 3, "config": {}}', "command is 3"),
        ('{"schema": 1, "command": "limit", "config": {}}', "option steps is missing"),
        ('{"schema": 1, "command": "limit", "config": []}', "config is []"),
        ('{"schema": 1, "command": "limit", "config": {"steps": NaN}}', "option steps is nan"),
        (
            '{"schema": 1, "command": "limit", "config": {"steps": 1, "scale": 1e999}}',
            "option scale is inf",
        ),
        (
            '{"schema": 1, "command": "limit", "config": {"steps": 1, "steps": 2}}',
            "'steps' is given twice",
        ),
    ],
)
def test_a_damaged_config_is_refused(tmp_path, text, part):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    message = refused(configs.load_config, path, Config)
    assert str(path) in message
    assert part in message


def test_a_config_of_another_command_or_place_is_refused(tmp_path):
    path = config_file(tmp_path)
    message = refused(configs.load_config, path, Config, command="gan")
    assert "'limit', not 'gan'" in message
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty / "config.json") in refused(configs.load_config, empty, Config)
    assert str(tmp_path / "no.json") in refused(configs.load_config, tmp_path / "no.json", Config)
