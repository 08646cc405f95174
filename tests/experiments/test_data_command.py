"""`sigmaprop data`: what it lists and what it prepares."""

from pathlib import Path

import numpy as np
import pytest
from sigmaprop.experiments.cli import data as command

from sigmaprop.data import prepare, store
from sigmaprop.data.options import CATALOGUE, EMBEDDED
from sigmaprop.runs.files import RunError

PREPARED = store.Prepared(np.zeros((8, 2, 2, 1), np.uint8), np.zeros(8, np.int32), 6)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SIGMAPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "cache"


def test_every_set_is_listed_with_its_state(cache, capsys):
    store.write("mnist", PREPARED)
    store.write("emnist/letters", PREPARED)
    assert command.show() == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    for name, entry in CATALOGUE.items():
        state = "embedded" if name in EMBEDDED else "not prepared"
        assert lines[name].rstrip().endswith("prepared" if name == "mnist" else state)
        assert " x ".join(map(str, entry.shape)) in lines[name]
        assert f"{entry.rows[0]:,}" in lines[name]
    assert "not" not in lines["mnist"]
    assert f"{cache / 'datasets' / 'mnist.npz'}: 0.0 MiB\n" in out
    assert f"{cache / 'datasets' / 'emnist-letters.npz'}: 0.0 MiB (not listed above)" in out
    assert "sigmaprop data prepare NAME" in out


def test_listing_makes_no_folder(cache):
    assert command.show() == 0
    assert not cache.exists()


def test_preparing_says_what_it_wrote_and_how_to_use_it(cache, tmp_path, monkeypatch, capsys):
    def write(name: str, source: Path | None, directory: Path | None) -> Path:
        return store.write(name, PREPARED, directory)

    monkeypatch.setattr(prepare, "prepare", write)
    out = tmp_path / "elsewhere"
    assert command.prepare("kmnist", tmp_path, out) == 0
    printed = capsys.readouterr().out
    assert f"preparing kmnist from {tmp_path}" in printed
    assert f"kmnist: 8 images, 0.0 MiB in {out / 'datasets' / 'kmnist.npz'}" in printed
    assert f"set SIGMAPROP_CACHE={out}" in printed
    assert command.prepare("kmnist", None, None) == 0
    printed = capsys.readouterr().out
    assert "from the network" in printed
    assert "SIGMAPROP_CACHE" not in printed


@pytest.mark.parametrize("name", ["ring", "no such set"])
def test_a_refusal_is_a_users_error(cache, name):
    with pytest.raises(RunError):
        command.prepare(name, None, None)
