"""The check of words knows what the parser knows: every option that any help shows."""

import re

import pytest
from sigmaprop.experiments.cli import arguments
from sigmaprop.experiments.cli import main as program

VALUES = {"INT": "3", "FLOAT": "0.5", "STR": "word", "PATH": "somewhere"}
POSITIONAL = {
    "resume": ["run"],
    "replay": ["run"],
    "report": ["run"],
    "bench": ["limit"],
    "compile": ["gan"],
    "results": ["check", "records"],
    "data": ["prepare", "mnist"],
    "compare": ["a", "b"],
}
"""A word for each place that a command cannot do without."""


def shown(sigmaprop, monkeypatch, command: str) -> dict[str, str]:
    """The options that help shows, each with how it describes its values."""
    monkeypatch.setenv("COLUMNS", "80")  # one column of options
    ended = sigmaprop(command, "--help-all")
    assert ended.status == 0
    lines = re.findall(r"^[│ ] {0,2}(--\w[\w.-]*) *(.*)$", ended.out, re.MULTILINE)
    assert len(lines) == len(dict(lines))
    return {option: rest.strip(" │") for option, rest in lines}


def plausible(described: str) -> str:
    """A value of the kind that help describes."""
    kind = re.match(r"(?:\{None\}\|)?[\[{]*([\w+]+)", described)
    assert kind is not None, described
    return VALUES.get(kind[1], kind[1])


@pytest.mark.parametrize("name", list(program.COMMANDS))
def test_the_check_has_the_options_of_the_parser(sigmaprop, monkeypatch, name):
    command, _ = program.COMMANDS[name]
    assert set(shown(sigmaprop, monkeypatch, name)) == set(arguments.options(command))


@pytest.mark.parametrize("name", list(program.COMMANDS))
def test_every_option_that_help_shows_is_taken(sigmaprop, monkeypatch, name):
    command, _ = program.COMMANDS[name]
    words = list(POSITIONAL.get(name, []))
    for option, described in shown(sigmaprop, monkeypatch, name).items():
        words += [option, plausible(described)]
    arguments.check(name, command, words)
    assert arguments.parse(command, words, name=name) is not None


@pytest.mark.parametrize("words", [["--from", "here"], ["--from=here"]])
def test_originals_can_be_named(sigmaprop, monkeypatch, words):
    from sigmaprop.experiments.cli import data

    called = []
    monkeypatch.setattr(data, "prepare", lambda *given: called.append(given) or 0)
    assert sigmaprop("data", "prepare", "mnist", *words).status == 0
    ((name, source, out),) = called
    assert (name, str(source), out) == ("mnist", "here", None)


def test_the_name_of_a_field_is_no_option(sigmaprop):
    ended = sigmaprop("data", "prepare", "mnist", "--source", "here")
    assert ended.status == 2
    assert "unknown option '--source'" in ended.err
    assert "Known: --from, --out" in ended.err


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--sigmas", "1", "-.5", "-inf", "--seed", "3"], {"--sigmas": ["1", "-.5", "-inf"]}),
        (["--sigmas=1", "2"], {"--sigmas": ["1", "2"]}),
        (["--num_samples", "8"], {"--num-samples": ["8"]}),
    ],
)
def test_words_belong_to_the_option_before_them(words, values):
    command, _ = program.COMMANDS["limit"]
    found, loose = arguments._sorted(words, arguments.options(command))
    assert values.items() <= dict(found).items()
    assert loose == []
