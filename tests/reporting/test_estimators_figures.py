"""What the figures of a comparison show: the numbers of the table, and what tells them apart."""

import itertools
import operator

import numpy as np
import pytest

from sigmaprop import estimators
from sigmaprop.comparison import choice
from sigmaprop.reporting import (
    comparison_results,
    estimator_marks,
    logistic_figures,
    study_figures,
    style,
)

from . import test_estimators_made_up as made_up
from .test_estimators_made_up import STUDIES, every, line, made_of, of

GRID = ("sine", "diagonal")


@pytest.fixture(autouse=True)
def _styled():
    with style.style():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("comparison") / "run"
    (found,) = comparison_results.read([made_up.make_run(path)])
    return found


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    path = tmp_path_factory.mktemp("comparison") / "other"
    (found,) = comparison_results.read([made_up.make_run(path, seed=1)])
    return found._replace(label="seed 1")


@pytest.fixture(scope="module")
def drawn(run):
    with style.style():
        return every(run)


def test_every_figure_is_drawn_where_there_are_rows(drawn):
    assert set(drawn) == {"efficiency", "variance", "bias", *STUDIES}
    for drawing in drawn.values():
        assert len(drawing.alt) > 60
        assert len(drawing.caption) > 60


@pytest.mark.parametrize("study", ["grid", *STUDIES])
def test_no_figure_is_drawn_where_there_are_none(run, study):
    left = {name: found for name, found in run.studies.items() if name != study}
    names = {"efficiency", "variance", "bias"} if study == "grid" else {study}
    assert not names & set(every(run._replace(studies=left)))


def test_variance_curves_are_exact_with_samples_on_top(drawn):
    panels = drawn["variance_curves"].figure.axes
    assert len(panels) == 4
    places = itertools.product(("quadratic", "cosine"), ("mean", "scale"))
    for axes, (cost, wrt) in zip(panels, places, strict=True):
        for label in ("pathwise", "measure_valued"):
            at = ("variance_curves", label, wrt)
            np.testing.assert_array_equal(
                line(axes, label).get_ydata(), of(*at, "exact_variance", objective=cost)
            )
            (point,) = [c for c in axes.containers if c.get_label() == f"sampled: {label}"]
            (value,) = of(*at, "variance", objective=cost)
            assert point.lines[0].get_ydata()[0] == value
            (bar,) = point.lines[2][0].get_segments()
            np.testing.assert_allclose(bar[:, 1], [value - 0.4, value + 0.4])
    assert [axes.get_xscale() for axes in panels] == ["linear", "linear", "log", "log"]


def test_crossings_are_marked_where_the_conclusions_say(drawn):
    marked = [
        [text.get_text() for text in axes.texts] for axes in drawn["variance_curves"].figure.axes
    ]
    assert marked == [[], [], ["1.25"], []]
    axes = drawn["coupling"].figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["1.526"]
    tick = line(axes, "crossing: 1.526")
    assert tick.get_xdata()[0] == pytest.approx(1.526 / 4)


def test_a_variance_that_vanishes_leaves_the_panel_at_the_foot(drawn):
    axes = drawn["coupling"].figure.axes[0]
    y = line(axes, "measure_valued").get_ydata()
    assert 0 < y[0] < axes.get_ylim()[0]
    np.testing.assert_array_equal(y[1:], np.linspace(0, 4, 9)[1:] ** 2)


def test_dimension_overlays_runs(run, other):
    drawing = study_figures.dimension([run, other])
    for axes, (_, wrt, metric, _) in zip(drawing.figure.axes, study_figures._PANELS, strict=True):
        first, second = [ln for ln in axes.lines if ln.get_label() == "pathwise"]
        np.testing.assert_array_equal(first.get_xdata(), made_up.DIMS)
        np.testing.assert_array_equal(first.get_ydata(), of("dimension", "pathwise", wrt, metric))
        assert first.get_linestyle() != second.get_linestyle()
        assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "8", "32"]
    legend = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert legend[-1] == "seed 1"


def test_learning_sigma_has_a_guide_for_every_slope(drawn):
    (axes,) = drawn["learning_sigma"].figure.axes
    measured = line(axes, "bonnet_price")
    np.testing.assert_allclose(
        measured.get_ydata(), of("learning_sigma", "bonnet_price", "scale", "samples_needed")
    )
    for slope in (-2, 0, 2):
        guide = line(axes, f"theory: slope {slope}")
        found = np.diff(np.log(guide.get_ydata())) / np.diff(np.log(guide.get_xdata()))
        np.testing.assert_allclose(found, slope, atol=1e-12)


