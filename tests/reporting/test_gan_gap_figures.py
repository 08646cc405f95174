"""The figures of the gap draw a made-up table's power laws, say their slopes, bear infinities."""

import numpy as np
import pyarrow as pa
import pytest
from sigmaprop.experiments.gan import tables as gan_tables

from sigmaprop.reporting import gan_figures, gan_gap_figures, gan_results, style
from sigmaprop.reporting.sheet import curves

from . import test_gan_made_up as made_up

SIGMAS = (1.0, 0.1, 0.01, 0.001)
SIZES = (1, 4, 16, 64, 256)
SAMPLES = 1024
ARMS = ("zero", "fixed")
STEP = 100
BIAS = {0: 0.5, 1: 0.3}
NEEDED = {0: 3.0, 1: 40.0}


def by_sigma(cell, sigma):
    """Laws of a smooth f: bias sigma^2, samples 1 / sigma^2 and a level."""
    return {
        "gap_bias_relative": BIAS[cell] * sigma**2,
        "gap_cosine": 1 - 0.1 * sigma,
        "gap_sigma_batch": NEEDED[cell] / sigma**2,
        "gap_sigma_batch_at_mean": NEEDED[cell],
    }


def by_batch(cell, sigma, size):
    return {
        "gap_batch_error": 4 * BIAS[cell] * sigma**2 / np.sqrt(size),
        "gap_batch_cosine": 1 - 0.1 * sigma - 0.2 * sigma / size,
    }


def gap_rows(step, change=lambda values: values):
    """The rows of the first seed of both cells; seeds are 4 a cell."""
    tables = []
    for cell in range(len(ARMS)):
        for sigma in SIGMAS:
            found = [(0, change(by_sigma(cell, sigma)))]
            found += [(size, change(by_batch(cell, sigma, size))) for size in SIZES]
            for size, values in found:
                array = np.array(list(values.values()))[None, None]
                tables.append(
                    gan_tables.rows(
                        [4 * cell], [step], tuple(values), array, sigma=sigma, batch_size=size
                    )
                )
    return pa.concat_tables(tables)


def make(directory, *more, **options):
    """A made-up run with rows of the gap."""
    return made_up.make_run(
        directory,
        arms=ARMS,
        change=lambda table: pa.concat_tables([table, *more]),
        compare=False,
        gap_samples=SAMPLES,
        **options,
    )


def drawn(directory):
    """The drawings by name."""
    with style.style():
        return {one.name: one for one in gan_gap_figures.figures(directory)}


def data(drawing, panel=0):
    """Every curve of a panel by label, solid ones before dashed ones."""
    found = {}
    for line in curves(drawing.figure.axes[panel]):
        found.setdefault(line.get_label(), []).append(np.asarray(line.get_xydata(), float))
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    early = gap_rows(50, lambda values: dict.fromkeys(values, 0.9))
    return drawn(make(tmp_path_factory.mktemp("gap") / "run", early, gap_rows(STEP)))


def test_bias_and_direction_are_those_of_the_last_step(found):
    for place, arm in enumerate(ARMS):
        (line,) = data(found["gap_bias"])[arm]
        np.testing.assert_array_equal(line[:, 0], SIGMAS[::-1])
        np.testing.assert_allclose(line[:, 1], BIAS[place] * line[:, 0] ** 2, rtol=1e-12)
        (line,) = data(found["gap_bias"], 1)[arm]
        # 1 - (1 - v) is known to an epsilon of 1
        np.testing.assert_allclose(line[:, 1], 0.1 * line[:, 0], atol=2.3e-16, rtol=0)
    assert f"step {STEP}," in found["gap_bias"].caption


def test_captions_say_the_slopes(found):
    assert "the bias over sigma 0.001 to 0.1: zero 2.00, fixed 2.00." in found["gap_bias"].caption
    assert "1 − cosine over sigma 0.001 to 0.1: zero 1.00, fixed" in found["gap_bias"].caption
    caption = found["gap_sigma"].caption
    assert "plain one over sigma 0.001 to 0.1: zero −2.00, fixed −2.00." in caption
    assert "Less grad f(mu)·eps over sigma 0.001 to 0.1: zero 0.00, fixed 0.00." in caption
    assert "divides the samples, at sigma 0.001: zero 1e+6, fixed 1e+6." in caption


def test_samples_needed_are_drawn_with_and_without_the_control_variate(found):
    for place, arm in enumerate(ARMS):
        solid, dashed = data(found["gap_sigma"])[arm]
        np.testing.assert_allclose(solid[:, 1], NEEDED[place] / solid[:, 0] ** 2, rtol=1e-12)
        np.testing.assert_allclose(dashed[:, 1], NEEDED[place], rtol=1e-12)


def test_a_batch_is_drawn_for_the_first_cell_with_the_size_where_bias_takes_over(found):
    drawing = found["gap_batch"]
    lines = data(drawing)
    assert list(lines) == [f"sigma {sigma:.3g}" for sigma in SIGMAS[::-1]]
    for sigma in SIGMAS:
        (line,) = lines[f"sigma {sigma:.3g}"]
        error = 4 * BIAS[0] * sigma**2 / np.sqrt(SIZES)
        np.testing.assert_allclose(line, np.c_[SIZES, error], rtol=1e-12)
    # the error 4 b / sqrt(N) equals the bias b at N = 16
    stars = [ln for ln in drawing.figure.axes[0].lines if ln.get_label() == "edge: bias"]
    np.testing.assert_allclose([ln.get_xdata()[0] for ln in stars], 16, rtol=1e-9)
    assert "Cell zero" in drawing.caption
    assert "from a batch of 16 at sigma 0.001, 16 at sigma 0.01" in drawing.caption


