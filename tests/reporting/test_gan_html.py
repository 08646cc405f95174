"""The report of generators: one page that needs nothing else, for any data and any set of runs."""

import itertools
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sigmaprop.reporting import gan_html as report
from sigmaprop.runs.files import RunError

from . import test_gan_made_up as made_up
from .test_estimators_html import Page, digests

HOSTILE = "<b>, a=<i>"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_up.make_run(tmp_path_factory.mktemp("gan") / "run")


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


def reported(path, **options):
    """The page of a made-up run."""
    directory = made_up.make_run(path / "run", **options)
    report.write(directory, (directory,))
    return Page((directory / "report.html").read_text())


def test_the_same_run_gives_the_same_bytes(run, target, tmp_path):
    report.write(tmp_path / "a", (run,))
    report.write(tmp_path / "a", (run,))  # over an older one
    assert digests(tmp_path / "a")["report.html"] == digests(target)["report.html"]


def test_every_figure_is_in_the_page_and_a_file(page, target):
    names = {path.stem for path in (target / "figures").glob("*.svg")}
    images = list((target / "figures").glob("*.png"))
    assert names == {path.stem for path in images}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in images)
    assert names == {
        "sigma", "sigma_maps", "scores", "scores_average", "along", "samples", "losses"
    }  # fmt: skip
    assert {figure["id"] for figure in page.all("figure")} == names
    links = {a["href"] for a in page.all("a") if a["href"].startswith("figures/")}
    assert links == {f"figures/{name}.{kind}" for name in names for kind in ("svg", "png")}


def test_every_figure_has_words_for_those_who_do_not_see_it(page):
    alts = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    assert len(alts) == len(page.all("svg"))
    assert all(len(alt) > 60 and re.search(r"\d", alt) for alt in alts)
    assert len(set(alts)) == len(alts)


def test_the_page_is_a_document_that_needs_nothing_else(page, target):
    text = (target / "report.html").read_text()
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert re.findall(r"https?://[^\s\"'<>)]*", text) == []
    assert not page.all("script")
    assert len(page.ids) == len(set(page.ids))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    inner = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert set(inner) <= set(page.ids)


def test_rows_have_as_many_cells_as_their_headings(target):
    text = (target / "report.html").read_text()
    tables = re.findall(r'<table class="claims">(.*?)</table>', text, flags=re.DOTALL)
    assert len(tables) == 4
    for table in tables:
        head, *rows = re.findall("<tr>(.*?)</tr>", table)
        assert len(rows) == 4
        counts = {len(re.findall("<t[hd]", row)) for row in (head, *rows)}
        assert len(counts) == 1


def test_conclusions_are_those_of_the_comparison(page, run):
    text = page.text
    found = json.loads((run / "comparison.json").read_text())
    verdicts = [score["verdict"] for one in found for score in one["scores"] if score["verdict"]]
    assert verdicts == ["better", "worse", "worse"]
    assert "Better: fixed 0.61 [0.59, 0.63]. Worse: global 1.27" in text
    assert "paired ratios with intervals at 98.3%, verdicts by Holm's method for 3" in text
    assert "x: ratio to zero, 98.3%" in page.words
    assert "95% limit, for the spread is that of the same seeds" in text
    assert page.words.count("✓ better") == 1
    assert page.words.count("✗ worse") == 2
    assert "global: sigma started at 0.1 and is 0.063" in text
    assert "still falling, by a factor of 0.9 over that fifth. Log sigma moves by 50" in text
    assert "per_pixel: sigma started at 0.1 and is 0.1 [±0.00019] over the last fifth" in text
    assert "where it has settled" in text
    assert "No replica diverged." in text
    # One family: of the three cells with noise.
    ratios = "MMD² of x as a ratio to that of the mean, intervals at 98.3% for 3 cells: fixed 1.2"
    assert ratios in text


def test_the_page_says_which_game_and_which_split(page, tmp_path):
    assert "Model noise: the discriminator sees real examples as they are" in page.text
    assert "Held-out examples are the validation split" in page.text
    assert "The test split was not touched." in page.text
    other = reported(tmp_path, placement="shared", held_out="test", arms=("zero", "global"))
    assert "Shared noise:" in other.text
    assert "Model noise:" not in other.text
    assert "not touched" not in other.text


def test_the_command_gives_every_option(page):
    assert "--sweep.arm zero fixed global per_pixel" in page.text
    assert "--sigma-floor 0.001" in page.text
    assert "--data" not in page.text.split()


def test_divergence_is_told(tmp_path):
    page = reported(tmp_path, arms=("zero", "global"), diverged={5: 50})
    assert "1 replica diverged (global: 1 of 4)" in page.text
    assert "global (1 of 4 diverged)" in page.text
    assert "Too few seeds: global 1.28 (median)." in page.text
    assert "? too few seeds" in page.words
    assert "the dot is the median over all of them" in page.text


