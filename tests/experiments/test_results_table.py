"""Records as a table, and as the table of a page."""

import pytest
from sigmaprop.experiments.results import check, record, table

from sigmaprop.runs.files import RunError

from ..documented import ROOT
from .made_records import REPEATS, made

RECORDS = ROOT / "results/records"
PAGE = "before\n<!-- speed: all -->\nold\n<!-- end of speed -->\nafter\n"


def test_a_row_has_what_was_measured_and_what_it_is_compared_with():
    (row,) = table.rows([made()])  # the rate has no target, and the memory no time
    assert row.ratio.what == "ours / theirs"
    told = table.markdown([row]).splitlines()
    assert told[:2] == [
        "`sigmaprop bench limit --repeats 5`,",
        f"2 cores of Some CPU, JAX 0.10.2, 2026-01-01; {REPEATS} repeats:",
    ]
    # By hand: medians of (1, 1.1, 1.2, 1.05, .95) and (2, 2.1, 2.5, 2, 1.9), and of their ratios.
    assert told[-1] == "| ours / theirs | 1.05 s | 2 s | 0.5 | 0.5 to 0.52 |"


def test_the_latest_record_of_a_benchmark_on_a_system_counts():
    old, new = made(time="2026-01-01T00:00:00Z"), made(time="2026-02-01T00:00:00Z")
    assert [row.record for row in table.rows([new, old])] == [new]


def test_a_page_gets_the_table_that_it_asks_for(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    table.place(path, [made()])
    text = path.read_text()
    assert text.startswith("before\n<!-- speed: all -->\n`sigmaprop bench limit")
    assert text.endswith("<!-- end of speed -->\nafter\n")
    assert "old" not in text
    table.place(path, [made()])
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("page", "told"),
    [("nothing\n", "no place for a table"), (PAGE.replace("all", "most"), "speed: 'most'")],
)
def test_a_page_without_a_place_is_refused_and_left_as_it_is(tmp_path, page, told):
    path = tmp_path / "page.md"
    path.write_text(page)
    with pytest.raises(RunError, match=told):
        table.place(path, [made()])
    assert path.read_text() == page


def test_the_command_prints_it_or_writes_it(sigmaprop, tmp_path):
    record.write(tmp_path / "records", made())
    (tmp_path / "page.md").write_text(PAGE)
    done = sigmaprop("results", "table", "records")
    assert done.status == 0
    assert "| ours / theirs | 1.05 s | 2 s |" in done.out
    assert sigmaprop("results", "table", "records", "--out", "page.md").status == 0
    assert done.out in (tmp_path / "page.md").read_text()
    refused = sigmaprop("results", "check", "records", "--out", "page.md")
    assert refused.status == 2


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_pages_have_the_tables_of_the_committed_records(tmp_path, page):
    """`sigmaprop results table results/records --out PAGE` in the checkout makes them anew."""
    found = check.check(RECORDS)
    assert found.refusals == []
    path = tmp_path / "page.md"
    path.write_text((ROOT / page).read_text())
    table.place(path, list(found.sound.values()))
    assert path.read_text() == (ROOT / page).read_text()


def test_every_main_row_was_measured():
    told = {row.ratio.what for row in table.rows(list(check.check(RECORDS).sound.values()))}
    assert told >= {what for names in table.FIRST.values() for what in names}
