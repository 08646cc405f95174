"""What the figures show: the numbers of the table, theory, and what tells the curves apart."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sigmaprop.reporting import (
    figures,
    heat,
    picture,
    quantities,
    results,
    sheet,
    sigma_figures,
    style,
)

ESTIMATORS = ["pathwise", "pathwise (antithetic)", "score_function"]
ESTIMATORS += ["score_function+leave_one_out", "forward_difference"]


@pytest.fixture(autouse=True)
def _styled():
    with style.style():
        yield


@pytest.fixture(scope="module")
def one(run):
    return results.read([run])


@pytest.fixture(scope="module")
def drawn(one):
    """The figures of one objective, by name."""
    with style.style():
        return {drawing.name: drawing for drawing in figures.draw("quartic", one)}


@pytest.fixture(scope="module")
def drawn_twice(two):
    """The same of two runs."""
    with style.style():
        return {drawing.name: drawing for drawing in figures.draw("quartic", two)}


@pytest.fixture(scope="module")
def two(run, other):
    return results.read([run, other])


def line(axes, label):
    (found,) = [ln for ln in axes.lines if ln.get_label() == label]
    return found


def measured(axes):
    return [ln.get_label() for ln in sheet.curves(axes)]


def legend(drawing):
    return [text.get_text() for text in drawing.figure.legends[0].get_texts()]


def without(key, value):
    """Drops the rows in which a column has a value."""
    return lambda table: table.filter(pc.invert(pc.equal(table[key], value)))


def with_values(value, error=None, metric=None):
    """Gives every value (of a metric) another."""

    def change(table):
        here = np.array(table["metric"].to_pylist()) == metric if metric else slice(None)
        for name, new in (("value", value), ("error", error)):
            column = table[name].to_numpy().copy()
            if new is not None:
                column[here] = new
            table = table.set_column(table.column_names.index(name), name, pa.array(column))
        return table

    return change


def test_bias_shows_measurements_theory_and_floors(drawn):
    drawing = drawn["bias"]
    left, right = drawing.figure.axes
    assert measured(left) == ["pathwise (antithetic)", "pathwise"]
    sigmas = 10.0 ** np.arange(-8, 1)
    curve = line(left, "pathwise")
    np.testing.assert_allclose(curve.get_xdata(), sigmas)
    np.testing.assert_allclose(curve.get_ydata(), np.maximum(0.5 * sigmas**2, 1e-7))
    np.testing.assert_allclose(line(left, "theory: exact").get_ydata(), 0.5 * sigmas**2)
    levels = [ln for ln in left.lines if ln.get_label().startswith("level")]
    assert {ln.get_label() for ln in levels} == {
        "level: rounding, predicted",
        "level: rounding, found",
    }
    assert len(levels) == 4
    assert measured(right) == [*ESTIMATORS, "at_mean"]
    assert len([ln for ln in right.lines if ln.get_label().startswith("level: lost")]) == 2


def test_error_bars_are_two_standard_errors(drawn):
    left, _ = drawn["bias"].figure.axes
    bars = left.collections[0]
    for (x0, low), (x1, high) in bars.get_segments():
        value = max(0.5 * x0**2, 1e-7)
        assert x0 == x1
        np.testing.assert_allclose([low, high], [0.9 * value, 1.1 * value])


def test_the_largest_batch_is_shown(one, drawn):
    _, right = drawn["bias"].figure.axes
    series = one[0].get("quartic", ("pathwise", "iid"), "mean", "error_to_gradient")
    expected = series.value[series.batch_size == 4096]
    np.testing.assert_array_equal(line(right, "pathwise").get_ydata(), expected)


def test_axes_are_logarithmic_and_carry_units(drawn):
    drawing = drawn["bias"]
    for axes in drawing.figure.axes:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert axes.get_xlabel() == "sigma (units of x)"
        assert "units of f" in axes.get_ylabel()
    title = drawing.figure.texts[0].get_text()
    assert title.startswith("quartic, dim 16, float32: ")


def test_batch_has_a_curve_a_sigma_with_bias_level_and_slope(drawn):
    drawing = drawn["batch"]
    assert len(drawing.figure.axes) == 4
    left, right = drawing.figure.axes[:2]
    assert measured(left) == [f"sigma {s:.2g}" for s in (1, 0.01, 1e-4, 1e-6, 1e-8)]
    assert "level: 0.5" in [ln.get_label() for ln in left.lines]
    assert not [ln for ln in right.lines if ln.get_label().startswith("level")]
    guide = line(left, "theory: slope −1/2")
    slope = np.diff(np.log(guide.get_ydata())) / np.diff(np.log(guide.get_xdata()))
    np.testing.assert_allclose(slope, -0.5)
    assert "slope −1/2" in legend(drawing)


def test_variance_has_a_panel_for_mean_and_scale_with_theory(drawn):
    drawing = drawn["variance"]
    for axes in drawing.figure.axes:
        assert measured(axes) == ESTIMATORS
        for name in ESTIMATORS:
            np.testing.assert_array_equal(
                line(axes, name).get_ydata(), line(axes, f"theory: {name}").get_ydata()
            )


def test_batch_needed_to_learn_sigma(drawn):
    drawing = drawn["learning"]
    (axes,) = drawing.figure.axes
    curve = line(axes, "pathwise")
    sigmas = np.asarray(curve.get_xdata())
    expected = 9.0 / np.maximum(sigmas, 1e-7) ** 2
    np.testing.assert_allclose(curve.get_ydata(), expected)
    assert "score_function" not in measured(axes)
    assert "slope −2" in legend(drawing)


def test_cosine_has_a_panel_a_sigma(drawn):
    drawing = drawn["cosine"]
    assert [axes.get_title(loc="left") for axes in drawing.figure.axes] == [
        "sigma = 1", "sigma = 0.0001", "sigma = 1e-08",
    ]  # fmt: skip
    for axes in drawing.figure.axes:
        assert measured(axes) == [*ESTIMATORS, "at_mean"]
        assert axes.get_ylim()[1] > 1


def test_heat_shows_the_error_relative_to_the_gradient_and_the_best_sigma(one, drawn):
    drawing = drawn["heat"]
    panels = [axes for axes in drawing.figure.axes if axes.get_label() != "scale"]
    assert [axes.get_title(loc="left") for axes in panels] == [
        "pathwise (antithetic)", *(name for name in ESTIMATORS if "(" not in name),
    ]  # fmt: skip
    axes = panels[1]
    series = one[0].get("quartic", ("pathwise", "iid"), "mean", "error_to_gradient")
    image = axes.images[0].get_array()
    expected = np.log10(series.value.reshape(9, 4) / 3.0)
    np.testing.assert_allclose(image, np.maximum(expected, heat.LOWEST - 1))
    best = line(axes, "least error")
    assert list(best.get_xdata()) == [0, 1, 2, 3]
    np.testing.assert_array_equal(best.get_ydata(), expected.argmin(axis=0))
    assert "/ |grad f|" in drawing.figure.texts[0].get_text()


def test_the_size_of_the_gradient_comes_from_theory_or_from_level_measurements(make_run, tmp_path):
    def forget(table):
        column = pa.array(np.full(table.num_rows, np.nan))
        return table.set_column(table.column_names.index("theory"), "theory", column)

    (found,) = results.read([make_run(tmp_path / "a", change=forget)])
    assert quantities.gradient_size(found, "quartic") == pytest.approx(3)
    (found,) = results.read([make_run(tmp_path / "b", change=without("wrt", "scale"))])
    assert quantities.gradient_size(found, "quartic") is None
    drawing = heat.heat("quartic", [found])
    assert "units of f/x" in drawing.figure.texts[0].get_text()


def test_picture_shows_the_digit_the_gradient_and_every_estimate(one):
    drawing = picture.picture("digit_classifier", one)
    (axes,) = drawing.figure.axes
    assert len(axes.images) == 2 + 4
    for image in axes.images[1:]:
        low, high = image.get_clim()
        assert low == -high
    words = [text.get_text() for text in axes.texts]
    assert {"N = 1", "N = 16", "sigma 0.1", "sigma 1", "cos 1.00", "cos −1.00"} <= set(words)
    assert picture.picture("quartic", one) is None


def test_a_picture_that_is_no_square_is_left_out(one):
    content = one[0].picture | {"gradient": [1.0, 2.0, 3.0]}
    assert picture.picture("digit_classifier", [one[0]._replace(picture=content)]) is None


def test_overview_divides_by_the_exact_bias(one):
    drawing = figures.overview(one)
    left, right = drawing.figure.axes
    assert measured(left) == measured(right) == ["quartic", "digit_classifier"]
    curve = line(right, "quartic")
    exact = 0.5 * np.asarray(curve.get_xdata()) ** 2
    np.testing.assert_allclose(curve.get_ydata(), np.maximum(exact, 1e-7) / exact)


def test_every_objective_gets_its_figures(one, drawn):
    names = [drawing.name for drawing in figures.draw("digit_classifier", one)]
    assert names == ["bias", "batch", "heat", "variance", "learning", "cosine", "picture"]
    assert list(drawn) == names[:-1]


def test_overlaid_runs_differ_in_dashes_and_filling(drawn_twice):
    drawing = drawn_twice["bias"]
    left = drawing.figure.axes[0]
    first, second = [ln for ln in left.lines if ln.get_label() == "pathwise"]
    assert first.get_color() == second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_markerfacecolor() != second.get_markerfacecolor()
    assert legend(drawing)[-2:] == ["float32", "float64"]
    assert "float32 and float64" in drawing.figure.texts[0].get_text()


def test_no_panel_has_more_curves_than_can_be_told_apart(two):
    runs = [two[0], two[1], *(two[0]._replace(label=str(i)) for i in range(5))]
    for drawing in figures.draw("quartic", runs):
        for axes in drawing.figure.axes:
            assert len(sheet.curves(axes)) <= quantities.MOST_CURVES


def test_curves_of_a_panel_differ_in_colour_and_marker(one, drawn):
    for drawing in itertools.chain(drawn.values(), [figures.overview(one)]):
        for axes in drawing.figure.axes:
            marks = [(ln.get_color(), ln.get_marker()) for ln in sheet.curves(axes)]
            assert len({colour for colour, _ in marks}) == len(marks)
            assert len({marker for _, marker in marks}) == len(marks)


def test_legends_cover_no_panel_and_nothing_leaves_the_sheet(drawn_twice):
    for drawing in drawn_twice.values():
        figure = drawing.figure
        style.png(figure)
        for found in figure.legends:
            box = found.get_window_extent()
            assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)
            assert box.x1 <= figure.bbox.x1 + 1
            assert box.y0 >= -1
        for axes in figure.axes:
            box = axes.get_tightbbox()
            assert box.x0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1


def test_a_bias_not_resolved_from_zero_is_a_limit(make_run, tmp_path):
    path = make_run(tmp_path / "a", change=with_values(0.0, 1e-3, "bias"))
    left = sigma_figures.bias("quartic", results.read([path])).figure.axes[0]
    limits = line(left, "limit: pathwise")
    np.testing.assert_allclose(limits.get_ydata(), 2e-3)
    assert np.isnan(line(left, "pathwise").get_ydata()).all()


def test_exact_zeros_are_marked_at_the_foot(make_run, tmp_path):
    path = make_run(tmp_path / "a", change=with_values(0.0, 0.0, "bias"))
    drawing = sigma_figures.bias("quartic", results.read([path]))
    left = drawing.figure.axes[0]
    assert len(line(left, "zero: pathwise").get_xdata()) == 9
    assert "exactly 0 (at the foot)" in legend(drawing)
    assert "every measurement is 0" in [text.get_text() for text in left.texts]


def test_sigma_zero_is_marked_at_the_left_edge(make_run, tmp_path):
    path = make_run(tmp_path / "a", sigmas=(0.0, 0.1, 1.0))
    left = sigma_figures.bias("quartic", results.read([path])).figure.axes[0]
    edges = [ln for ln in left.lines if ln.get_label() == "edge: sigma = 0"]
    assert [float(ln.get_ydata()[0]) for ln in edges] == [1e-7, 1e-7]
    low, high = left.get_ylim()
    assert low < 1e-7 < high
    assert 0 not in line(left, "pathwise").get_xdata()


@pytest.mark.parametrize(
    "options",
    [
        {"sigmas": (0.1,)},
        {"batches": (64,)},
        {"sigmas": (0.1,), "batches": (64,), "estimators": (("score_function", "antithetic"),)},
        {"estimators": (("at_mean", "iid"),)},
        {"estimators": (("forward_difference", "antithetic"), ("unheard_of", "sobol"))},
        {"change": with_values(np.nan, np.nan)},
        {"change": with_values(0.0, 0.0)},
        {"change": with_values(np.inf, np.inf)},
        {"change": with_values(1e300, 1e300)},
        {"change": with_values(1e99, 1e99)},
        {"change": with_values(1e-300, 1e-300)},
        {"change": with_values(-1.0, 0.1)},
        {"change": without("wrt", "mean")},
        {"change": without("metric", "bias")},
        {"change": without("metric", "error_to_gradient")},
        {"change": without("metric", "cosine")},
    ],
)
def test_partial_and_damaged_numbers_are_drawn_or_left_out(make_run, tmp_path, options):
    few = {"sigmas": (1e-8, 1.0), "batches": (1, 64), "estimators": (("pathwise", "iid"),)}
    found = results.read([make_run(tmp_path / "a", **few | options)])
    drawings = list(figures.draw("quartic", found))
    if (overview := figures.overview(found)) is not None:
        drawings.append(overview)
    for drawing in drawings:
        drawing.figure.draw_without_rendering()


def test_sigma_zero_alone_leaves_nothing_to_draw(make_run, tmp_path):
    found = results.read([make_run(tmp_path / "a", sigmas=(0.0,))])
    assert list(figures.draw("quartic", found)) == []
    assert figures.overview(found) is None


def test_very_many_points_become_an_image(make_run, tmp_path):
    sigmas = tuple(np.geomspace(1e-8, 1, 1500))
    drawing = sigma_figures.variance(
        "quartic", results.read([make_run(tmp_path / "a", sigmas=sigmas, batches=(1, 64))])
    )
    document = style.svg(drawing.figure)
    assert "data:image/png" in document
    assert len(document) < 400_000
    assert "sigma (units of x)</text>" in document


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1e-8, 1.0, ["10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "1"]),
        (0.9, 110.0, ["1", "10", "10²"]),
        (0.11, 0.9, ["0.2", "0.5"]),
        (1.5e-7, 6e-7, ["2·10⁻⁷", "5·10⁻⁷"]),
        (2.2, 4.0, []),
    ],
)
def test_ticks(low, high, expected):
    ticks, labels = sheet.decades(low, high, most=5)
    assert labels == expected
    assert all(low <= tick <= high for tick in ticks)