@pytest.mark.parametrize(
    ("sizes", "error", "bias", "expected"),
    [
        ([1.0, 4.0], [1.0, 0.5], 2.0, (1.0, 1.0)),
        ([1.0, 4.0], [1.0, 0.5], 0.1, None),
        ([1.0, 4.0], [1.0, 0.5], 0.0, None),
        ([1.0, 4.0], [1.0, 0.5], np.nan, None),
        ([1.0, 4.0, 16.0], [1.0, np.nan, 0.25], 0.5, (4.0, 0.5)),
        ([1.0, 4.0], [0.0, 0.0], 0.5, None),
    ],
)
def test_where_the_bias_takes_over(sizes, error, bias, expected):
    found = gan_gap_figures._crossing(np.array(sizes), np.array(error), bias)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-12))


def test_what_noise_hides_is_a_limit_and_not_fitted(tmp_path):
    def noisy(values):
        if "gap_batch_error" in values:  # the standard error of the bias is 5e-5 at all sigmas
            values["gap_batch_error"] = 5e-5 * np.sqrt(SAMPLES / SIZES[-1])
        return values

    one = drawn(make(tmp_path / "run", gap_rows(STEP, noisy)))["gap_bias"]
    # zero: the bias .5 sigma^2 is 5e-7 and 5e-5 at the smallest sigmas, below two errors
    (line,) = data(one)["zero"]
    np.testing.assert_array_equal(np.isfinite(line[:, 1]), [False, False, True, True])
    limits = [ln for ln in one.figure.axes[0].lines if ln.get_label() == "limit: zero"]
    np.testing.assert_allclose(np.asarray(limits[0].get_ydata()), [1e-4, 1e-4], rtol=1e-12)
    assert "with too few points for a fit: zero, fixed" in one.caption


def test_infinities_leave_axes_finite(tmp_path):
    def broken(values):
        if "gap_sigma_batch" not in values:
            return values
        large = np.inf if values["gap_sigma_batch"] > 1e5 else values["gap_sigma_batch"]
        return values | {"gap_sigma_batch": large, "gap_sigma_batch_at_mean": np.inf}

    found = drawn(make(tmp_path / "run", gap_rows(STEP, broken)))
    axes = found["gap_sigma"].figure.axes[0]
    assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()
    heads = [ln for ln in axes.lines if ln.get_label() == "zero: no signal"]
    assert len(heads) == 4
    assert "no signal seen (at the top)" in legend(found["gap_sigma"])
    assert all(np.isfinite(xy[:, 0]).all() for ls in data(found["gap_sigma"]).values() for xy in ls)
    assert "inf" not in found["gap_sigma"].caption + found["gap_sigma"].alt
    with style.style():
        style.svg(found["gap_sigma"].figure)


def legend(drawing):
    return [text.get_text() for text in drawing.figure.legends[0].get_texts()]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_table_of_nothing_draws_what_it_can(tmp_path, value):
    nothing = gap_rows(STEP, lambda values: dict.fromkeys(values, value))
    with style.style():
        for one in drawn(make(tmp_path / "run", nothing)).values():
            style.svg(one.figure)
            assert "inf" not in one.caption
            assert "nan" not in one.caption


def test_no_rows_no_figures(tmp_path):
    directory = made_up.make_run(tmp_path / "run", arms=ARMS)
    assert drawn(directory) == {}
    (run,) = gan_results.read([directory])
    assert list(gan_figures._gap(run)) == []


def test_a_first_seed_that_diverged_is_left_out(tmp_path):
    one = drawn(make(tmp_path / "run", gap_rows(STEP), diverged={0: 30}))
    assert list(data(one["gap_bias"])) == ["fixed"]
    assert "cells that are not drawn: 1." in one["gap_bias"].caption
    assert "Cell fixed" in one["gap_batch"].caption
    assert drawn(make(tmp_path / "none", gap_rows(STEP), diverged={0: 30, 4: 30})) == {}


def test_the_page_finds_these_figures(tmp_path):
    def change(table):
        return pa.concat_tables([table, gap_rows(STEP)])

    directory = made_up.make_run(tmp_path / "run", arms=ARMS, change=change, gap_samples=SAMPLES)
    (run,) = gan_results.read([directory])
    with style.style():
        names = [one.name for one in gan_figures._gap(run)]
    assert names == ["gap_bias", "gap_batch", "gap_sigma"]


def test_the_batch_of_training_is_shown_where_it_is_one(tmp_path, found):
    assert "batch of training, 64" in legend(found["gap_batch"])
    sweep = {"arm": list(ARMS), "batch_size": [32, 64]}
    one = drawn(make(tmp_path / "run", gap_rows(STEP), sweep=sweep))["gap_batch"]
    assert "batch of training, 64" not in legend(one)
