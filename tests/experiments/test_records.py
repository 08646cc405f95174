"""Records of benchmarks: what is refused, what is comparable, and what repeats allow to say.

The records are made up. The truth is computed apart: quartiles by the standard library, intervals
by SciPy's t test, error rates by simulation.
"""

import base64
import json
import math
import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sigmaprop.experiments.bench import ratios
from sigmaprop.experiments.bench.ratios import Found, Term
from sigmaprop.experiments.results import check, pairs, record, site

from sigmaprop.runs.files import RunError

REPEATS = 5
ENVIRONMENT = {
    "versions": {"python": "3.11.7", "jax": "0.10.2", "numpy": "2.4.6", "sigmaprop": "0.1.0"},
    "platform": "Linux-6.1-x86_64",
    "device": {"backend": "cpu", "kind": "cpu", "count": 2},
    "cpu": {"model": "Some CPU", "cores": 2},
    "flags": {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_dump_to=/data/ada",
        "JAX_COORDINATOR_ADDRESS": "node17.example.org:1234",
        "JAX_COMPILATION_CACHE_DIR": "/home/ada/.cache",
        "JAX_ENABLE_X64": "0",
    },
    "x64": False,
    "numerics": {"jax_default_matmul_precision": None},
    "git": {"commit": "a" * 40, "dirty": False},
}
OURS = (1.0, 1.1, 1.2, 1.05, 0.95)
THEIRS = (2.0, 2.1, 2.5, 2.0, 1.9)


def changed(**more) -> dict:
    return ENVIRONMENT | more


def found(ours=OURS, theirs=THEIRS, samples=64) -> Found:
    """A ratio, a rate, a share that may be negative, and a memory."""
    seconds = {"ours": np.array(ours), "theirs": np.array(theirs)}
    above, below = (ratios.terms(seconds, {name: 1}) for name in seconds)
    whole = ratios.terms(seconds, {"theirs": 1, "ours": -1.2})
    speeds = [
        *ratios.against([ratios.ratio("ours / theirs", above, below, 0.6)], torch="2.0"),
        ratios.rate("ours", {"ours": seconds["ours"]}, 1e-9),
    ]
    sections = {
        "times": ratios.sized(speeds, samples=samples, widths=[4, 4]),
        "parts": [ratios.ratio("the rest", whole, below, better="neither")],
        "memory": [ratios.constant("peak", 300.0, 200.0, 1.6)],
    }
    return Found(sections)


def made(environment=ENVIRONMENT, time="2026-01-01T00:00:00Z", load=1.5, **of_found):
    return record.Record(
        "limit",
        record.system_of(environment),
        record.code_of(environment),
        "sigmaprop bench limit --repeats 5",
        time,
        record.Load((load, 1.0, 1.0), (1.0, 1.0, 1.0), 2),
        REPEATS,
        record.points_of(found(**of_found)),
        ("a note",),
    )


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


COMMIT = changed(git={"commit": "b" * 40, "dirty": False})
NEWER = {"versions": ENVIRONMENT["versions"] | {"jax": "0.11.0"}}
GPU = {"device": {"backend": "gpu", "kind": "H100", "count": 1}}