def test_piecewise_linear_shows_intervals_and_their_numbers(drawn):
    leaky, _ = drawn["piecewise_linear"].figure.axes
    assert line(leaky, "bonnet_price").get_xdata()[0] == 0.07
    assert line(leaky, "pathwise (antithetic)").get_xdata()[0] == -0.02
    assert [text.get_text() for text in leaky.texts] == ["−0.0200 ± 0.0003", "0.0700 ± 0.0003"]


def test_training_is_shown_where_it_can_be_told_apart(drawn):
    steps, seconds, mean, _ = drawn["logistic"].figure.axes
    for label in ("pathwise", "score_function+leave_one_out"):
        elbo = of("logistic", label, "all", "elbo")
        np.testing.assert_array_equal(line(steps, label).get_ydata(), elbo)
        np.testing.assert_array_equal(line(seconds, label).get_ydata(), elbo)
        step = 1e-3 if label == "pathwise" else 2e-3
        np.testing.assert_allclose(line(seconds, label).get_xdata(), step * np.arange(50, 501, 50))
        assert steps.get_ylim()[0] < elbo[-1] < steps.get_ylim()[1]
        np.testing.assert_array_equal(
            line(mean, label).get_ydata(), of("logistic", label, "mean", "variance_of_step")
        )
    assert steps.get_ylim()[0] > -90
    assert "score_function: −400" in steps.texts[0].get_text()


def test_a_diverged_estimator_is_named(tmp_path):
    table = list(made_up.training())
    for row in table:
        if row["estimator"] == "score_function" and row["metric"] != "seconds":
            row["value"] = np.nan
    drawing = logistic_figures.logistic([made_of(tmp_path, table)])
    assert "score_function: diverged" in drawing.figure.axes[0].texts[0].get_text()


def test_every_estimator_has_a_look_of_its_own():
    marks = [estimator_marks.mark_of(label) for label in estimators.labels()]
    assert len(set(marks)) == len(marks)
    for label in estimators.labels():
        name = label.split("+")[0]
        assert estimator_marks.mark_of(label).colour == estimator_marks.FAMILIES[name]
    assert len({noise.fill for noise in estimator_marks.NOISES.values()}) == 4
    assert estimator_marks.mark_of("new") == estimator_marks.mark_of("new")


def test_nothing_covers_anything_or_leaves_the_sheet(drawn):
    for drawing in drawn.values():
        figure = drawing.figure
        figure.draw_without_rendering()
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        for found in figure.legends:
            box = found.get_window_extent()
            assert not any(box.overlaps(other) for other in boxes), drawing.name
            assert box.x1 <= figure.bbox.x1 + 1
        for box in boxes:
            assert box.x0 >= -1, drawing.name
            assert box.x1 <= figure.bbox.x1 + 6, drawing.name  # half a marker at the edge
        for one, other in itertools.combinations(boxes, 2):
            assert not one.shrunk(0.97, 0.97).overlaps(other.shrunk(0.97, 0.97)), drawing.name


def changed(value=None, error=None, without=()):
    """A table with other numbers, or without some rows."""

    def change(row):
        row = dict(row)
        row["value"] = row["value"] if value is None else value
        row["error"] = row["error"] if error is None else error
        return row

    get = operator.itemgetter(*without[:1]) if without else None
    pairs = (*made_up.SMALL, ("pathwise", "antithetic"), ("at_mean", "iid"))
    table = made_up.table_of(pairs=pairs)
    return [change(r) for r in table if not without or get(r) not in without[1]]


@pytest.mark.parametrize(
    "options",
    [
        {"value": np.nan, "error": np.nan},
        {"value": np.inf},
        {"value": 0.0, "error": 0.0},
        {"value": -1.0},
        {"value": 1e99, "error": 1e99},
        {"value": 1e-300},
        {"error": np.inf},
        {"without": ("metric", ("bias",))},
        {"without": ("metric", ("variance", "exact_variance"))},
        {"without": ("metric", ("efficiency", "seconds"))},
        {"without": ("wrt", ("mean",))},
        {"without": ("noise", ("iid",))},
    ],
)
def test_partial_and_damaged_numbers_are_drawn_or_left_out(tmp_path, options):
    run = made_of(tmp_path, changed(**options), made_up.CLAIMS)
    for grid in run.grids():
        choice.advice(run, *grid)
    for drawing in every(run).values():
        drawing.figure.draw_without_rendering()


def test_one_sigma_and_one_dimension(tmp_path):
    table = list(made_up.grid(["sine"], ["low_rank"], sigmas=(1.0,)))
    table += [row for row in made_up.many_dimensions() if row["dim"] == 8]
    drawings = every(made_of(tmp_path, table))
    assert set(drawings) == {
        "efficiency", "bias", "dimension", "learning_sigma", "piecewise_linear",
    }  # fmt: skip
    assert len(drawings["efficiency"].figure.axes) == 1
    for drawing in drawings.values():
        drawing.figure.draw_without_rendering()
