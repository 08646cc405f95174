"""The figures of generators show the numbers of their files."""

import numpy as np
import pytest

from sigmaprop.reporting import (
    gan_loss_figures,
    gan_parts,
    gan_results,
    gan_sample_figures,
    gan_score_figures,
    gan_sigma_figures,
    style,
)
from sigmaprop.reporting.gan_series import Key

from . import test_gan_made_up as made_up


@pytest.fixture(autouse=True)
def _style():
    with style.style():
        yield


def read(path, **options):
    (found,) = gan_results.read([made_up.make_run(path / "run", **options)])
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read(tmp_path_factory.mktemp("figures"), data={"noise_std": 0.07})


def levels(axes):
    """Heights of horizontal rules."""
    lines = [line for line in axes.lines if str(line.get_label()).startswith("level: ")]
    return [float(np.asarray(line.get_ydata())[0]) for line in lines]


def legend(drawing):
    return [text.get_text() for text in drawing.figure.legends[0].get_texts()]


def test_every_seed_has_its_line_of_sigma(run):
    drawing = gan_sigma_figures.trajectories([run])
    (axes,) = drawing.figure.axes
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("level: ")]
    assert len(lines) == 3 * 4  # arms with noise x seeds
    steps = np.arange(made_up.EVERY, made_up.STEPS + 1, made_up.EVERY)
    np.testing.assert_array_equal(lines[4].get_xdata(), steps)
    np.testing.assert_array_equal(lines[4].get_ydata(), made_up.sigma_of("global", steps))
    assert levels(axes) == [0.07]  # neither floor nor ceiling is near
    assert axes.get_yscale() == "log"
    assert "noise in the data, 0.07" in legend(drawing)
    colours = {line.get_color() for line in lines}
    assert colours == {gan_parts.mark(cell).colour for cell in run.cells[1:]}


def test_bounds_are_drawn_where_sigma_comes_near(tmp_path):
    found = read(tmp_path, arms=("global",), sigma_floor=0.05, sigma_ceiling=0.2)
    drawing = gan_sigma_figures.trajectories([found])
    assert levels(drawing.figure.axes[0]) == [0.05, 0.2]
    assert "floor, ceiling" in legend(drawing)


def test_maps_show_the_first_seed(run):
    drawing = gan_sigma_figures.maps(run)
    images = [axes.images[0].get_array() for axes in drawing.figure.axes if axes.images]
    first = run.cells[3].replicas[0]
    np.testing.assert_allclose(
        images[0], np.log10(run.examples["scale"][first][0].reshape(8, 8)), rtol=1e-6
    )
    assert len(images) == 2  # and the colour scale


def test_time_at_a_bound_is_shown_where_there_is_some(run, tmp_path):
    assert gan_sigma_figures.bounds(run) is None
    found = read(tmp_path, arms=("low_rank",))
    floor, ceiling = gan_sigma_figures.bounds(found).figure.axes
    assert np.max(floor.lines[0].get_ydata()) == 1
    assert np.max(ceiling.lines[0].get_ydata()) == 0


def test_dots_are_the_means_of_the_comparison(run):
    drawing = gan_score_figures.scores(run)
    axes = drawing.figure.axes[0]
    shown = {}
    for line in axes.lines:
        if line.get_marker() == "o":
            filled = line.get_markerfacecolor() != style.PAPER
            shown[round(float(line.get_ydata()[0])), filled] = float(line.get_xdata()[0])
    for place, one in enumerate(run.comparisons):
        for of in ("mean", "x"):
            assert shown[place, of == "x"] == one.score("mmd2", of, "last").level.value
    ticks = [line for line in axes.lines if line.get_marker() == "|"]
    late = run.measured.late(Key("mmd2", "mean", "last"), run.cells[0])
    np.testing.assert_array_equal(ticks[0].get_xdata(), late)
    (band,) = axes.patches
    assert band.get_x() + band.get_width() == made_up.REAL["mmd2"]["percentile_95"]


def test_an_mmd_below_0_is_drawn_at_the_edge(tmp_path):
    drawing = gan_score_figures.scores(read(tmp_path, arms=("zero",), change=_negative))
    low = 0.3 * made_up.REAL["mmd2"]["percentile_95"]
    dots = [line for line in drawing.figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in dots], low)


def _negative(table):
    index = table.column_names.index("value")
    values = -np.abs(table["value"].to_numpy()) * (table["metric"].to_numpy() == "mmd2")
    return table.set_column(index, "value", [values + table["value"].to_numpy() * (values == 0)])


def test_courses_share_the_axis_of_a_row(run):
    panels = gan_score_figures.along(run).figure.axes
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert panels[2].get_ylim() == panels[3].get_ylim()
    line = panels[1].lines[0]
    series = run.measured.series[Key("mmd2", "x", "last")]
    np.testing.assert_allclose(line.get_ydata(), series.value[:4].mean(axis=0))


def test_losses_are_means_over_seeds(run):
    axes = gan_loss_figures.losses(run).figure.axes[0]
    series = run.measured.series[Key("discriminator_loss")]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), series.value[:4].mean(axis=0))


def test_a_grid_holds_the_images_of_the_first_seed(run):
    drawing = gan_sample_figures.samples(run)
    blocks = {axes.get_label(): axes.images[0].get_array() for axes in drawing.figure.axes}
    low, high = np.percentile(run.real, [1, 99])
    first = run.cells[2].replicas[0]
    expected = np.clip((run.examples["x"][first][11].reshape(8, 8) - low) / (high - low), 0, 1)
    shown = blocks["block 3 1"][9:17, 9:17]  # second row, second column, a line between
    np.testing.assert_allclose(shown, expected, rtol=1e-6)


def test_points_lie_over_the_real_ones(tmp_path):
    found = read(tmp_path, shape=(2,), arms=("zero", "global"))
    axes = gan_sample_figures.samples(found).figure.axes
    assert len(axes) == 4
    real, made = axes[3].lines
    np.testing.assert_array_equal(np.array(real.get_data()).T, found.real)
    np.testing.assert_array_equal(np.array(made.get_data()).T, found.examples["x"][4])


@pytest.mark.parametrize(("low", "high"), [(0.051, 0.098), (0.01, 1.5), (1e-6, 3.0), (1.0, 1.26)])
def test_logarithmic_ticks_are_inside_and_several(low, high):
    ticks, labels = gan_parts.log_ticks(low, high)
    assert len(ticks) == len(labels) >= 3
    assert min(ticks) >= low * (1 - 1e-9)
    assert max(ticks) <= high * (1 + 1e-9)
    assert len(set(labels)) == len(labels)


def test_no_two_of_many_cells_look_alike():
    marks = [style.nth_mark(place) for place in range(16)]
    assert len(set(marks)) == 16
