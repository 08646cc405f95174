"""The four kinds of charts, each by what it draws of a small table."""

import numpy as np
import pandas as pd
import pytest

from sigmaprop.reporting import style
from sigmaprop.reporting.charts import Guide, Lines
from sigmaprop.reporting.images import Grid, Heat, Images, Tile, sheet
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.points import tidy
from sigmaprop.reporting.rows import Intervals

X = 10.0 ** -np.arange(6)


@pytest.fixture(autouse=True)
def _styled():
    with style.style():
        yield


def table(value=X**2, **columns):
    return pd.DataFrame({"panel": "one", "curve": "a", "x": X, "value": value} | columns)


def lines(rows, **options):
    spec = {"name": "n", "title": "T", "caption": "Look.", "x": "sigma", "y": "bias"} | options
    return Lines(rows=lambda: rows, **spec).draw()


def data(axes):
    return [np.asarray(line.get_xydata(), float) for line in axes.lines]


def legend(drawing):
    return [text.get_text() for text in drawing.figure.legends[0].get_texts()]


def test_a_curve_has_its_points_its_theory_and_an_axis_around_both():
    drawing = lines(table(theory=2 * X**2, error=0.1 * X**2))
    (axes,) = drawing.figure.axes
    measured, theory = data(axes)
    np.testing.assert_array_equal(measured, np.column_stack([X, X**2]))
    np.testing.assert_array_equal(theory[:, 1], 2 * X**2)
    assert axes.get_xscale() == axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert low < 1e-10
    assert 2 < high < 20
    assert legend(drawing) == ["a", "theory"]
    bars = axes.collections[0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], [[0.8 * v, 1.2 * v] for v in X**2])


def test_theory_widens_an_axis_by_a_decade_at_most():
    (axes,) = lines(table(value=np.ones(6), theory=X * 1e-3)).figure.axes
    assert 0.05 < axes.get_ylim()[0] < 0.11


def test_what_is_not_resolved_from_0_is_a_triangle_and_what_is_0_a_tick_at_the_foot():
    value = np.where(X < 1e-3, 0.0, X)
    error = np.where(X[-1] == X, 0.0, 0.5)
    drawing = lines(table(value=value, error=error))
    triangles = [ln for ln in drawing.figure.axes[0].lines if ln.get_marker() == "v"]
    ticks = [ln for ln in drawing.figure.axes[0].lines if ln.get_marker() == "|"]
    assert triangles[0].get_xydata().tolist() == [[1e-4, 1.0]]
    assert ticks[0].get_xdata().tolist() == [X[-1]]
    assert {"exactly 0 (at the foot)", "not resolved from 0, lies below"} <= set(legend(drawing))


def test_nothing_to_draw_is_no_figure_and_an_empty_panel_says_why():
    assert lines(None) is None
    assert lines(table()[:0]) is None
    (axes,) = lines(table(value=np.zeros(6))).figure.axes
    assert [text.get_text() for text in axes.texts] == ["every measurement is 0"]
    unknown = lines(table(value=np.full(6, np.nan)))
    assert "every measurement is 0" in [t.get_text() for t in unknown.figure.axes[0].texts]


def test_runs_of_an_overlay_have_dashes_and_hollow_markers_and_theory_is_the_firsts():
    rows = tidy([table(theory=X), table(run=1, theory=X)])
    spec = {"name": "n", "title": "T", "caption": "", "x": "x", "y": "y"}
    drawing = Lines(rows=lambda: rows, **spec).draw(runs=["first", "second"])
    first, theory, second = drawing.figure.axes[0].lines
    assert first.get_linestyle() == "-"
    assert second.get_linestyle() == "--"
    assert second.get_markerfacecolor() == style.PAPER
    assert theory.get_linewidth() < first.get_linewidth()
    assert {"first", "second"} <= set(legend(drawing))


