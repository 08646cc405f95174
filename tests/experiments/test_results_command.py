"""`sigmaprop bench --record`, `--compare` and `sigmaprop results`, from a true measurement on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sigmaprop.experiments.bench.neighbours import Neighbours

RECORDS, OLD = Path("records"), Path("old.json")


@pytest.fixture
def small(monkeypatch):
    """`bench limit` of two lines."""
    from sigmaprop.experiments.bench import limit

    monkeypatch.setattr(limit, "NUM_SAMPLES", 2**10)
    monkeypatch.setattr(limit, "NUM_SIGMAS", 2)
    for name in ("_against_parts", "_against_others"):
        monkeypatch.setattr(limit, name, lambda repeats: [])
    monkeypatch.setattr(limit, "_batch_sizes", lambda repeats: ([], []))
    monkeypatch.setattr(limit, "_memory", list)
    monkeypatch.setattr(Neighbours, "cores", lambda self: 0.01)  # whatever else runs here


def bench(sigmaprop, *options):
    return sigmaprop("bench", "limit", "--repeats", 3, *options)


def test_a_true_measurement_is_recorded_checked_compared_and_shown(sigmaprop, small):
    first = bench(sigmaprop, "--record", RECORDS, "--out", OLD)
    assert first.status in (0, 1)
    assert "record: records/points/limit-" in first.out
    checked = sigmaprop("results", "check", RECORDS)
    assert (checked.status, checked.err) == (0, "")
    assert checked.out == "1 record, 3 numbers: nothing refused\n"
    ended = sigmaprop("results", "check", RECORDS, "--json")
    assert json.loads(ended.out) == {"records": 1, "refused": 0, "refusals": []}
    for old in (RECORDS, OLD):
        second = bench(sigmaprop, "--compare", old)
        assert second.status in (0, 1)
        assert f"compared with {old}" in second.out
        assert "intervals at 98.33%" in second.out
    shown = sigmaprop("results", "site", RECORDS)
    assert shown.out == "1 record: site/index.html\n"
    assert Path("site/index.html").stat().st_size > 10_000


def test_a_refused_record_is_told_in_a_sentence_and_left_out(sigmaprop, small):
    bench(sigmaprop, "--record", RECORDS)
    (path,) = (RECORDS / "points").iterdir()
    path.write_text(path.read_text().replace('"repeats": 3', '"repeats": 4'))
    ended = sigmaprop("results", "check", RECORDS)
    assert ended.status == 1
    assert ended.out.splitlines()[-1] == "1 of 1 record refused"
    assert f"points/{path.name}: " in ended.out.splitlines()[0]
    ended = sigmaprop("results", "check", RECORDS, "--json")
    assert ended.status == 1
    assert json.loads(ended.out)["refusals"][0]["file"] == f"points/{path.name}"
    shown = sigmaprop("results", "site", RECORDS, "--out", "page")
    assert shown.status == 0
    assert shown.out.startswith("left out: points/limit-")
    assert "its checksum does not fit" in Path("page/index.html").read_text()


def test_a_page_that_cannot_be_written_is_told(sigmaprop, small):
    bench(sigmaprop, "--record", RECORDS)
    OLD.touch()
    ended = sigmaprop("results", "site", RECORDS, "--out", OLD)
    assert ended.status == 2
    assert ended.err == (
        "sigmaprop: --out old.json cannot be written (File exists); choose another directory\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("results check nowhere", "nowhere has no records (no points/*.json)"),
        ("results site nowhere", "nowhere has no records"),
        ("results check", "results needs DIRECTORY: a path"),
        ("results show records", "unknown value of WHAT 'show'"),
        ("results site records --json", "--json belongs to `sigmaprop results check`"),
        ("results check records --out x", "--out belongs to `sigmaprop results site`"),
        ("bench limit --compare nowhere", "cannot read nowhere"),
        ("bench limit --compare old.json", "medians without the raw times of its repeats"),
        ("bench limit --compare other.json", "is no result of `sigmaprop bench`"),
        ("bench limit --record old.json", "--record old.json cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(sigmaprop, monkeypatch, words, told):
    from sigmaprop.experiments.cli import benching

    monkeypatch.delattr(benching, "_measure")
    OLD.write_text(json.dumps({"ratios": [{"what": "a", "median": 1.0}]}))
    Path("other.json").write_text("[]")
    ended = sigmaprop(*words.split())
    assert ended.status == 2
    assert told in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.slow
def test_the_console_script_does_it_all_in_an_empty_directory(tmp_path):
    """A bench as users run it; only that this machine is busy is no fault of the record."""
    from sigmaprop.experiments.results import check, record

    script = Path(sys.executable).with_name("sigmaprop")

    def run(*words: str, statuses: tuple[int, ...] = (0,)) -> str:
        ended = subprocess.run(
            [script, *words], cwd=tmp_path, capture_output=True, text=True, timeout=1500
        )
        assert ended.returncode in statuses, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stdout

    bench = ("bench", "gan", "--repeats", "3", "--replicas", "1")
    run(*bench, "--record", "records", statuses=(0, 1))
    out = run("results", "check", "records", statuses=(0, 1))
    assert "nothing refused" in out or "others kept" in out
    checked = check.check(tmp_path / "records")
    ((file, made),) = checked.records.items()
    assert all("others kept" in one.why for one in checked.refusals)
    (tmp_path / "records" / file).unlink()
    record.write(tmp_path / "records", made._replace(load=record.Load((1.0,), (1.0,), 2)))
    assert "nothing refused" in run("results", "check", "records")
    assert "site/index.html" in run("results", "site", "records", "--out", "site/")
    page = (tmp_path / "site" / "index.html").read_text()
    assert "sigmaprop bench gan --repeats 3 --replicas 1" in page
    assert str(tmp_path) not in page
