"""Averages over the last fifth as files of a run: made once, sealed, found by a resumed run."""

import contextlib

import numpy as np
import pytest
from sigmaprop.experiments.gan import late
from sigmaprop.experiments.gan.config import GanConfig

from sigmaprop import runs
from sigmaprop.runs.arrays import read_arrays

CONFIG = GanConfig(steps=100, evaluations=4)
SCALES = {85: [0.1, 0.2], 90: [0.3, 0.2], 95: [0.1, 0.6], 100: [0.3, 0.2]}


@contextlib.contextmanager
def begun(directory):
    """A run that ends by Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt), runs.create(directory, "gan", CONFIG) as run:
        yield run
        raise KeyboardInterrupt


def look(run, step):
    scale = np.array([SCALES[step]], np.float32)
    late.keep(run, 0, step, {late.entry("per_pixel", "scale"): scale})


def resumed(directory):
    found = runs.resume(directory, "gan", GanConfig).run
    assert found is not None
    return found


def test_looks_are_in_the_last_fifth_and_ten_at_most():
    assert late.steps(CONFIG) == tuple(SCALES)
    many = late.steps(GanConfig(steps=1000, evaluations=200))
    assert many == tuple(range(820, 1001, 20))
    assert late.steps(GanConfig(steps=1, evaluations=10)) == (1,)


def test_a_resumed_run_makes_the_mean_of_all_looks_and_keeps_it(tmp_path):
    with begun(tmp_path / "run") as run:
        for step in (85, 90, 95):
            look(run, step)
    with resumed(tmp_path / "run") as run:
        look(run, 95)  # again, from a checkpoint before it
        look(run, 100)
        late.finish(run, 0, CONFIG)
        names = [path.name for path in run.directory.glob("noise-*")]
        assert names == [late.file_name(0)]
        late.finish(run, 0, CONFIG)  # of a group that an earlier process ended
        assert late.file_name(0) in run.extra
    (found,) = read_arrays(tmp_path / "run" / late.file_name(0)).values()
    np.testing.assert_allclose(found, [[0.2, 0.3]], rtol=4 * 2.0**-24)


def test_what_was_altered_is_refused_and_what_never_was_is_not_missed(tmp_path):
    with begun(tmp_path / "run") as run:
        late.finish(run, 0, CONFIG)  # no look: a version before, or no arrays
        assert not list(run.directory.glob("noise-*"))
        for step in SCALES:
            look(run, step)
    (tmp_path / "run" / "noise-0-90.npz").write_bytes(b"other")
    with (
        pytest.raises(runs.RunError, match=r"noise-0-90\.npz was altered"),
        resumed(tmp_path / "run") as run,
    ):
        late.finish(run, 0, CONFIG)
