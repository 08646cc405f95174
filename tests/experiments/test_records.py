"""Records of benchmarks: their numbers, what is kept, and what is refused.

The records are made up; quartiles are computed apart, by the standard library.
"""

import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from sigmaprop.experiments.bench import ratios
from sigmaprop.experiments.bench.ratios import Term
from sigmaprop.experiments.results import check, record

from .made_records import OURS, THEIRS, made


@pytest.fixture
def directory(tmp_path):
    record.write(tmp_path / "records", made())
    return tmp_path / "records"


def only(directory: Path, folder: str = "points") -> Path:
    (path,) = (directory / folder).glob("*.json")
    return path


def altered(directory: Path, change) -> None:
    """Changes the record and seals it again, as somebody who knows how would."""
    path = only(directory)
    content = json.loads(path.read_text())
    change(content)
    content["checksum"] = record.checksum(content)
    path.write_text(json.dumps(content))


def test_a_sound_record_is_read_back_and_not_refused(directory):
    checked = check.check(directory)
    assert checked.refusals == []
    (read,) = checked.sound.values()
    assert read == made()
    assert only(directory).stem.endswith(json.loads(only(directory).read_text())["checksum"][:12])


def test_nothing_private_is_kept(directory):
    text = only(directory).read_text() + only(directory, "systems").read_text()
    for private in ("ada", "node17", "/home", "/data", "xla_force_host"):
        assert private not in text
    assert json.loads(only(directory, "systems").read_text())["flags"] == {"JAX_ENABLE_X64": "0"}


def test_numbers_are_those_of_the_raw_times():
    ratio, rate, share, memory = (point.ratio for point in made().points)
    each = [a / b for a, b in zip(OURS, THEIRS, strict=True)]
    assert np.allclose(
        [ratio.low, ratio.median, ratio.high],
        statistics.quantiles(each, n=4, method="inclusive"),
        rtol=1e-14,
    )
    assert ratio.seconds == statistics.median(OURS)
    assert math.isclose(rate.median, 1e-9 / statistics.median(OURS))
    rest = [(b - 1.2 * a) / b for a, b in zip(OURS, THEIRS, strict=True)]
    assert math.isclose(share.median, statistics.median(rest))
    assert (memory.median, memory.verdict, memory.seconds) == (1.5, "met", 0.0)


def test_a_bound_is_the_larger_of_its_terms_in_each_round():
    below = [Term("a", 2.0, (1.0, 3.0)), Term("b", 1.0, (4.0, 1.0))]
    bound = ratios.ratio("x", [Term("x", 1.0, (8.0, 12.0))], below, combined="largest")
    assert ratios.by_round(bound).tolist() == [8 / 4, 12 / 6]
    assert ratios.from_json(json.loads(json.dumps(ratios.as_json(bound)))) == bound


def _fewer(content):
    content["repeats"] = 2


def _lost_round(content):
    content["points"][0]["above"][0]["values"].pop()


def _negative(content):
    content["points"][0]["above"][0]["values"][0] = -1.0


def _busy(content):
    content["load_average"]["after"][0] = 2.01


def _median(content):
    content["points"][0]["median"] *= 1 + 1e-6


def _quartile(content):
    content["points"][1]["high"] *= 0.9


def _raw(content):
    content["points"][0]["below"][0]["values"][0] *= 0.99


def _met(content):
    content["points"][0]["verdict"] = "missed"


def _twice(content):
    content["points"].append(content["points"][0])


def _home(content):
    content["notes"] = ["written to /home/ada/x"]


def _nameless(content):
    del content["points"][2]["sizes"]


def _not_a_number(content):
    content["points"][0]["below"][0]["values"][0] = math.nan


def _schema(content):
    content["schema"] = 2


def _neighbours(content):
    content["load_average"]["others"] = 0.11


def _others_unknown(content):
    content["load_average"]["others"] = "many"


def _no_load(content):
    content["load_average"] = {"before": [1.0]}