def test_most_of_a_cell_diverged(tmp_path):
    page = reported(tmp_path, arms=("zero", "global"), diverged={4: 50, 5: 50, 6: 50})
    assert "diverged (median)" in page.words
    assert "∞ (median)" in page.words


def test_known_noise_is_compared_with_sigma(tmp_path):
    page = reported(tmp_path, arms=("zero", "global"), data={"noise_std": 0.05})
    assert "The data hold noise of 0.05: the ratio is 1.26." in page.text
    assert "noise in the data, 0.05" in page.text


def test_mixtures_have_modes(tmp_path):
    page = reported(tmp_path, shape=(2,), mixture=True, arms=("zero", "heteroscedastic"))
    assert {"coverage", "samples"} <= set(page.ids)
    assert "sigma_maps" not in page.ids
    assert "7 / 7" in page.words
    row = page.words[page.words.index("the truth") :]
    assert row[1:6] == ["8", "0.99", "0", "0.95", "-1.9"]
    assert "the truth itself" in (tmp_path / "run" / "figures" / "coverage.svg").read_text()


@pytest.mark.parametrize("shape", [(1,), (2,), (8,), (6, 5, 1), (6, 5, 3)])
def test_examples_of_any_shape(shape, tmp_path):
    page = reported(tmp_path, shape=shape, arms=("low_rank",), seeds=1, average=False)
    expected = {"sigma", "bounds", "scores", "along", "samples", "losses"}
    assert {figure["id"] for figure in page.all("figure")} == expected | (
        {"sigma_maps"} if np.prod(shape) > 2 else set()
    )
    assert "There is one cell, and nothing to compare it with." in page.text


def test_only_the_arm_zero(tmp_path):
    page = reported(tmp_path, arms=("zero",))
    assert "sigma" not in page.ids


def test_a_run_in_which_all_diverged_at_once(tmp_path):
    page = reported(tmp_path, arms=("zero", "global"), diverged=dict.fromkeys(range(8), 0))
    assert "8 replicas diverged" in page.text
    assert "losses" in page.ids


@pytest.mark.slow
def test_many_cells(tmp_path):
    rates = tuple(10.0**-place for place in range(18))
    arms = ("zero", "global")
    page = reported(tmp_path, arms=arms, seeds=1, swept=("learning_rate", rates), average=False)
    assert "4 further cells are in the tables alone." in page.text
    assert "The sigmas of 6 further cells are in the table." in page.text


def test_several_runs_are_told_and_overlaid(tmp_path):
    runs = tuple(
        made_up.make_run(tmp_path / f"r{rate}", arms=("zero", "global"), learning_rate=rate)
        for rate in (1e-3, 1e-4)
    )
    report.write(tmp_path / "r", runs)
    page = Page((tmp_path / "r" / "report.html").read_text())
    assert "sigmaprop gan: learning_rate 0.001, learning_rate 0.0001" in page.words
    assert "The course of sigma overlays the runs" in page.text
    svg = (tmp_path / "r" / "figures" / "sigma.svg").read_text()
    assert "learning_rate 0.0001" in svg


def test_hostile_labels_are_text(tmp_path):
    directory = made_up.make_run(tmp_path / "run", arms=("zero", "global"))
    for name in ("replicas.json", "comparison.json"):
        path = directory / name
        path.write_text(path.read_text().replace('"zero"', json.dumps(HOSTILE)))
    report.write(directory, (directory,))
    page = Page((directory / "report.html").read_text())
    assert not page.all("b")
    assert not page.all("i")
    assert HOSTILE in page.text


def test_the_rows_of_the_gap_are_no_metric_of_training(tmp_path):
    def gap(table):
        some = table.slice(0, 5)
        sigma = pa.array(np.full(5, 0.5))
        return pa.concat_tables([table, some.set_column(5, "sigma", sigma)])

    directory = made_up.make_run(tmp_path / "run", arms=("zero", "global"), change=gap)
    assert pc.sum(pc.equal(pq.read_table(directory / "metrics.parquet")["sigma"], 0.5)).as_py() == 5
    found = report.read((directory,))[0].measured
    plain = report.read((made_up.make_run(tmp_path / "b", arms=("zero", "global")),))[0].measured
    assert found.series.keys() == plain.series.keys()


@pytest.mark.parametrize("name", ["samples-0.npz", "real.npz", "comparison.json"])
def test_a_damaged_file_is_named(name, tmp_path):
    directory = made_up.make_run(tmp_path / "run", arms=("zero",))
    (directory / name).write_bytes(b"{}")
    with pytest.raises(RunError, match=re.escape(name) if name[-1] == "z" else "run"):
        report.write(directory, (directory,))