@pytest.mark.parametrize(
    ("environment", "part", "why"),
    [
        (ENVIRONMENT, "", None),
        (COMMIT, "code", None),
        (changed(**GPU), "machine", None),
        (changed(**NEWER), "versions", None),
        (changed(flags={"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}), "flags", None),
        (changed(git={"commit": "a" * 40, "dirty": True}), "code", None),
        (changed(flags=ENVIRONMENT["flags"] | {"JAX_COORDINATOR_ADDRESS": "else"}), "", None),
        (COMMIT | GPU, None, "machine and code differ"),
        (changed(**NEWER, **GPU), None, "machine and versions differ"),
        (changed(x64=True), None, "their numerics differ"),
    ],
)
def test_one_part_may_differ(environment, part, why):
    old, new = made(), made(environment)
    if why is None:
        assert pairs.obstacle(old, new) is None
        assert pairs.changed(old, new) == part
    else:
        assert why in str(pairs.obstacle(old, new))


def test_two_checkouts_with_changes_are_two_codes():
    dirty = made(changed(git={"commit": "a" * 40, "dirty": True}))
    assert pairs.changed(dirty, dirty) == "code"


def test_cases_of_other_sizes_or_peers_are_left_out():
    compared = pairs.compare(made(), made(samples=128))
    assert [case.new.case for case in compared.cases] == ["parts: the rest", "memory: peak"]
    assert compared.left == [
        "times: ours / theirs: sizes differ: samples 64 and 128",
        "times: ours: sizes differ: samples 64 and 128",
    ]
    new = made()
    first = new.points[0]
    newer = first._replace(ratio=first.ratio._replace(peers={"torch": "2.1"}))
    compared = pairs.compare(made(), new._replace(points=(newer, *new.points[1:])))
    assert compared.left == ["times: ours / theirs: versions of peers differ: torch 2.0 and 2.1"]


def test_the_interval_is_that_of_a_t_test():
    generator = np.random.default_rng(0)
    new, old = np.exp(generator.normal(0, 0.1, (2, 7)))
    measured = pairs.change(new, old, 0.99)
    truth = stats.ttest_1samp(np.log(new / old), 0.0).confidence_interval(0.99)
    assert np.allclose([measured.low, measured.high], np.exp([truth.low, truth.high]), rtol=1e-12)
    longer = pairs.change(np.append(new, 9.0), old, 0.99)
    assert longer == measured


@pytest.mark.parametrize(
    ("factor", "better", "verdict"),
    [
        (1.0, "smaller", "equivalent"),
        (1.5, "smaller", "worse"),
        (1.5, "larger", "better"),
        (0.5, "smaller", "better"),
        (0.5, "larger", "worse"),
        (0.5, "neither", "smaller"),
        (1.05, "smaller", "not resolved"),
    ],
)
def test_verdicts_say_which_end_is_good(factor, better, verdict):
    old = np.array([1.0, 1.001, 0.999, 1.0005])
    new = factor * np.array([1.0005, 1.0, 1.001, 0.999])
    assert pairs.verdict(pairs.change(new, old, 0.99), better) == verdict


def test_what_was_taken_once_and_what_is_not_positive_is_not_resolved():
    one, negative = np.array([1.0]), np.array([1.0, -1.0, 1.0])
    for new, old in ((2 * one, one), (negative, negative)):
        assert pairs.verdict(pairs.change(new, old, 0.95), "smaller") == "not resolved"


def test_two_medians_alone_decide_nothing():
    """The same medians: with little spread a verdict, with much none."""
    steady, noisy = np.array([1.0, 1.01, 0.99]), np.array([1.0, 3.0, 0.3])
    for spread, verdict in ((steady, "worse"), (noisy, "not resolved")):
        found = pairs.change(1.3 * spread[[1, 0, 2]], spread, 0.95)
        assert pairs.verdict(found, "smaller") == verdict


def test_a_verdict_is_false_as_seldom_as_its_level_says():
    """At the edge of the margin, where either verdict is false, each comes in 2.5% at the most.

    2,000 pairs of 5 rounds with a spread of 3%; 5 standard errors of a share of 2.5% are 1.7%.
    """
    generator = np.random.default_rng(1)
    new, old = np.exp(generator.normal(0, 0.03, (2, 2000, 5)))
    told = [
        pairs.verdict(pairs.change(pairs.MARGIN * a, b, 0.95), "smaller")
        for a, b in zip(new, old, strict=True)
    ]
    for verdict in ("worse", "equivalent"):
        assert told.count(verdict) / len(told) < 0.025 + 5 * math.sqrt(0.025 * 0.975 / len(told))
    assert told.count("worse") > 0


def test_levels_are_shared_by_all_cases():
    compared = pairs.compare(made(), made())
    assert len(compared.cases) == 4
    assert compared.level == 1 - 0.05 / 4


def test_a_busy_machine_resolves_nothing():
    slower = tuple(1.5 * value for value in reversed(OURS))
    quiet = pairs.compare(made(), made(COMMIT, ours=slower))
    assert "worse" in [case.verdict for case in quiet.cases]
    busy = pairs.compare(made(), made(COMMIT, ours=slower, load=9.0))
    assert {case.verdict for case in busy.cases} == {"not resolved"}
    assert len(busy.doubts) == 1


def test_the_latest_comparable_record_is_the_standard(tmp_path):
    records = tmp_path / "records"
    record.write(records, made(time="2026-01-01T00:00:00Z"))
    record.write(records, made(COMMIT, time="2026-01-02T00:00:00Z"))
    record.write(records, made(COMMIT | GPU, time="2026-01-03T00:00:00Z"))
    record.write(records, made(time="2026-01-04T00:00:00Z", load=9.0))
    file, chosen = pairs.standard(records, "limit", ENVIRONMENT)
    assert chosen.time == "2026-01-02T00:00:00Z"
    assert pairs.standard(Path(file), "limit", ENVIRONMENT)[1] == chosen
    with pytest.raises(RunError, match="has no record of `bench gan`"):
        pairs.standard(records, "gan", ENVIRONMENT)
    with pytest.raises(RunError, match=r"nothing to compare this run with: .*numerics differ"):
        pairs.standard(records, "limit", changed(x64=True))


def test_medians_without_repeats_are_no_standard(tmp_path):
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"ratios": [{"what": "a", "median": 1.0}], "repeats": 5}))
    with pytest.raises(RunError, match="medians without the raw times"):
        pairs.standard(old, "limit", ENVIRONMENT)


