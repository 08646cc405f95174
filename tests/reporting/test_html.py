"""The report: one page that needs nothing else, for any set of runs."""

import hashlib
import html.parser
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from sigmaprop.limit import table as limit_table
from sigmaprop.reporting import html as report
from sigmaprop.runs.files import RunError

SMALL = {"sigmas": (0.1, 1.0), "batches": (1, 16), "estimators": (("pathwise", "iid"),)}
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(html.parser.HTMLParser):
    """Elements of a page; complains where they do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.words = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(autouse=True)
def _cheap_images(monkeypatch):
    """Half of a report's time; `target`, which is made before, has real ones."""
    monkeypatch.setattr(report.style, "png", lambda figure: b"image")


@pytest.fixture(scope="module")
def target(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    report.write(path, (run,))
    return path


@pytest.fixture(scope="module")
def page(target):
    return Page((target / "report.html").read_text())


def digests(directory):
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_same_runs_give_the_same_bytes(make_run, tmp_path):
    path = make_run(tmp_path / "run", **SMALL | {"sigmas": (0.0, 0.1, 1.0)})
    report.write(tmp_path / "a", (path,))
    report.write(tmp_path / "b", (path,))
    report.write(tmp_path / "b", (path,))  # over an older one
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_every_figure_is_in_the_page_and_a_file(page, target):
    names = {path.stem for path in (target / "figures").glob("*.svg")}
    images = list((target / "figures").glob("*.png"))
    assert names == {path.stem for path in images}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in images)
    assert {"all_overview", "quartic_bias", "digit_classifier_picture"} <= names
    assert {figure["id"] for figure in page.all("figure")} == names
    assert len(page.all("svg")) == len(names) == 1 + 6 + 7
    links = {a["href"] for a in page.all("a") if a["href"].startswith("figures/")}
    assert links == {f"figures/{name}.{kind}" for name in names for kind in ("svg", "png")}


def test_every_figure_has_words_for_those_who_do_not_see_it(page):
    alts = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    assert len(alts) == len(page.all("svg"))
    assert all(len(alt) > 60 for alt in alts)
    assert len(set(alts)) == len(alts)


def test_the_page_needs_nothing_else(target, page):
    text = (target / "report.html").read_text()
    assert set(re.findall(r"https?://[^\s\"'<>)]*", text)) == set()
    assert not page.all("script")
    assert not page.all("link")
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert all(image["href"].startswith("data:image/png") for image in page.all("image"))


def test_the_page_is_a_document_with_one_of_each(page, target):
    text = (target / "report.html").read_text()
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert len(page.ids) == len(set(page.ids))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    inner = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert set(inner) <= set(page.ids)
    assert {"conclusions", "quartic", "columns", "environment"} <= set(inner)


def test_light_and_dark(target):
    text = (target / "report.html").read_text()
    assert "color-scheme: light dark" in text
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    for name, colours in report.style.SCHEMES.items():
        assert f"--{name}: {colours[0]};" in light
        assert f"--{name}: {colours[1]};" in dark
    assert "LIGHT" not in text
    assert "DARK" not in text


def test_conclusions_say_what_where_and_how_sure(page):
    words = page.words
    for expected in ("claim", "expected", "allowed", "99% interval", "sigma", "verdict"):
        assert expected in words
    assert {"✓ holds", "✗ fails", "? not resolved"} <= set(words)
    assert "[1.97, 2.03]" in words
    assert "0.001 to 0.1" in words
    assert "–" in words
    (command,) = [word for word in words if word.startswith("sigmaprop limit --")]
    assert "--objective quartic digit_classifier --dtype float32" in command
    assert "--x" not in command


def test_several_runs_are_overlaid(make_run, tmp_path):
    runs = [make_run(tmp_path / dtype, dtype=dtype, **SMALL) for dtype in ("float32", "float64")]
    report.write(tmp_path / "r", tuple(runs))
    page = Page((tmp_path / "r" / "report.html").read_text())
    assert "sigmaprop limit: float32, float64" in page.words
    assert page.words.count("float64") > 3
    assert len(page.all("details")) == 2
    assert "first run" in " ".join(page.words)
    svg = (tmp_path / "r" / "figures" / "quartic_bias.svg").read_text()
    assert "float32 and float64" in svg


