"""`--cells`, `--search` and `sigmaprop.train(cells=...)`, from the command line to the page."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from sigmaprop.experiments.gan.config import GanConfig, GanSweep
from sigmaprop.experiments.options import own_functions
from sigmaprop.experiments.training.cells import parse

import sigmaprop as library

CELLS = [
    {"name": "zero", "arm": "zero"},
    {"name": "wide", "arm": "global", "widths": [8, 6], "discriminator_widths": [5]},
    {"name": "low", "arm": "global", "sigma_start": 0.02},
    {"name": "deep", "arm": "fixed", "latent_dim": 3, "sigma": 0.2},
]
SMALL = (
    *("--steps", "30", "--seeds", "2", "--batch-size", "8", "--latent-dim", "2"),
    *("--widths", "4", "--discriminator-widths", "4", "--eval-samples", "32"),
    *("--evaluations", "1", "--gap-evaluations", "1", "--gap-samples", "64"),
    *("--metrics-every", "10", "--checkpoint-seconds", ".001"),
)
OPTIONS = ("gan", "--dataset", "ring", *SMALL)


def write(content, name="cells.json"):
    Path(name).write_text(json.dumps(content))
    return name


REFUSED = [
    ("--cells none.json", "--cells none.json cannot be read (No such file"),
    ("--cells broken.json", "--cells broken.json is not JSON (Expecting"),
    ("--cells twice.json", "an object of --cells names 'sigma' twice"),
    ("--cells cells.json --sweep.arm zero", "--cells and --sweep.arm exclude each other"),
    ("--cells cells.json --search 3", "--cells and --search exclude each other"),
    ("--search 3", "--search draws from the lists of a sweep"),
    ("--search 0 --sweep.sigma .1 .2", "--search is 0"),
    ("--search-seed 3", "--search-seed means nothing without --search"),
    ("--first-seed -1", "--first-seed is -1"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=[one[0] for one in REFUSED])
def test_one_sentence_and_nothing_on_disk(sigmaprop, words, sentence):
    write(CELLS)
    Path("broken.json").write_text("{")
    Path("twice.json").write_text('[{"name": "a", "sigma": 1, "sigma": 2}]')
    before = set(Path().iterdir())
    ended = sigmaprop(*OPTIONS, *words.split())
    assert (ended.status, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert sentence in line
    assert set(Path().iterdir()) == before


def test_a_run_that_cannot_settle_says_so_before_it_starts(sigmaprop):
    """30 steps of 1e-3 against 3 times ln 100, or ln 500 from the lower start."""
    ended = sigmaprop(*OPTIONS, "--cells", write(CELLS), "--dry-run")
    assert ended.status == 0
    forecast, warning = ended.out.splitlines()
    assert forecast.startswith("4 cells x 2 seeds x 30 steps; 3 compiled programs")
    assert "in wide, low: rate x steps is 0.03, the bounds are 4.61 away, needs 13.8" in warning
    words = ("--sigma-learning-rate", "1", "--dry-run")
    assert len(sigmaprop(*OPTIONS, "--cells", "cells.json", *words).out.splitlines()) == 1
    ended = sigmaprop("vae", "--steps", "10", "--dry-run")
    assert "a sigma will not have settled in global, per_pixel: rate x steps is 0.1" in ended.out


def test_functions_of_ones_own_are_found_in_cells():
    content = [{"name": "mine", "generator": "nets.py:generator"}, {"name": "mlp"}]
    config = GanConfig(sweep=GanSweep(), cells=parse(content, GanConfig))
    assert own_functions(config) == {"nets.py:generator": "--generator"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the list, whose file is gone."""
    from sigmaprop.experiments.cli.main import main

    directory = tmp_path_factory.mktemp("cells")
    file = directory / "cells.json"
    file.write_text(json.dumps(CELLS))
    with pytest.raises(SystemExit) as caught:
        main([*OPTIONS, "--cells", str(file), "--run-dir", str(directory / "run")])
    assert caught.value.code == 0
    file.unlink()
    return directory / "run"


@pytest.mark.slow
def test_the_run_holds_the_cells_and_every_number_of_them(run):
    config = json.loads((run / "config.json").read_text())["config"]
    assert config["cells"] == CELLS
    assert set(config["sweep"].values()) == {None}
    loaded = library.load(run)
    assert loaded.replicas["label"].tolist() == [c["name"] for c in CELLS for _ in range(2)]
    assert set(loaded.replicas["widths"]) == {(4,), (8, 6)}
    assert loaded.replicas["latent_dim"].tolist() == [2] * 6 + [3] * 2
    last = loaded.frame[(loaded.frame["metric"] == "sigma") & (loaded.frame["step"] == 30)]
    sigmas = last.groupby("label")["value"].mean()
    assert sigmas["zero"] == 0
    np.testing.assert_allclose(sigmas[["deep", "low"]], [0.2, 0.02], rtol=0.05)
    assert loaded.samples["x"].shape == (8, 64, 2)
    page = (run / "report.html").read_text()
    assert all(f">{cell['name']}" in page for cell in CELLS)
    found = {one["label"]: one for one in loaded.claims}
    assert {one["against"] for name, one in found.items() if name != "zero"} == {"zero"}


