"""`sigmaprop doctor`: what it finds, and what it advises."""

import math
import os

import pytest
from sigmaprop.experiments.cli import doctor

GIB = 2**30


@pytest.fixture
def healthy(tmp_path) -> doctor.Machine:
    folder = doctor.Folder(tmp_path, True, None, 0, 100 * GIB)
    return doctor.Machine(
        versions={"jax": "0.10.2"},
        devices=["cpu"] * 4,
        platform="cpu",
        nvidia=[],
        flags={},
        cpu="a CPU",
        cores=4,
        usable=4,
        quota=math.inf,
        load=0.1,
        memory=16 * GIB,
        available=8 * GIB,
        compiled=folder,
        cached=folder,
        runs=folder,
    )


def test_it_prints_what_there_is(sigmaprop, tmp_path):
    ended = sigmaprop("doctor")
    assert ended.status == 0
    for name in ("python", "jax", "devices", "cpu", "load", "memory", "float64", "runs", "speed"):
        assert f"\n{name} " in f"\n{ended.out}"
    assert "ns a normal" in ended.out
    assert "XLA_FLAGS=" in ended.out
    assert "\n- " in ended.out
    assert os.listdir(tmp_path) == []


def test_a_healthy_machine_needs_no_advice(healthy):
    assert list(doctor.advise(healthy)) == []


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"nvidia": ["NVIDIA H100"]}, "`pip install 'jax[cuda13]'`"),
        ({"load": 9.0}, "timings are unreliable"),
        ({"usable": 2}, "may use 2 of 4 cores"),
        ({"quota": 1.5}, "the time of 1.5 cores on 4"),
        ({"devices": ["cpu"]}, "--xla_force_host_platform_device_count"),
        ({"available": GIB}, "lower --chunk or --dim"),
        ({"compiled": None}, "every start compiles anew"),
    ],
)
def test_each_limit_has_its_advice(healthy, change, advice):
    (sentence,) = doctor.advise(healthy._replace(**change))
    assert advice in sentence


@pytest.mark.parametrize("name", ["compiled", "cached", "runs"])
def test_a_folder_that_cannot_be_written_is_named(healthy, tmp_path, name):
    broken = healthy.runs._replace(problem="no permission")
    (sentence,) = doctor.advise(healthy._replace(**{name: broken}))
    assert f"{tmp_path} cannot be written (no permission)" in sentence


def test_full_disks_and_large_caches_are_named(healthy):
    full = healthy._replace(runs=healthy.runs._replace(free=0))
    assert "make room" in next(doctor.advise(full))
    large = healthy._replace(compiled=healthy.runs._replace(size=3 * GIB))
    assert "you may delete it" in next(doctor.advise(large))


def test_a_folder_is_described_without_being_made(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert doctor.folder(tmp_path).size == 5
    assert (
        doctor.folder(tmp_path / "file" / "below").problem == f"{tmp_path / 'file'} is no directory"
    )
    missing = doctor.folder(tmp_path / "a" / "b")
    assert (missing.exists, missing.problem) == (False, None)
    assert os.listdir(tmp_path) == ["file"]
