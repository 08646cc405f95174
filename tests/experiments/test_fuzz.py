"""Made-up command lines and damaged configs: each ends with a status and a few lines, none worse.

What would compute is replaced, so that the words, the files and what is said of them are left.
"""

import contextlib
import io
import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigmaprop.experiments.advise import run as advise
from sigmaprop.experiments.cli import arguments as words
from sigmaprop.experiments.cli import benching, compiling, data, doctor, launch
from sigmaprop.experiments.cli import main as program
from sigmaprop.experiments.compile import devices
from sigmaprop.experiments.estimators.config import EstimatorsConfig
from sigmaprop.experiments.gan.config import GanConfig
from sigmaprop.experiments.limit.config import LimitConfig
from sigmaprop.experiments.vae.config import VaeConfig

from sigmaprop.runs import configs, files

STATUSES = (0, 1, 2, 130, 143)
LINES, LONGEST = 10, 2500
FAST, SLOW = 100, 1000
BASES = {
    "limit": LimitConfig(),
    "estimators": EstimatorsConfig(),
    "gan": GanConfig(r1=0.1),
    "vae": VaeConfig(),
}


class Ended(NamedTuple):
    """How a command ended, and what it wrote to standard error."""

    status: object
    err: str


def ending(arguments: list[str]) -> Ended:
    """Runs a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            program.main(arguments)
        except SystemExit as error:
            return Ended(error.code, err.getvalue())
    raise AssertionError("main returned")


def assert_civil(ended: Ended) -> None:
    """A status that is documented, and few lines that are no traceback."""
    assert ended.status in STATUSES
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") <= LINES
    assert len(ended.err) <= LONGEST
    if ended.status == 2:
        assert ended.err.startswith("sigmaprop: ")


@pytest.fixture(scope="module", autouse=True)
def idle(tmp_path_factory) -> Iterator[None]:
    """Nothing is computed, fetched or drawn; relative paths lead into an empty directory."""

    def nothing(*given: object, **options: object) -> int:
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fuzz"))
        patch.setenv("COLUMNS", "80")
        patch.setattr(program, "_launch", nothing)
        patch.setattr(launch, "_prepared", nothing)
        patch.setattr(launch, "_measure", lambda *given: [])
        patch.setattr(launch, "_finish", nothing)
        patch.setattr(launch, "_write_report", nothing)
        for module, name in (
            *((advise, "show"), (doctor, "show"), (data, "prepare"), (benching, "run")),
            *((compiling, "show"), (devices, "prepare_environment")),
        ):
            patch.setattr(module, name, nothing)
        yield


NUMBERS = ("0", "1", "-1", "3", "1e-3", ".5", "-.5", "nan", "-nan", "inf", "-inf", "1e999", "0x10")
HUGE = ("9" * 30, "9" * 5000, "1" + "0" * 400, "1e-400", "-" + "9" * 5000)
ODD = (
    *("", " ", "None", "True", "False", "--", "-", "-x", "=", "--=", "..", ".", "/", "a" * 300),
    *("a/" * 3000, "\0", "a\0b", "\udce9", "\n", "\x1b[31m", "🙂" * 20, "[red]", "/dev/null"),
    *("/dev/zero/x", "/proc/self/mem/x", "nowhere", "nowhere.py:f", ":f", "x.py:", "ring", "quick"),
    *("zero", "pathwise", "pathwise+", "+", "sine", "float32", "mnist", "prepare", "list", "bash"),
)
VALUES = st.one_of(
    st.sampled_from(NUMBERS), st.sampled_from(HUGE), st.sampled_from(ODD), st.text(max_size=8)
)
WORDS = {
    int: ("0", "1", "2", "3", "64", "-1", "1_0", "٣", " 5 ", "9" * 30, "9" * 4000),
    float: (*NUMBERS[:-1], "5e-324", "1e308", "9" * 4000),
    str: ("sine", "pathwise", "nosuch", "ring", "x" * 5000, "nowhere.py:f", ":", "[red]", "🙂"),
    Path: (
        "nowhere",
        ".",
        "/dev/null",
        "/dev/zero",
        "a" * 300,
        "a/" * 3000,
        "/proc/self/fd/0",
        "[b]",
        "~",
    ),
    bool: ("True", "False"),
    type(None): ("None",),
}


def suited(kind: Any) -> list[str]:
    """Words that a type allows, extreme ones among them."""
    members = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return [str(member) for member in members]
    if members:
        return [word for member in members if member is not ... for word in suited(member)]
    return list(WORDS[kind])


@st.composite
def sound_lines(draw: Callable[..., Any]) -> list[str]:
    """A command with words of the right types, so that it comes as far as their meaning."""
    name = draw(st.sampled_from(list(program.COMMANDS)))
    command, _ = program.COMMANDS[name]
    line = [name]
    for place in words.places(command):
        count = draw(st.integers(0, 2)) if words._is_many(place.kind) else 1
        line += [draw(st.sampled_from(suited(place.kind))) for _ in range(count)]
    known = words.options(command)
    flags = (
        st.lists(st.sampled_from(list(known)), max_size=3, unique=True) if known else st.just([])
    )
    for flag in draw(flags):
        count = draw(st.integers(0, 3)) if words._is_many(known[flag]) else 1
        line += [flag, *(draw(st.sampled_from(suited(known[flag]))) for _ in range(count))]
    return line


@st.composite
def wild_lines(draw: Callable[..., Any]) -> list[str]:
    """A command, options of it or of none, values that suit or not, in any number and order."""
    name = draw(st.sampled_from([*program.COMMANDS, "nosuch", "--help", "--version", "", "-"]))
    known = list(words.options(program.COMMANDS[name][0])) if name in program.COMMANDS else []
    line = [name]
    for _ in range(draw(st.integers(0, 4))):
        flags = [*known, "--nosuch", "--sede", "--help"]
        word = draw(st.one_of(st.sampled_from(flags), VALUES))
        values = draw(st.lists(VALUES, max_size=2))
        if values and word.startswith("--") and draw(st.booleans()):
            word, values = f"{word}={values[0]}", values[1:]
        line += [word, *values]
    return line


LINES_OF_ALL_KINDS = st.one_of(sound_lines(), sound_lines(), wild_lines())


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """The same examples every time, kept nowhere."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@fuzzed(FAST)
@given(LINES_OF_ALL_KINDS)
def test_command_lines_end_civilly(line):
    assert_civil(ending(line))