def test_more_runs_than_can_be_drawn_are_not_dropped_silently(make_run, tmp_path):
    options = SMALL | {"estimators": (("at_mean", "iid"),)}
    runs = [make_run(tmp_path / str(i), seed=i, **options) for i in range(5)]
    report.write(tmp_path / "r", tuple(runs))
    page = Page((tmp_path / "r" / "report.html").read_text())
    assert any("first 4 of 5 runs" in word for word in page.words)


def test_sigma_zero_alone(make_run, tmp_path):
    path = make_run(tmp_path / "a", sigmas=(0.0,), claims=())
    report.write(path, (path,))
    text = " ".join(Page((path / "report.html").read_text()).words)
    assert "At sigma = 0 pathwise gives grad f(x) with an error of 1e-07." in text
    assert "nothing to draw" in text
    assert "drew no conclusions" in text
    assert list((path / "figures").iterdir()) == []


HOSTILE = "<script>alert('1')</script> & \"quoted\" $x_{^ ../../etc \x07\U0001f4a9"


def test_hostile_strings_are_text(make_run, tmp_path):
    def rename(table):
        names = pa.array([HOSTILE] * table.num_rows)
        table = table.set_column(table.column_names.index("objective"), "objective", names)
        column = table["estimator"].to_pylist()
        column = [f"_{HOSTILE}" if name == "at_mean" else name for name in column]
        return table.set_column(
            table.column_names.index("estimator"), "estimator", pa.array(column)
        )

    claims = [(HOSTILE, "fails", HOSTILE)]
    options = SMALL | {"estimators": (("pathwise", "iid"), ("at_mean", "iid"))}
    options |= {"claims": claims, "note": HOSTILE}
    runs = [make_run(tmp_path / n, change=rename, other=HOSTILE + n, **options) for n in "ab"]
    report.write(tmp_path / "r", tuple(runs))
    page = Page((tmp_path / "r" / "report.html").read_text())
    assert not page.all("script")
    assert HOSTILE.replace("\x07", "\x07") in " ".join(page.words)
    names = [path.name for path in (tmp_path / "r" / "figures").iterdir()]
    assert names
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "r"]
    for path in (tmp_path / "r" / "figures").glob("*.svg"):
        assert "<script" not in path.read_text()
        assert "\x07" not in path.read_text()


def test_objectives_that_would_share_a_file_name_do_not(make_run, tmp_path):
    names = ("a/b", "a_b", "A_B", "conclusions")
    path = make_run(
        tmp_path / "a", names, claims=None, **SMALL | {"estimators": (("at_mean", "iid"),)}
    )
    report.write(path, (path,))
    page = Page((path / "report.html").read_text())
    assert len(page.ids) == len(set(page.ids))
    files = [file.name for file in (path / "figures").glob("*_bias.svg")]
    assert len(files) == len({name.lower() for name in files}) == 4


def test_a_failed_write_leaves_the_older_report(make_run, tmp_path, monkeypatch):
    path = make_run(tmp_path / "a", **SMALL)
    report.write(path, (path,))
    before = digests(path)
    other = make_run(tmp_path / "b", dtype="float64", **SMALL)

    def full(source, destination):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match="No space left"):
        report.write(path, (other,))
    assert digests(path) == before


def test_a_target_that_cannot_be_written_is_a_users_mistake(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write"):
        report.write(tmp_path / "file" / "below", (run,))


def test_columns_are_those_of_the_table():
    assert tuple(name for name, _ in report.COLUMNS) == limit_table.COLUMNS
    doc = limit_table.__doc__ or ""
    assert all(f"``{name}``" in doc for name, _ in report.METRICS)


def test_a_report_needs_no_jax(make_run, tmp_path):
    run = make_run(tmp_path / "run", **SMALL)
    program = (
        "import sys; from pathlib import Path; from sigmaprop.reporting import html, tables; "
        f"html.write(Path({str(tmp_path)!r}), (Path({str(run)!r}),)); "
        "assert 'jax' not in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(report.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, env=environment)
