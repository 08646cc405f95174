"""`sigmaprop advise`."""

import numpy as np
import pytest


def test_advice_names_the_call_and_the_evidence(sigmaprop, tmp_path):
    ended = sigmaprop("advise", "--objective", "quartic", "--dim", "2", "--budget", "20000")
    assert ended.status == 0, ended.err
    assert "Use: sigmaprop.estimate(f, gaussian, key, num_samples, estimator=" in ended.out
    assert "score_function+leave_one_out" in ended.out
    assert "No jump was found" in ended.out
    assert "measured at x = (" in ended.out
    assert "1 draw in 741" in ended.out
    assert "rounds" in ended.out  # whether the clock decided
    assert "for a tenth" in ended.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_file_with_a_jump(sigmaprop, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import jax.numpy as jnp\n\n\ndef f(x):\n    return jnp.sum(jnp.where(x > 0, 1.0, 0.0))\n"
    )
    options = ("--dim", "2", "--x", "0.1", "--scale", "0.3", "--budget", "40000")
    ended = sigmaprop("advise", "--objective", "mine.py:f", *options)
    assert ended.status == 0, ended.err
    assert "f jumps" in ended.out
    chosen = next(line for line in ended.out.splitlines() if line.startswith("Use:"))
    assert "'score_function'" in chosen or "'measure_valued'" in chosen


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--objective sin", "'sine'"),
        ("--scale 0", "--scale is 0"),
        ("--budget 10", "--budget is 10"),
        ("--x 1 2 --dim 3", "--x has 2 coordinates"),
        ("--gaussian low_rank --rank 5 --dim 2", "rank is 5"),
        ("--objective missing.py:f --dim 2", "missing.py"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(sigmaprop, options, words):
    ended = sigmaprop("advise", *options.split())
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    assert words in ended.err


def test_a_long_x_is_cut():
    from sigmaprop.experiments.advise.run import _point

    assert _point(np.array([0.5, -1.0])) == "(0.5, -1)"
    assert _point(np.zeros(1000)) == "(0, 0, 0, 0, 0, 0, ...), 1,000 coordinates"