def test_levels_marks_at_the_edges_and_stars_stand_where_they_are_told():
    extra = [
        {"kind": "level", "value": 1e-4, "legend": "a level"},
        {"kind": "vertical", "x": 1e-3, "legend": "a place"},
        {"kind": "foot", "x": 1e-2, "value": 1.0, "legend": "lost"},
        {"kind": "left", "value": 1e-6, "legend": "at 0"},
        {"kind": "star", "x": 1e-1, "value": 1e-2, "legend": "here"},
        {"kind": "cross", "x": 0.25, "value": 1e-2, "legend": "equal"},
        {"kind": "top", "x": 1e-1, "value": 0.0, "legend": "endless"},
    ]
    drawing = lines(tidy([table(), pd.DataFrame([{"panel": "one"} | one for one in extra])]))
    axes = drawing.figure.axes[0]
    assert [one["legend"] for one in extra] == legend(drawing)[1:]
    marks = {ln.get_marker(): ln for ln in axes.lines if len(ln.get_xdata()) == 1}
    assert marks["*"].get_xydata().tolist() == [[1e-1, 1e-2]]
    assert marks["<"].get_ydata()[0] == 1e-6
    assert "0.25" in [text.get_text() for text in axes.texts]
    assert 1e-4 in [float(ln.get_ydata()[0]) for ln in axes.lines if len(ln.get_ydata()) == 2]


@pytest.mark.parametrize(("slope", "above"), [(-2, True), (2, False)])
def test_a_guide_has_its_slope_and_lies_beside_the_curves(slope, above):
    drawing = lines(table(value=X**slope), guides=(Guide(slope=slope, text="guide"),))
    guide = data(drawing.figure.axes[0])[-1]
    logs = np.log(guide)
    assert (logs[1, 1] - logs[0, 1]) / (logs[1, 0] - logs[0, 0]) == pytest.approx(slope)
    assert (guide[:, 1] > guide[:, 0] ** slope).all() == above
    assert "guide" in legend(drawing)
    flat = lines(table(value=np.ones(6)), guides=(Guide(slope=slope, text="guide"),))
    assert "guide" not in legend(flat)


def test_panels_of_a_row_share_their_scale():
    rows = tidy([table(), table(value=1e3 * X, panel="two")])
    left, right = lines(rows, share="row").figure.axes
    assert left.get_ylim() == right.get_ylim()
    alone = lines(rows).figure.axes
    assert alone[0].get_ylim() != alone[1].get_ylim()


def test_axes_differ_by_panel_and_linear_ones_are_around_the_values():
    rows = tidy([table(value=X - 0.5), table(panel="logs")])
    options = {"log": {"one": "x", "logs": "xy"}, "y": {"one": "u", "logs": "v"}}
    one, logs = lines(rows, **options).figure.axes
    assert (one.get_yscale(), logs.get_yscale()) == ("linear", "log")
    assert (one.get_ylabel(), logs.get_ylabel()) == ("u", "v")
    low, high = one.get_ylim()
    assert low < -0.5
    assert 0.5 < high < 0.6


def test_the_alt_text_and_the_hover_values_are_those_of_the_curves():
    drawing = lines(table(value=3 * X, error=np.full(6, 0.5)))
    assert "1 panel against sigma, both axes logarithmic: one. Curves: a." in drawing.alt
    assert "a goes from 3e-5 at 1e-5 to 3 at 1" in drawing.alt
    ((panel,), (curve,)) = drawing.hover["p"], drawing.hover["p"][0]["c"]
    assert curve["n"] == "a"
    assert curve["y"] == [float(f"{v:.4g}") for v in 3 * X]
    assert curve["e"] == [0.5] * 6
    left, top, wide, tall = panel["b"]
    assert 0 < left < left + wide < drawing.hover["w"]
    assert 0 < top < top + tall < drawing.hover["h"]
    assert panel["x"][2] is True


def test_curves_that_coincide_bear_their_markers_at_other_points():
    x = np.geomspace(1e-6, 1, 30)
    tables = [
        pd.DataFrame({"panel": "p", "curve": name, "x": x, "value": x}) for name in ("a", "b", "c")
    ]
    first, second, third = (
        line.get_markevery() for line in lines(tidy(tables)).figure.axes[0].lines
    )
    assert len({first[0], second[0], third[0]}) == 3


def intervals(rows, **options):
    spec = {"name": "n", "title": "T", "caption": "Look.", "x": "value"} | options
    return Intervals(rows=lambda: pd.DataFrame(rows), **spec).draw()


def dot(row, value, half=0.1, **more):
    return {
        "panel": "p",
        "row": row,
        "value": value,
        "low": value - half,
        "high": value + half,
    } | more


