"""The report of comparisons: one page that needs nothing else, for any set of runs."""

import hashlib
import html.parser
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sigmaprop.reporting import estimators_html as report
from sigmaprop.reporting import estimators_sections
from sigmaprop.runs.files import RunError

from . import test_estimators_made_up as made_up

VOID = {"meta", "br", "hr", "img", "link", "input", "wbr"}
HOSTILE = "<b>.py:f"


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

    @property
    def text(self):
        return " ".join(word for word in self.words if word)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def small(objectives=("sine",), **options):
    """The grid alone, of two estimators at one sigma."""
    return list(made_up.grid(objectives, ["diagonal"], made_up.SMALL, (1.0,), **options))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_up.make_run(tmp_path_factory.mktemp("comparison") / "run")


@pytest.fixture(scope="module")
def target(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    report.write(path, (run,))
    return path


@pytest.fixture(autouse=True)
def _cheap_images(target, monkeypatch):
    """Half of a report's time; `target`, which is made before, has real ones."""
    monkeypatch.setattr(report.style, "png", lambda figure: b"image")


@pytest.fixture(scope="module")
def page(target):
    return Page((target / "report.html").read_text())


def digests(directory):
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_same_runs_give_the_same_bytes(run, target, tmp_path):
    report.write(tmp_path / "a", (run,))
    first = digests(tmp_path / "a")
    report.write(tmp_path / "a", (run,))  # over an older one
    assert digests(tmp_path / "a") == first
    assert first["report.html"] == digests(target)["report.html"]


def test_every_figure_is_in_the_page_and_a_file(page, target):
    names = {path.stem for path in (target / "figures").glob("*.svg")}
    images = list((target / "figures").glob("*.png"))
    assert names == {path.stem for path in images}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in images)
    assert names == {
        "sine_diagonal_efficiency", "sine_diagonal_variance", "sine_diagonal_bias",
        *report.STUDIES,
    }  # fmt: skip
    assert {figure["id"] for figure in page.all("figure")} == names
    links = {a["href"] for a in page.all("a") if a["href"].startswith("figures/")}
    assert links == {f"figures/{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert all((target / link).exists() for link in links)


def test_every_figure_has_words_for_those_who_do_not_see_it(page):
    alts = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    assert len(alts) == len(page.all("svg"))
    assert all(len(alt) > 60 and re.search(r"\d", alt) for alt in alts)
    assert len(set(alts)) == len(alts)


def test_the_page_needs_nothing_else(target, page):
    text = (target / "report.html").read_text()
    assert set(re.findall(r"https?://[^\s\"'<>)]*", text)) == set()
    assert not page.all("script")
    assert not page.all("link")
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []


def test_the_page_is_a_document_with_one_of_each(page, target):
    text = (target / "report.html").read_text()
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert len(page.ids) == len(set(page.ids))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    inner = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert set(inner) <= set(page.ids)
    assert {"conclusions", "choice", "sine", "study-variance_curves", "environment"} <= set(inner)


def test_light_and_dark(target):
    light, dark = (target / "report.html").read_text().split("@media (prefers-color-scheme: dark)")
    for name, colours in report.style.SCHEMES.items():
        assert f"--{name}: {colours[0]};" in light
        assert f"--{name}: {colours[1]};" in dark


def test_every_claim_is_in_the_page(page, run):
    claims = json.loads((run / "conclusions.json").read_text())
    for claim in claims:
        assert any(word.endswith(claim["claim"]) for word in page.words), claim["claim"]
    assert len([a for a in page.all("td") if a.get("class") == "verdict"]) == len(claims)
    assert page.words.count("✗ fails") == 2 + 1  # at the top, in its table, in the index
    assert "sigmaprop estimators --dtype float32 --replicates 16" in page.text


def test_claims_belong_to_their_sections():
    found = {estimators_sections.about(claim, ["sine", "quadratic"]) for claim in made_up.CLAIMS}
    assert found == {"grid sine", "other", *report.STUDIES}
    curve = made_up.claim_of("quadratic", "a and b to mean: equal variance at k")
    assert estimators_sections.about(curve, ["quadratic"]) == "variance_curves"


def test_the_table_says_which_estimator_and_what_is_wrong(page):
    text = page.text
    assert "Which estimator" in text
    assert re.search(r"second_order\s+no noise", text)
    assert re.search(r"pathwise \(antithetic\)\s+1\b", text)
    assert re.search(r"mixed\s+bias −30%, 0.5", text)
    assert re.search(r"at_mean\s+no noise, bias −100%", text)


def test_nothing_biased_is_said_so(tmp_path):
    table = list(made_up.grid(["sine"], ["diagonal"], [("pathwise", "iid")], (1.0,)))
    path = made_up.make_run(tmp_path / "run", table)
    report.write(path, (path,))
    assert "none is biased" in Page((path / "report.html").read_text()).text


def test_several_runs_are_told_and_overlaid(tmp_path):
    table = [*small(), *made_up.many_dimensions(), *made_up.training()]
    runs = tuple(
        made_up.make_run(tmp_path / name, table, made_up.CLAIMS[:count], dtype=name)
        for name, count in (("float32", 2), ("float64", 3))
    )
    report.write(tmp_path / "r", runs)
    page = Page((tmp_path / "r" / "report.html").read_text())
    assert "sigmaprop estimators: float32, float64" in page.words
    assert "The figures of Dimension and Logistic regression overlay the runs" in page.text
    assert len([a for _, a in page.tags if a.get("class") == "counts"]) == 2
    assert "Tables are those of the first run" in page.text
    svg = (tmp_path / "r" / "figures" / "dimension.svg").read_text()
    assert "float64" in svg


def test_hostile_strings_are_text(tmp_path):
    claims = [made_up.claim_of(HOSTILE, f"{HOSTILE}: bias to mean", "fails")]
    rows = [row | {"estimator": f"_{row['estimator']}{HOSTILE}"} for row in small([HOSTILE])]
    path = made_up.make_run(tmp_path / "run", rows, claims, note=HOSTILE)
    report.write(path, (path,))
    page = Page((path / "report.html").read_text())
    assert not page.all("b")
    assert page.words.count(HOSTILE) >= 4
    assert len(page.ids) == len(set(page.ids))
    names = [file.name for file in (path / "figures").iterdir()]
    assert names
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in names)
    links = [a["href"] for a in page.all("a") if a["href"].startswith("figures/")]
    assert all((path / link).exists() for link in links)
    failing = [a["href"][1:] for a in page.all("a") if a["href"] == "#_b_.py_f"]
    assert failing


