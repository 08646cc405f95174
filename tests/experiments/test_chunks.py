"""`--replica-chunk auto`: what is chosen, beside a count by hand; what a run keeps of it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import pytest
from sigmaprop.experiments.cli import launch
from sigmaprop.experiments.cli.main import main
from sigmaprop.experiments.gan.config import GanConfig
from sigmaprop.experiments.terminal import Terminal
from sigmaprop.experiments.training import chunks, loop
from sigmaprop.experiments.vae import ahead, train
from sigmaprop.experiments.vae import run as vae
from sigmaprop.experiments.vae.config import VaeConfig, VaeSweep
from sigmaprop.experiments.vae.plan import prepare

from sigmaprop import runs

CONFIG = VaeConfig(
    **{"dataset": "ring", "steps": 20, "seeds": 3, "metrics_every": 10, "arm": "fixed"},
    **{"latent_dim": 2, "batch_size": 64, "widths": (32,), "encoder_widths": (32,)},
    **{"evaluations": 1, "eval_draws": 2, "eval_examples": 8, "checkpoint_seconds": 1e-3},
    sweep=VaeSweep(),
    replica_chunk="auto",
)
SIZES = (2, 3)
"""A power of two, and all three replicas of the one device."""


class Told(loop.Silent):
    """Progress that keeps its sentences."""

    def __init__(self):
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        """Keeps it."""
        self.said.append(sentence)


@pytest.fixture(scope="module")
def one_device():
    """One device, whose memory a test may set: ``[bytes_limit]``, None where it does not tell."""
    limit: list[Any] = [None]

    class Device:
        platform = "gpu"

        def memory_stats(self) -> dict[str, Any] | None:
            return None if limit[0] is None else {"bytes_limit": limit[0], "bytes_in_use": 1000}

    real = jax.local_devices
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chunks, "room_of", lambda device, of=chunks.room_of: of(Device()))
        patched.setattr(jax, "local_devices", lambda *a, **k: real(*a, **k)[:1])
        yield limit


@pytest.fixture(scope="module")
def needs(one_device) -> dict[int, int]:
    """Bytes of the program of steps with real arrays, for each size, as its compiler counts."""
    plan, found = prepare(CONFIG), {}
    for chunk in SIZES:
        own = dataclasses.replace(CONFIG, replica_chunk=chunk)
        work = train.job(own, plan, 0, loop.Silent())
        state = work.engine.init(work.hypers)
        made = work.engine.run.lower(state, work.hypers, work.data, 0, 20).compile()
        size = made.memory_analysis()
        kept = size.output_size_in_bytes - size.alias_size_in_bytes + size.temp_size_in_bytes
        code = size.generated_code_size_in_bytes
        found[chunk] = size.argument_size_in_bytes + kept + code
    return found


def test_what_is_chosen_by_agrees_with_the_programs_that_run(one_device, needs):
    """Described or with arrays; what the steps leave out of their arguments is under 1%."""
    plan = prepare(CONFIG)
    for chunk in SIZES:
        own = dataclasses.replace(CONFIG, replica_chunk=chunk)
        found = chunks.need(ahead.programs(own, plan, jax.local_devices()))
        assert found.name == "steps"
        assert found.total == pytest.approx(needs[chunk], rel=0.01)
    assert sorted(needs.values()) == list(needs.values())


def test_where_nothing_fits_one_is_tried():
    found = chunks.choose(64, 5.0, lambda size: chunks.Need(10.0 * size, 1.0, "steps"), "gpu")
    assert found.chunk == 1
    assert "even so its program (steps) would take" in found.why


@pytest.mark.parametrize("whole", [1, 2, 3, 8, 40, 1024])
@pytest.mark.parametrize("room", [1, 50, 111, 400, 5000, 10**6])
def test_the_search_finds_what_a_list_of_all_sizes_says(whole: int, room: int):
    """Needs that grow with the size; of those in proportion three at most are asked for."""
    for need in (lambda n: 10 + 30 * n, lambda n: 10 + n * n, lambda n: 100 + 3 * n + n**0.5):
        asked: list[int] = []
        most = 3 if need(2) == 70 else 11

        def told(size: int, need=need, asked=asked) -> chunks.Need:
            asked.append(size)
            return chunks.Need(need(size), 10.0, "steps")

        sizes = {whole, *(2**n for n in range(11) if 2**n < whole)}
        expected = max((size for size in sizes if need(size) <= room), default=1)
        assert chunks.choose(whole, room, told, "gpu").chunk == expected
        assert len(asked) == len(set(asked)) <= most


def test_a_program_that_the_compiler_refuses_does_not_fit():
    def need(size: int) -> chunks.Need:
        return chunks.Need(float("inf") if size > 8 else 1.0, 0.0, "steps")

    found = chunks.choose(64, 100.0, need, "tpu")
    assert found.chunk == 8
    assert "with 16 at a time more than the compiler lays out" in found.why


def test_a_device_that_does_not_tell_its_memory_gets_one(one_device):
    one_device[0] = None
    assert chunks.room_of(jax.local_devices()[0]) is None
    found = chunks.choose(8, None, lambda size: pytest.fail("compiled"), "cpu")
    assert found.chunk == 1
    assert "as without it" in found.why


def finished(config: Any, run_dir: Path) -> tuple[runs.Finished, dict[str, Any]]:
    launch.carry_out(vae.EXPERIMENT, config, run_dir, Terminal())
    record = json.loads((run_dir / chunks.NAME).read_text())
    return runs.load(run_dir, VaeConfig, command="vae"), record["groups"]["0"]


@pytest.mark.slow
def test_a_run_keeps_what_was_chosen(one_device, needs, tmp_path, capsys):
    """It has the bits of that number, resumes and repeats with it whatever the memory is then."""
    one_device[0] = 1000 + (needs[2] + needs[3]) / 2 / chunks.SHARE
    found, record = finished(CONFIG, tmp_path / "auto")
    assert record["replica_chunk"] == 2
    assert record["why"] in capsys.readouterr().out
    assert found.config.replica_chunk == "auto"
    manifest = json.loads((tmp_path / "auto/manifest.json").read_text())
    assert chunks.NAME in json.dumps(manifest)
    given = dataclasses.replace(CONFIG, replica_chunk=2)
    launch.carry_out(vae.EXPERIMENT, given, tmp_path / "given", Terminal())
    two = runs.load(tmp_path / "given", VaeConfig, command="vae")
    keys = list(vae.EXPERIMENT.keys)
    assert not runs.compare_tables(found.metrics, two.metrics, keys=keys)

    one_device[0] = None  # on a machine that says nothing, where 1 would be chosen anew
    assert launch.replay(vae.EXPERIMENT, tmp_path / "auto", tmp_path / "again") == 0
    again = json.loads((tmp_path / "again" / chunks.NAME).read_text())
    assert again["groups"]["0"] == record


def test_a_run_that_goes_on_takes_what_stands_there(one_device, tmp_path):
    plan = prepare(CONFIG)
    one_device[0] = 1e12
    with runs.create(tmp_path / "run", "vae", CONFIG) as run:
        first = chunks.settled(CONFIG, plan, 0, ahead.programs, run, Told())
        one_device[0] = None
        told = Told()
        again = chunks.settled(CONFIG, plan, 0, ahead.programs, run, told)
        assert first.replica_chunk == again.replica_chunk == 3
        assert told.said == []
        (tmp_path / "run" / chunks.NAME).write_text('{"groups": {"0": {"replica_chunk": "2"}}}')
        with pytest.raises(runs.RunError, match="does not say how many"):
            chunks.settled(CONFIG, plan, 0, ahead.programs, run, told)


def test_it_stands_beside_numbers_in_a_config():
    for kind in (GanConfig, VaeConfig):
        assert kind(replica_chunk="auto").replica_chunk == "auto"
        with pytest.raises(ValueError, match="--replica-chunk is 0"):
            kind(replica_chunk=0)
        with pytest.raises(ValueError, match="auto and --deterministic exclude each other"):
            kind(replica_chunk="auto", deterministic=True)


@pytest.mark.parametrize("word", ["automatic", "0.5", "-"])
def test_other_words_are_refused(word: str, capsys):
    with pytest.raises(SystemExit) as left:
        main(["gan", "--replica-chunk", word])
    assert left.value.code == 2
    assert "--replica-chunk" in capsys.readouterr().err


@pytest.mark.slow
def test_compile_chooses_for_the_memory_of_a_target_file(tmp_path, capsys):
    small = ["--dataset", "ring", "--arm", "fixed", "--widths", "32", "--encoder-widths", "32"]
    small += ["--seeds", "16", "--batch-size", "64", "--replica-chunk", "auto", "--steps", "20"]
    small += ["--latent-dim", "2", "--data.dequantise", "False"]
    target = tmp_path / "small.json"
    content = {"like": "cpu", "name": "small", "memory": 2e9 * jax.local_device_count()}
    target.write_text(json.dumps(content))
    with pytest.raises(SystemExit) as left:
        main(["compile", "vae", *small, "--target", str(target), "--steps-only"])
    out = capsys.readouterr()
    assert left.value.code == 0, out.err
    assert "replicas at a time: the largest program (steps) takes" in out.out