@pytest.mark.slow
@fuzzed(SLOW)
@given(LINES_OF_ALL_KINDS)
def test_a_thousand_command_lines_end_civilly(line):
    assert_civil(ending(line))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**4000), 2**53 + 1, 1e308, float("inf"), float("nan")]),
    st.floats(),
    st.sampled_from(["", "x" * 5000, "\0", "\udce9", "nosuch", "zero", "a.py:f", "/dev/zero", "1"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
    st.builds(lambda: [[[[[[]]]]]]),  # a new one each time: entries of it are changed
)


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every entry."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for name, value in entries:
        yield (*path, name)
        if isinstance(value, dict | list):
            yield from places(value, (*path, name))


def like(value: Any) -> st.SearchStrategy[Any]:
    """Values of the same type, extreme ones among them."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int | float) or value is None:
        return st.sampled_from([0, 1, -1, 3, 2**31, 2**32, 10**30, 0.5, 1e-300, 5e-324, 1e308, 1e7])
    if isinstance(value, list):
        return st.lists(st.sampled_from([*value, *value, 0, 1.5, "nosuch"]), max_size=4)
    return st.sampled_from(["sine", "nosuch", "x" * 5000, "ring", "a.py:f", ""])


@st.composite
def damaged(draw: Callable[..., Any], command: str) -> bytes:
    """The bytes of a config of which entries, or bytes, are not what they were."""
    content = json.loads(configs.dump(command, BASES[command]))
    for _ in range(draw(st.integers(1, 3))):
        found = [path for path in places(content) if len(path) > 1 or draw(st.booleans())]
        if not found:
            break
        *path, last = draw(st.sampled_from(found))
        parent = content
        for name in path:
            parent = parent[name]
        match draw(st.sampled_from(["replace", "replace", "delete", "rename", "add"])):
            case "replace":
                parent[last] = draw(st.one_of(JUNK, like(parent[last])))
            case "delete":
                del parent[last]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.text(max_size=6))] = parent.pop(last)
            case _ if isinstance(parent, dict):
                parent[draw(st.text(max_size=6))] = draw(JUNK)
    text = json.dumps(content).encode()
    place = draw(st.integers(0, len(text)))
    match draw(st.sampled_from(["whole", "whole", "whole", "cut", "flip", "insert", "nest"])):
        case "cut":
            return text[:place]
        case "flip":
            return text[:place] + bytes([draw(st.integers(0, 255))]) + text[place + 1 :]
        case "insert":
            return text[:place] + draw(st.binary(max_size=6)) + text[place:]
        case "nest":
            return b"[" * 20_000 + text
    return text


COMMANDS = st.sampled_from(list(BASES))
CONFIGS = COMMANDS.flatmap(lambda name: st.tuples(st.just(name), damaged(name)))


def check_config(directory: Path, command: str, content: bytes, use: str) -> None:
    """Gives the config to a command of the kind that reads it."""
    file = directory / "config.json"
    file.write_bytes(content)
    if use == "--config":
        assert_civil(ending([command, "--config", str(file)]))
        return
    status = {"schema": 1, "status": use.partition(" ")[2], "reason": None}
    (directory / "status.json").write_text(json.dumps(status))
    files.write_manifest(directory, ["config.json"])
    assert_civil(ending([use.partition(" ")[0], str(directory)]))


USES = st.sampled_from(
    [
        *("--config", "--config", "report complete", "report interrupted", "report failed"),
        *("resume interrupted", "resume complete", "replay complete", "replay running"),
    ]
)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> Path:
    """A run of which only the config matters; not `finished`, which nothing would compute here."""
    directory = tmp_path_factory.mktemp("made_up")
    (directory / "environment.json").write_text("{}")
    pq.write_table(pa.table({"value": [1.0]}), directory / "metrics.parquet")
    return directory


@fuzzed(FAST // 2)
@given(CONFIGS, USES)
def test_configs_end_civilly(made_up, config, use):
    check_config(made_up, *config, use)


@pytest.mark.slow
@fuzzed(SLOW // 2)
@given(CONFIGS, USES)
def test_five_hundred_configs_end_civilly(made_up, config, use):
    check_config(made_up, *config, use)