@pytest.mark.slow
def test_replay_evaluate_and_report_do_without_the_file(run, sigmaprop):
    ended = sigmaprop("replay", run, "--run-dir", "again")
    assert ended.status == 0, ended.err
    assert "identical" in ended.out
    words = (
        "--metrics",
        "energy",
        "--num-samples",
        "32",
        "--halves",
        "2",
        "--likelihood",
        "parzen",
    )
    words += ("--num-examples", "4", "--refit-examples", "8", "--refit-steps", "5")
    ended = sigmaprop("evaluate", "again", *words)
    assert ended.status == 0, ended.err
    (made,) = Path("again/evaluations").iterdir()
    assert set(library.load(made).frame["label"].dropna()) >= {cell["name"] for cell in CELLS}
    assert sigmaprop("report", "again", run, "--out", "page").status == 0


@pytest.mark.slow
@pytest.mark.usefixtures("pageless")
def test_a_list_that_was_stopped_in_its_second_program_goes_on_to_the_same_bits(run, sigmaprop):
    from sigmaprop.experiments.training import loop

    save = loop.checkpoints.save

    def interrupted(directory, step, *rest, **options):
        found = save(directory, step, *rest, **options)
        if step > 30:
            signal.raise_signal(signal.SIGINT)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.checkpoints, "save", interrupted)
        words = ("--cells", write(CELLS), "--run-dir", "cut")
        assert sigmaprop(*OPTIONS, *words).status == 130
    Path("cells.json").unlink()
    ended = sigmaprop("resume", "cut")
    assert ended.status == 0, ended.err
    first, second = library.load(run), library.load("cut")
    assert first.frame.drop(columns="label").equals(second.frame.drop(columns="label"))


@pytest.mark.slow
@pytest.mark.usefixtures("pageless")
def test_options_over_an_earlier_list(run, sigmaprop):
    again = ("gan", "--config", run, "--dry-run")
    assert "4 cells x 3 seeds" in sigmaprop(*again, "--seeds", "3").out
    assert "2 cells x 2 seeds" in sigmaprop(*again, "--sweep.arm", "zero", "global").out
    assert "1 cell x 2 seeds" in sigmaprop(*again, "--cells", write([{"name": "a"}])).out
    ended = sigmaprop(*again, "--arm", "fixed")
    assert ended.status == 2
    assert "cell zero has its own arm, so --arm would not reach it" in ended.err


@pytest.mark.slow
@pytest.mark.usefixtures("pageless")
def test_a_search_is_recorded_as_the_list_that_it_drew(sigmaprop):
    words = (*OPTIONS, "--search", "2", "--sweep.arm", "zero", "fixed")
    words += ("--sweep.sigma", ".01", ".3", "--sweep.learning-rate", "1e-4", "1e-2")
    assert sigmaprop(*words, "--search-seed", "7", "--run-dir", "run").status == 0
    cells = json.loads(Path("run/config.json").read_text())["config"]["cells"]
    assert [cell["arm"] for cell in cells] == ["zero", "zero", "fixed", "fixed"]
    assert all(1e-4 <= cell["learning_rate"] <= 1e-2 for cell in cells)
    own = cells[2]
    assert own["name"] == f"fixed, sigma={own['sigma']}, learning_rate={own['learning_rate']}"
    against = [one["against"] for one in library.load("run").claims]
    assert against == ["", cells[0]["name"], cells[0]["name"], cells[1]["name"]]
    assert sigmaprop("replay", "run", "--run-dir", "again").status == 0


@pytest.mark.slow
def test_training_from_python_has_the_bits_of_the_command(tmp_path, sigmaprop):
    x = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    np.savez("mine.npz", x=x)
    options = dict(zip(SMALL[::2], SMALL[1::2], strict=True))
    values = {name[2:].replace("-", "_"): json.loads(one.replace(".001", "0.001"))
              for name, one in options.items()}  # fmt: skip
    values |= {name: (values[name],) for name in ("widths", "discriminator_widths")}
    training = library.train(x, cells=CELLS, **values)
    ended = sigmaprop("gan", "--dataset", "mine.npz", *SMALL, "--cells", write(CELLS),
                      "--run-dir", "run")  # fmt: skip
    assert ended.status == 0, ended.err
    first, second = training.run, library.load("run")
    assert first.frame.drop(columns="label").equals(second.frame.drop(columns="label"))
    assert [program.replicas for program in training.programs] == [(0, 1, 4, 5), (2, 3), (6, 7)]
    for program in training.programs:
        assert program.state.diverged_at.shape == (len(program.replicas),)
    assert training.programs[2].spec.generator.in_dim == 3
    with pytest.raises(ValueError, match="3 programs"):
        _ = training.state


def test_training_from_python_refuses_in_one_sentence():
    x = np.zeros((40, 3))
    for options, sentence in (
        ({"arms": ("zero",), "cells": CELLS}, "arms and cells exclude each other"),
        ({"cells": {"a": 1}}, "the cells are"),
        ({"cells": [{"name": "a", "sigm": 1}]}, "did you mean 'sigma'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            library.train(x, **options)