def test_dots_stand_in_rows_in_the_order_of_the_table_with_their_intervals():
    rows = [dot("b", 2.0, series="x"), dot("a", 1.0, series="x"), dot("a", 3.0, series="mean")]
    drawing = intervals(rows, log="", join=True, shift=True)
    (axes,) = drawing.figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "a"]
    dots = [ln for ln in axes.lines if ln.get_marker() == "o"]
    assert [float(ln.get_xdata()[0]) for ln in dots] == [2.0, 1.0, 3.0]
    ends = [np.asarray(ln.get_xdata()).tolist() for ln in axes.lines if ln.get_marker() == "None"]
    assert [1.9, 2.1] in [np.round(one, 6).tolist() for one in ends]
    assert {"x", "mean"} <= set(legend(drawing))
    assert "from 1 (a) to 3 (a)" in drawing.alt


def test_what_is_biased_is_struck_through_and_what_lies_beyond_is_an_arrow_at_the_edge():
    rows = [dot("a", 1.0, struck=True, hollow=True, series="x"), dot("b", 1e5, series="x")]
    drawing = intervals(rows, edge=100.0)
    (axes,) = drawing.figure.axes
    shapes = [ln.get_marker() for ln in axes.lines]
    assert "x" in shapes
    assert ">" in shapes
    assert axes.get_xlim()[1] < 100
    assert {"biased", "beyond the axis"} <= set(legend(drawing))


def test_bands_lines_and_seeds_stand_beside_the_dots():
    rows = [
        dot("a", 1.0),
        {"panel": "p", "kind": "band", "low": 0.5, "high": 0.7, "legend": "band"},
        {"panel": "p", "kind": "line", "value": 2.0, "legend": "truth"},
        {"panel": "p", "kind": "seed", "row": "a", "value": 1.05, "legend": "a seed"},
    ]
    drawing = intervals(rows, numbers=True)
    assert legend(drawing) == ["band", "truth", "a seed"]
    (axes,) = drawing.figure.axes
    assert [t.get_text() for t in axes.texts] == ["1.0 ± 0.1"]
    assert intervals([]) is None


def test_a_heat_map_marks_the_least_of_every_column():
    x, y = np.meshgrid([1.0, 10.0, 100.0], [0.1, 1.0])
    value = np.array([[1.0, 2.0, 8.0], [3.0, 1.0, 8.1]])
    rows = pd.DataFrame({"panel": "p", "x": x.ravel(), "y": y.ravel(), "value": value.ravel()})
    spec = {"name": "n", "title": "T", "caption": "", "x": "N", "y": "sigma"}
    drawing = Heat(rows=lambda: rows, **spec).draw()
    axes = drawing.figure.axes[0]
    best = next(ln for ln in axes.lines if ln.get_marker() == "o")
    assert best.get_xydata().tolist() == [[0, 0], [1, 1], [2, 0]]
    bars = axes.collections[0].get_segments()
    assert [bar[:, 0].tolist() for bar in bars] == [[2, 2]]
    shown = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(shown, np.log10(value))
    assert Heat(rows=lambda: rows[:0], **spec).draw() is None


def test_pictures_stand_in_rows_under_their_headings():
    tile = Tile(np.arange(4.0).reshape(2, 2), "cos 0.5", "Greys", (0, 3))
    colours = Tile(np.full((2, 2, 3), 0.5), ends=(0.0, 1.0))
    grid = Grid("title", [("first", [tile, None]), ("second", [colours, tile])], ("u", "v"))
    spec = Images(name="n", title="T", caption="", rows=lambda: grid)
    drawing = spec.draw()
    (axes,) = drawing.figure.axes
    assert len(axes.images) == 3
    words = [text.get_text() for text in axes.texts]
    assert {"title", "u", "v", "first", "second", "cos 0.5"} <= set(words)
    boxes = [image.get_extent() for image in axes.images]
    assert boxes[0][0] == boxes[1][0] < boxes[2][0]
    assert boxes[0][3] < boxes[1][3]
    assert "first, second" in drawing.alt


def test_a_sheet_has_images_side_by_side_with_lines_between():
    images = np.arange(8.0).reshape(2, 2, 2)
    found = sheet(images, 1, 2)
    np.testing.assert_array_equal(found[:, :2], images[0])
    np.testing.assert_array_equal(found[:, 3:], images[1])
    assert np.isnan(found[:, 2]).all()
    assert sheet(np.ones((3, 2, 2, 3)), 2, 2).shape == (5, 5, 3)


def test_a_look_is_its_own_whatever_stands_beside():
    rows = tidy([table(look=[Mark("#123456", "h")] * 6), table(curve="b")])
    first, second = lines(rows).figure.axes[0].lines
    assert (first.get_color(), first.get_marker()) == ("#123456", "h")
    assert second.get_color() == nth(1).colour