def test_commands_name_no_paths():
    options = {"--repeats": 3, "--replicas": (1, 2), "--torch-python": Path("/home/ada/python")}
    text = record.command_of("gan", options | {"--optax-path": None})
    assert text == "sigmaprop bench gan --repeats 3 --replicas 1 2 --torch-python PATH"


@pytest.fixture
def several(directory):
    slower = tuple(1.5 * value for value in reversed(OURS))
    record.write(directory, made(COMMIT, time="2026-01-02T00:00:00Z", ours=slower))
    record.write(directory, made(COMMIT | GPU, time="2026-01-03T00:00:00Z"))
    record.write(directory, made(time="2026-01-04T00:00:00Z", load=9.0))
    return directory


def test_the_page_stands_alone_and_links_every_number(several, tmp_path):
    path = site.write(several, tmp_path / "site", check.check(several))
    text = path.read_text()
    again = site.write(several, tmp_path / "again", check.check(several))
    assert again.read_text() == text
    assert path.name == "index.html"
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(|@import|fetch\(|XMLHttp", text)
    anchors = set(re.findall(r' id="([^"]+)"', text))
    cells = re.findall(r'<td[^>]*class="number"[^>]*>(.*?)</td>', text)
    numbers = [cell for cell in cells if not re.search(r"–|≤", cell)]
    assert len(numbers) > 30
    for cell in numbers:
        (target,) = re.findall(r'<a href="#([^"]+)">', cell)
        assert target in anchors
    files = re.findall(r'href="data:application/json;base64,([^"]+)" download="limit-', text)
    inside = {base64.b64decode(one) for one in files}
    kept = {p.read_bytes() for p in (several / "points").iterdir()}
    assert len(inside) == 3
    assert inside < kept


def test_the_page_says_what_is_comparable_and_what_is_left_out(several, tmp_path):
    text = site.write(several, tmp_path, check.check(several)).read_text()
    assert "other code" in text
    assert "other machine" in text
    assert "machine and code differ, and nobody could say which of them counts" in text
    assert "the load average was 9.00 before" in text
    assert "sigmaprop bench limit --repeats 5" in text
    assert "✗ worse" in text
    assert "fastest" not in text


def test_records_that_are_no_pair_stand_for_themselves(directory, tmp_path):
    text = site.write(directory, tmp_path, check.check(directory)).read_text()
    assert "No two of these records can be compared" in text