@pytest.mark.parametrize(
    ("mutant", "told"),
    [
        (_fewer, "repeats = 2; at least 3 are needed"),
        (_lost_round, "'times: ours / theirs' has 4 raw values of 'ours', not 5"),
        (_negative, "a raw value of 'ours' that is not above 0"),
        (_busy, "the load average was 1.50 before and 2.01 after it, above the machine's 2 cores"),
        (_median, "says median = 0.5, but its raw times give 0.5"),
        (_quartile, "'times: ours' says high ="),
        (_raw, "but its raw times give"),
        (_met, "says 'missed', but its raw times give 'met'"),
        (_twice, "'times: ours / theirs' is there twice"),
        (_home, "names a home directory, which is private"),
        (_nameless, "'the rest' has no 'sizes'"),
        (_not_a_number, "'ours / theirs' has terms without weight and raw values"),
        (_schema, "has schema 2; this version reads 1"),
        (_neighbours, "others kept 0.11 of the machine's 2 cores busy, more than 5% of them"),
        (_others_unknown, "has no whole 'load_average'"),
        (_no_load, "has no whole 'load_average'"),
    ],
)
def test_each_mutant_is_refused_in_one_sentence(directory, mutant, told):
    altered(directory, mutant)
    refusals = check.check(directory).refusals
    assert refusals
    assert any(told in one.why for one in refusals)
    assert all("\n" not in one.why for one in refusals)
    assert check.check(directory).sound == {}


def _places(content, path=()):
    """The way to every entry of JSON content."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))


HARMLESS = {"notes", "sizes", "peers", "what", "section", "command", "time", "better", "bench"}
"""Entries that may be another than they were: no number follows from them."""


@pytest.mark.parametrize("other", [None, "x", -1, [], {}, "no entry"], ids=str)
def test_whatever_is_altered_ends_in_a_sentence(directory, other):
    """Every entry in turn is replaced or removed, and the record sealed again.

    A point that is gone as a whole leaves no trace.
    """
    path = only(directory)
    content = path.read_text()
    for place in _places(json.loads(content)):
        mutant = json.loads(content)
        inside = mutant
        for key in place[:-1]:
            inside = inside[key]
        if other == "no entry":
            del inside[place[-1]]
        else:
            inside[place[-1]] = other
        mutant["checksum"] = record.checksum(mutant)
        if mutant == json.loads(content):
            continue
        path.write_text(json.dumps(mutant))
        refusals = check.check(directory).refusals
        whole = place[0] == "points" and len(place) == 2
        assert refusals or whole or HARMLESS & set(place) or place[0] in ("code", "load_average")


def test_what_was_altered_without_its_checksum_is_refused(directory):
    path = only(directory)
    path.write_text(path.read_text().replace('"a note"', '"another"'))
    (refusal,) = check.check(directory).refusals
    assert "its checksum does not fit" in refusal.why


def test_a_system_that_was_altered_is_refused(directory):
    path = only(directory, "systems")
    path.write_text(path.read_text().replace("Some CPU", "Another CPU"))
    (refusal,) = check.check(directory).refusals
    assert "its name is not its checksum" in refusal.why


def test_a_system_that_is_missing_is_refused(directory):
    only(directory, "systems").unlink()
    (refusal,) = check.check(directory).refusals
    assert "cannot read" in refusal.why


def test_a_file_that_is_cut_off_is_refused(directory):
    path = only(directory)
    path.write_text(path.read_text()[:500])
    (refusal,) = check.check(directory).refusals
    assert "truncated" in refusal.why


def test_unequal_sizes_of_one_case_are_refused(directory):
    record.write(directory, made(time="2026-01-02T00:00:00Z", samples=128))
    refusals = check.check(directory).refusals
    assert [one.why.split(" has ")[0] for one in refusals] == ["'times: ours / theirs'",
                                                              "'times: ours'"]  # fmt: skip
    assert "samples = 64" in refusals[0].why
    assert "samples = 128" in refusals[0].why
