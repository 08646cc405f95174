"""Records of benchmarks: which are comparable, what repeats allow to say, and their page.

The records are made up. Intervals are computed apart, by SciPy's t test, error rates by simulation.
"""

import base64
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sigmaprop.experiments.results import check, pairs, record, site

from sigmaprop.runs.files import RunError

from .made_records import ENVIRONMENT, OURS, changed, made

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
def directory(tmp_path):
    record.write(tmp_path / "records", made())
    return tmp_path / "records"


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