def test_objectives_that_would_share_a_name_do_not(tmp_path):
    table = small(("a/b", "a_b", "A_B", "dimension", "choice"))
    path = made_up.make_run(tmp_path / "run", table, None)
    report.write(path, (path,))
    page = Page((path / "report.html").read_text())
    assert len(page.ids) == len(set(page.ids))
    files = {file.name.lower() for file in (path / "figures").glob("*_bias.svg")}
    assert len(files) == 5
    assert "drew no conclusions" in page.text


def test_an_empty_run_gives_a_page(tmp_path):
    path = made_up.make_run(tmp_path / "run", [], None)
    report.write(path, (path,))
    page = Page((path / "report.html").read_text())
    assert "drew no conclusions" in page.text
    assert not page.all("svg")


def drop_column(path):
    table = pq.read_table(path / "metrics.parquet")
    pq.write_table(table.drop(["gaussian"]), path / "metrics.parquet")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda p: (p / "metrics.parquet").unlink(), "holds no metrics"),
        (lambda p: (p / "metrics.parquet").write_bytes(b"PAR1"), r"metrics\.parquet"),
        (drop_column, "have no column 'gaussian'"),
        (lambda p: (p / "config.json").unlink(), r"config\.json"),
        (lambda p: (p / "environment.json").write_text("{"), r"environment\.json"),
        (lambda p: (p / "config.json").write_text("[]"), "without its usual content"),
        (lambda p: (p / "conclusions.json").write_text("[{}]"), "without its usual content"),
        (lambda p: (p / "conclusions.json").write_text("7"), "without its usual content"),
    ],
)
def test_a_missing_or_damaged_file_is_a_sentence(tmp_path, damage, expected):
    path = made_up.make_run(tmp_path / "run", small())
    damage(path)
    with pytest.raises(RunError, match=expected) as found:
        report.write(tmp_path / "r", (path,))
    assert "\n" not in str(found.value)
    assert not (tmp_path / "r").exists()


def test_a_failed_write_leaves_the_older_report(tmp_path, monkeypatch):
    path = made_up.make_run(tmp_path / "a", small())
    report.write(path, (path,))
    before = digests(path)
    other = made_up.make_run(tmp_path / "b", small(("step",)))

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


def test_a_report_needs_no_jax(tmp_path):
    path = made_up.make_run(tmp_path / "run", small())
    program = (
        "import sys; from pathlib import Path; from sigmaprop.reporting import estimators_html; "
        f"estimators_html.write(Path({str(tmp_path)!r}), (Path({str(path)!r}),)); "
        "assert 'jax' not in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(report.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, env=environment)
