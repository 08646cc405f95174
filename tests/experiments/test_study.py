"""`sigmaprop study`: registration, ledger, gates, stages, and the same tables after a kill."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sigmaprop.experiments.gan.config import GanConfig
from sigmaprop.experiments.study import (
    accounting,
    gates,
    ledger,
    registration,
    run,
    stages,
)

from sigmaprop.runs.files import RunError

QUICK = {
    **{"widths": [4], "discriminator_widths": [4], "latent_dim": 2, "batch_size": 8},
    **{"steps": 30, "evaluations": 1, "eval_samples": 32, "gap_evaluations": 0},
    "metrics_every": 10,
}

DECODERS = {
    **{"widths": [4], "encoder_widths": [4], "latent_dim": 2, "batch_size": 8, "steps": 30},
    **{
        "data": {"dequantise": False},
        "evaluations": 1,
        "eval_draws": 4,
        "eval_examples": 16,
        "metrics_every": 10,
    },
}
REFIT = {"refit_steps": 10, "refit_examples": 16}


def content():
    """A study of two small blocks: arms on a ring, and where sigma goes from two starts."""
    test = {"block": "arms", "against": "zero", "expect": "better"}
    return {
        "question": "Does it help?",
        "rules": {"stopping": "the seeds are fixed"},
        "presets": [
            {
                **{"name": "quick", "text": "seconds", "blocks": ["arms", "starts"]},
                **{"configurations": 2, "selection_seeds": 2, "test_seeds": 3},
                **{"gate": {"repeats": 16, "draws": 20}, "likelihoods": ["decoders"]},
            }
        ],
        "baseline_seeds": 3,
        "likelihoods": [
            {
                **{"name": "decoders", "text": "an autoencoder of the ring", "seeds": 2},
                "arms": [{"name": "best", "options": {"arm": "optimal"}}],
                "options": {"dataset": "ring", **DECODERS},
                "evaluate": {"num_examples": 4, "num_chains": 4, "num_temperatures": 10, **REFIT},
            }
        ],
        "blocks": [
            {
                **{"name": "arms", "text": "a ring", "preset": "digits", "bar": False},
                "options": {"dataset": "ring", **QUICK},
                "search": {"learning_rate": [1e-3, 1e-2]},
                "arms": [
                    {"name": "zero", "options": {"arm": "zero"}},
                    {
                        "name": "fixed",
                        "options": {"arm": "fixed"},
                        "search": {"sigma": [0.01, 0.1]},
                    },
                    {"name": "global", "options": {"arm": "global", "sigma_start": 0.05}},
                    {"name": "frozen", "options": {"arm": "frozen"}, "frozen": "global"},
                ],
            },
            {
                **{"name": "starts", "text": "two starts", "preset": "digits", "bar": False},
                "options": {"dataset": "ring", **QUICK, "sigma_learning_rate": 1.0},
                "arms": [
                    {"name": "low", "options": {"arm": "global", "sigma_start": 0.05}},
                    {"name": "high", "options": {"arm": "global", "sigma_start": 0.5}},
                ],
            },
        ],
        "hypotheses": [
            {
                **{"name": "L", "statement": "It helps.", "mind": "no.", "family": "learning"},
                "tests": [{**test, "arms": ["global"]}, {**test, "arms": ["fixed"]}],
            },
            {
                **{"name": "F", "statement": "Its value helps.", "mind": "no.", "family": "value"},
                "tests": [{**test, "arms": ["frozen"], "against": "global"}],
            },
            {
                **{"name": "H8", "statement": "Starts decide.", "mind": "no.", "family": "starts"},
                "tests": [
                    {
                        **{"block": "starts", "arms": ["low", "high"], "low": 1.0, "high": 1.1},
                        **{"quantity": "spread_of_ends", "expect": "outside"},
                    }
                ],
            },
        ],
    }


def write(what, path=Path("study.json")):
    path.write_text(json.dumps(what))
    return path


def admit_all(found, preset, measured):
    """Gates that let everything through."""
    return [gates.Admission(one, test, ()) for one, test in found.asked(preset)]


@pytest.fixture
def open_gates(monkeypatch):
    """No gate is measured, every test may be asked."""
    monkeypatch.setattr(gates, "compares", lambda *about: False)
    monkeypatch.setattr(gates, "admissions", admit_all)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that ran to its end without a break, every test admitted."""
    from sigmaprop.experiments.cli.main import main

    folder = tmp_path_factory.mktemp("study")
    path = write(content(), folder / "registration.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "compares", lambda *about: False)
        patch.setattr(gates, "admissions", admit_all)
        with pytest.raises(SystemExit) as caught:
            main(["study", "--registration", str(path), "--run-dir", str(folder / "whole")])
    assert caught.value.code == 0
    return folder / "whole"


def result(directory):
    return json.loads((directory / run.RESULT).read_text())


def test_every_test_and_arm_is_in_the_result(finished):
    found = result(finished)
    verdicts = {one["name"]: one["verdict"] for one in found["hypotheses"]}
    assert verdicts["H8"] in ("supported", "undecided", "refuted")
    assert all(
        test["answer"] != "not asked" for one in found["hypotheses"] for test in one["tests"]
    )
    (arms,) = (one for one in found["blocks"] if one["name"] == "arms")
    assert [one["name"] for one in arms["arms"]] == ["zero", "fixed", "global", "frozen"]
    assert all(one["seeds"] == [100, 101, 102] for one in arms["arms"])
    assert found["runs"]["replicas"] == (4 + 2) * 3
    assert found["runs"]["used"] == [
        *("arms/frozen-frozen", "arms/search", "arms/test"),
        *("decoders/likelihood", "decoders/vae", "starts/test"),
    ]
    assert all(found["runs"][kind] == [] for kind in ("superseded", "repeated", "unfinished"))


def test_likelihoods_are_of_the_seeds_that_are_compared(finished):
    from sigmaprop.reporting.frame import load

    (one,) = result(finished)["likelihoods"]
    assert (one["name"], one["seeds"], one["settings"]["num_chains"]) == ("decoders", 2, 4)
    (arm,) = one["arms"]
    frame = load(finished / "decoders" / "likelihood").frame
    assert set(frame["seed"]) == {100, 101}
    for kind, of in (("trained", "x"), ("refitted", "refitted")):
        rows = frame[frame["of"] == of].groupby("metric")["value"].mean()
        assert arm[kind]["log_likelihood"]["value"] == pytest.approx(rows["ais"])
        assert arm[kind]["gap"] == pytest.approx(rows["bdmc"])
    assert arm["sigma"] > 0


def test_seeds_that_select_do_not_test(finished):
    seeds = {}
    for stage in ("search", "test"):
        replicas = json.loads((finished / "arms" / stage / "replicas.json").read_text())
        seeds[stage] = {one["seed"] for one in replicas}
        config = json.loads((finished / "arms" / stage / "config.json").read_text())["config"]
        assert config["held_out"] == {"search": "validation", "test": "test"}[stage]
    assert seeds["search"] == {0, 1}
    assert not seeds["search"] & seeds["test"]


def test_arms_have_equal_budgets_and_equal_draws(finished):
    """The registered configuration and one draw of each; what concerns both is drawn alike."""
    found, _ = registration.read(finished.parent / "registration.json")
    block, preset = found.block("arms"), found.preset("quick")
    own = {arm.name: stages.configurations(preset, block, arm) for arm in block.arms[:3]}
    assert {len(one) for one in own.values()} == {2}
    rates = {name: one[f"{name}: draw 1"]["learning_rate"] for name, one in own.items()}
    assert len(set(rates.values())) == 1
    assert 0.01 <= own["fixed"]["fixed: draw 1"]["sigma"] <= 0.1


def test_the_best_on_validation_is_what_is_tested(finished):
    from sigmaprop.generators.results import Key, floor, measured

    search = measured(finished / "arms" / "search")
    tested = measured(finished / "arms" / "test")
    chosen = {cell.label: (tested.config | cell.swept)["learning_rate"] for cell in tested.cells}
    for arm in ("zero", "fixed", "global"):
        cells = [cell for cell in search.cells if cell.label.startswith(f"{arm}:")]
        scores = [
            np.log(np.maximum(search.late(Key("mmd2", "x", "last"), one), floor(search))).mean()
            for one in cells
        ]
        best = cells[int(np.argmin(scores))]
        config = search.config | best.swept
        assert chosen[arm] == pytest.approx(config["learning_rate"])


def test_a_study_that_was_stopped_ends_in_the_same_tables(
    finished, tmp_path, monkeypatch, open_gates
):
    """Stopped in the middle of the comparison, and again between two runs."""
    from sigmaprop.experiments.cli.main import main

    path = finished.parent / "registration.json"
    again = tmp_path / "again"
    words = ["study", "--registration", str(path), "--run-dir", str(again)]
    count, add = [0], ledger.add

    def stopping(directory, event, **more):
        count[0] += 1
        line = add(directory, event, **more)
        if count[0] in (4, 7):
            raise KeyboardInterrupt
        return line

    monkeypatch.setattr(ledger, "add", stopping)
    statuses = []
    for _ in range(3):
        with pytest.raises(SystemExit) as caught:
            main(words)
        statuses.append(caught.value.code)
    assert statuses == [130, 130, 0]
    assert (again / run.RESULT).read_bytes() == (finished / run.RESULT).read_bytes()


def test_a_finished_study_runs_nothing_again(finished, sigmaprop, open_gates):
    before = ledger.read(finished)
    text = (finished / run.RESULT).read_bytes()
    path = finished.parent / "registration.json"
    ended = sigmaprop("study", "--registration", str(path), "--run-dir", str(finished))
    assert ended.status == 0
    assert "Hypotheses" in ended.out
    assert [line["event"] for line in ledger.read(finished)[len(before) :]] == ["concluded"]
    assert (finished / run.RESULT).read_bytes() == text


def test_a_run_that_is_asked_for_once_more_is_the_same(finished):
    """What was learned elsewhere, and where the study lies, is no part of the question."""
    from sigmaprop.experiments.evaluate.config import EvaluateConfig

    from sigmaprop.runs import load_config

    frozen = load_config(finished / "arms" / "frozen-frozen", GanConfig, command="gan")
    asked = dataclasses.replace(frozen, frozen_from=Path("moved/arms/test"), frozen_values=())
    large = dataclasses.replace(asked, frozen_sha256="1" * 64)
    assert frozen.frozen_values
    assert accounting.same(frozen, asked)
    assert accounting.same(large, asked)
    assert not accounting.same(asked, dataclasses.replace(asked, seeds=4))
    again = dataclasses.replace(asked, frozen_from=Path("moved/arms/test-2"))
    assert not accounting.same(asked, again)
    one, other = (EvaluateConfig(run=run) for run in ("here/arms/test", "arms/test"))
    assert accounting.same(one, other)
    assert not accounting.same(one, EvaluateConfig(run="here/arms/test-2"))


def test_a_run_that_was_made_twice_is_named(finished, copied, sigmaprop, open_gates):
    """The first counts, and the other is no amendment's doing."""
    shutil.copytree(copied / "arms" / "frozen-frozen", copied / "arms" / "frozen-frozen-2")
    seal = ledger.seal_of(copied / "arms" / "frozen-frozen-2")
    ledger.add(copied, "started", run="arms/frozen-frozen-2", command="gan")
    ledger.add(copied, "finished", run="arms/frozen-frozen-2", manifest=seal)
    path = finished.parent / "registration.json"
    assert sigmaprop("study", "--registration", str(path), "--run-dir", str(copied)).status == 0
    counted, before = result(copied)["runs"], result(finished)["runs"]
    assert counted == before | {"repeated": ["arms/frozen-frozen-2"]}


@pytest.mark.parametrize("command", ["resume", "report", "replay"])
def test_a_study_is_no_run(finished, sigmaprop, command):
    ended = sigmaprop(command, str(finished))
    assert (ended.status, ended.out) == (2, "")
    assert f"is a study: go on with `sigmaprop study --run-dir {finished}`" in ended.err


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the study that may be spoilt."""
    target = tmp_path / "copy"
    shutil.copytree(finished, target)
    return target


def test_a_run_that_was_deleted_or_added_or_altered_is_noticed(finished, copied, sigmaprop):
    path = finished.parent / "registration.json"
    words = ("study", "--registration", str(path), "--run-dir", str(copied))
    shutil.copytree(copied / "starts", copied / "stranger")
    assert ledger.audit(copied) == [f"stranger/test lies in {copied} and not in the ledger"]
    assert sigmaprop(*words).status == 2
    shutil.rmtree(copied / "stranger")
    shutil.move(copied / "starts", copied.parent / "moved")
    ended = sigmaprop(*words)
    assert ended.status == 2
    assert f"starts/test is in the ledger and not in {copied}; restore it" in ended.err
    shutil.move(copied.parent / "moved", copied / "starts")
    manifest = copied / "starts" / "test" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert ledger.audit(copied) == ["starts/test is not what the ledger sealed"]


def test_a_line_of_the_ledger_cannot_be_changed_or_taken_out(copied):
    path = copied / ledger.NAME
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines) + lines[-1][:20])  # cut off while it was written
    assert len(ledger.read(copied)) == len(lines)
    for number, spoilt in (
        (3, [*lines[:2], *lines[3:]]),
        (2, [lines[0], lines[1].replace('"started"', '"removed"'), *lines[2:]]),
    ):
        path.write_text("".join(spoilt))
        with pytest.raises(RunError, match=f"line {number} of .* is not what the study wrote"):
            ledger.read(copied)


def test_another_registration_is_refused_until_it_is_amended(
    finished, copied, sigmaprop, open_gates
):
    """A hypothesis that changes after its data is DEVIATED; the others are not."""
    what = content()
    what["hypotheses"][2]["tests"][0]["high"] = 2.0
    path = write(what)
    words = ("--registration", str(path), "--run-dir", str(copied))
    ended = sigmaprop("study", *words)
    assert ended.status == 2
    assert "sigmaprop study amend" in ended.err
    ended = sigmaprop("study", "amend", *words, "--reason", "the range was too narrow")
    assert ended.status == 0
    assert "reported as DEVIATED: H8" in ended.out
    assert sigmaprop("study", *words).status == 0
    found = result(copied)
    before = {one["name"]: one for one in result(finished)["hypotheses"]}
    verdicts = {one["name"]: one["verdict"] for one in found["hypotheses"]}
    assert verdicts["H8"] == "DEVIATED"
    assert verdicts["L"] == before["L"]["verdict"]
    (amendment,) = found["amendments"]
    assert amendment["reason"] == "the range was too narrow"
    assert sigmaprop("study", "amend", *words, "--reason", "again").status == 2


def test_an_amended_block_runs_anew_and_the_old_run_is_named(copied, sigmaprop, open_gates):
    what = content()
    what["blocks"][1]["options"]["sigma_learning_rate"] = 0.9
    words = ("--registration", str(write(what)), "--run-dir", str(copied))
    assert sigmaprop("study", "amend", *words, "--reason", "too fast").status == 0
    assert sigmaprop("study", *words).status == 0
    found = result(copied)
    assert found["runs"]["superseded"] == ["starts/test"]
    assert "starts/test-2" in found["runs"]["used"]
    (one,) = (one for one in found["hypotheses"] if one["name"] == "H8")
    assert one["verdict"] == "DEVIATED"


def test_what_fails_its_gate_does_not_run(sigmaprop, monkeypatch):
    monkeypatch.setattr(gates, "compares", lambda *about: False)
    monkeypatch.setattr(
        gates,
        "admissions",
        lambda found, preset, measured: [
            gates.Admission(one, test, ("the power: too little",))
            for one, test in found.asked(preset)
        ],
    )
    words = ("--registration", str(write(content())), "--run-dir", "closed")
    ended = sigmaprop("study", "gate", *words)
    assert ended.status == 1
    assert "the power: too little" in " ".join(ended.out.split())
    assert sigmaprop("study", *words).status == 0
    assert not Path("closed", "arms").exists()
    verdicts = {one["verdict"] for one in result(Path("closed"))["hypotheses"]}
    assert verdicts == {"INADMISSIBLE"}


def test_a_metric_that_fails_its_gate_is_told_with_its_number(tmp_path):
    """One whose best scale lies at an end has no interval."""
    from sigmaprop.statistics import Interval, claim, exact
    from sigmaprop.statistics.claims import as_json

    prefers = Interval(0.5, 0.01, 0.48, 0.52)
    claims = [
        claim("ring", "preferred scale", 1.0, (0.97, 1.03), prefers),
        claim("ring", "at an end", 1.0, (0.97, 1.03), Interval(0.6, *(float("nan"),) * 3)),
        claim("ring", "least change", 0.2, (0.0, 0.2), exact(0.1)),
    ]
    (tmp_path / "conclusions.json").write_text(json.dumps([as_json(one) for one in claims]))
    told = list(gates._of_metric(gates.Measurements(tmp_path, tmp_path, tmp_path)))
    assert told == [
        "the metric's gate: preferred scale is 0.5 [0.48, 0.52]: fails",
        "the metric's gate: at an end is 0.6: not resolved",
    ]


def test_sigma_has_to_be_able_to_travel(tmp_path):
    found, _ = registration.read(write(content(), tmp_path / "study.json"))
    preset = found.preset("quick")
    block = found.block("starts")
    (test,) = found.hypotheses[2].tests
    assert not list(gates._of_travel(preset, block, test))
    slow = content()
    slow["blocks"][1]["options"]["sigma_learning_rate"] = 0.01
    found, _ = registration.read(write(slow, tmp_path / "slow.json"))
    told = list(gates._of_travel(preset, found.block("starts"), test))
    assert len(told) == 2
    assert told[0].startswith("sigma's travel: low: rate x steps is 0.3")


SPOILT = [
    (lambda what: what["hypotheses"][0]["tests"][0].update(arms=["glob"]), "unknown arm of block"),
    (lambda what: what["hypotheses"][0]["tests"][0].update(block="arm"), "unknown block"),
    (lambda what: what["blocks"][0]["arms"][3].update(frozen="globe"), "unknown arm of block"),
    (lambda what: what.update(test_seed=1), "seed 1 is of both selection and test"),
    (lambda what: what.update(baseline_seed=101), "seed 101 is of both test and baseline"),
    (lambda what: what["hypotheses"][0]["tests"][0].pop("against"), "a comparison names the arm"),
    (lambda what: what["hypotheses"][1].update(name="L"), "two hypotheses are called 'L'"),
    (lambda what: what["blocks"][0].update(preset="digit"), "block arms: there is no preset digit"),
    (lambda what: what["blocks"][0]["options"].update(step=3), "block arms: unknown option"),
    (lambda what: what["blocks"][0]["arms"][1]["options"].update(sigma=-1), "sigma is -1"),
    (lambda what: what["likelihoods"][0].update(name="arms"), "is called as a block is"),
    (lambda what: what["likelihoods"][0].update(block="arms"), "takes a block, or arms of its own"),
    (lambda what: what["likelihoods"][0].update(preset="x"), "there is no preset x of vae"),
    (lambda what: what["likelihoods"][0]["evaluate"].update(seeds=0), "seeds is 0"),
    (lambda what: what["presets"][0].update(likelihoods=["x"]), "unknown likelihood"),
    (lambda what: what.update(alpha="x"), "option alpha is 'x'; give a finite number"),
]


@pytest.mark.parametrize(("spoil", "sentence"), SPOILT, ids=[one[1] for one in SPOILT])
def test_one_sentence_about_a_registration(sigmaprop, spoil, sentence):
    what = content()
    spoil(what)
    ended = sigmaprop("study", "--registration", str(write(what)), "--run-dir", "none")
    assert (ended.status, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert sentence in line
    assert not Path("none").exists()


REFUSED = [
    ("amend", "study amend needs --run-dir and --reason WHY"),
    ("gate --minutes 3", "--minutes belongs to `sigmaprop study run`"),
    ("run --reason why", "--reason belongs to `sigmaprop study amend`"),
    ("run --minutes 0", "--minutes is 0; give a number above 0"),
    ("run --registration none.json", "none.json"),
    ("amend --run-dir none --reason why", "none holds no study"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=[one[0] for one in REFUSED])
def test_one_sentence_about_the_command(sigmaprop, words, sentence):
    ended = sigmaprop("study", *words.split())
    assert (ended.status, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert sentence in line
    assert not list(Path().iterdir())


def test_layout_is_no_part_of_a_registrations_hash(tmp_path):
    path = write(content(), tmp_path / "study.json")
    _, one = registration.read(path)
    path.write_text(json.dumps(content(), indent=3, sort_keys=True))
    assert registration.read(path)[1] == one
    what = content()
    what["margin"] = 1.2
    assert registration.read(write(what, path))[1] != one


def test_our_own_registration_and_its_forecasts(sigmaprop):
    found, _ = registration.read()
    for preset in found.presets:
        stages.checked(found, preset)
        assert {test.block for _, test in found.asked(preset)} == set(preset.blocks)
    ended = sigmaprop("study", "--dry-run")
    assert ended.status == 0
    assert ended.out.splitlines()[-1].startswith("quick: ")
    assert not list(Path().iterdir())


def test_a_registration_has_to_be_committed(tmp_path):
    import subprocess

    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    path = write(content(), tmp_path / "mine.json")
    assert gates.uncommitted(path) == ""  # no repository
    git("init")
    assert "is not committed" in gates.uncommitted(path)
    git("add", "mine.json")
    git("-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-m", "registered")
    assert gates.uncommitted(path) == ""
    path.write_text(path.read_text() + " ")
    assert "differs from the commit" in gates.uncommitted(path)
    (tmp_path / ".gitignore").write_text("other.json\n")
    other = write(content(), tmp_path / "other.json")
    assert gates.uncommitted(other) == ""  # installed within a checkout


def test_seeds_that_are_added_after_the_data_are_a_deviation(copied, sigmaprop, open_gates):
    what = content()
    what["presets"][0]["seeds"] = {"starts": 4}
    words = ("--registration", str(write(what)), "--run-dir", str(copied))
    ended = sigmaprop("study", "amend", *words, "--reason", "one more")
    assert "reported as DEVIATED: H8" in ended.out
    assert ended.out.count("DEVIATED: H8\n") == 1
