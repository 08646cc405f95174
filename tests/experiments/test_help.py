"""The short help of `gan`, in groups, and the helps of what a command does by its first word."""

import dataclasses
import re

import pytest
from sigmaprop.experiments.gan.config import SWEEPABLE, GanConfig
from sigmaprop.experiments.options import groups

GROUPS = groups(GanConfig)


def test_every_option_is_in_one_group():
    grouped = [field for fields in GROUPS.values() for field in fields]
    assert sorted([*grouped, "sweep", "cells"]) == sorted(
        f.name for f in dataclasses.fields(GanConfig)
    )


def test_the_help_of_gan_is_short_and_has_every_option_and_its_default(sigmaprop):
    ended = sigmaprop("gan", "--help")
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert len(lines) < 150  # one for each option, and headings
    assert max(map(len, lines)) <= 80
    for heading in GROUPS:
        assert heading in lines
    found = dict(re.findall(r"^  --([a-z0-9-]+)(?:\.OPTION)? (.*)$", ended.out, re.MULTILINE))
    fields = {f.name.replace("_", "-") for f in dataclasses.fields(GanConfig)} - {"sweep"}
    assert fields <= set(found)
    assert {"preset", "config", "run-dir", "dry-run"} <= set(found)
    assert found["steps"].startswith("2500 ")
    assert "non-saturating" not in found["loss"]
    assert "Weight of |grad D|^2 / 2 at real examples" in found["r1"]
    assert ended.out.count("--sweep.") == 1
    assert sigmaprop("gan", "--preset", "ring", "--help").out.count("0.01") >= 2


def test_all_of_it_is_in_the_long_help(sigmaprop):
    ended = sigmaprop("gan", "--help-all")
    assert ended.status == 0
    for field in SWEEPABLE:
        assert f"--sweep.{field.replace('_', '-')}" in ended.out
    assert "Where the generator differentiates the discriminator" in ended.out
    assert "1048576" in sigmaprop("limit", "--preset", "full", "--help-all").out


@pytest.mark.parametrize(
    ("words", "own", "others"),
    [
        (("bench", "limit"), {"--repeats", "--out"}, {"--replicas", "--optax-path"}),
        (("bench", "estimators"), {"--optax-path"}, {"--replicas", "--torch-python"}),
        (("bench", "gan"), {"--replicas", "--torch-python"}, {"--optax-path"}),
        (("data", "prepare"), {"--from", "--out"}, set()),
        (("data", "list"), set(), {"--from", "--out"}),
        (("results", "check"), {"--json"}, {"--out"}),
        (("results", "site"), {"--out"}, {"--json"}),
    ],
)
def test_what_a_command_does_by_its_first_word_speaks_of_itself_only(sigmaprop, words, own, others):
    ended = sigmaprop(*words, "--help")
    assert ended.status == 0
    assert f"sigmaprop {' '.join(words)}" in ended.out
    assert all(option in ended.out for option in own)
    assert not any(option in ended.out for option in others)
