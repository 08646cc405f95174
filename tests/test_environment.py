"""The environment of a run: what it holds, and how differences read."""

import json
import shutil
import subprocess

import pytest

from sigmaprop import environment as environments


def test_the_environment_holds_what_the_bits_depend_on(monkeypatch):
    environments.environment(3)  # XLA reads its flags once, and ends the process at a dummy
    monkeypatch.setenv("XLA_FLAGS", "--xla_dummy")
    monkeypatch.setenv("JAX_DUMMY", "1")
    found = environments.environment(3)
    assert json.loads(json.dumps(found)) == found
    assert found["seed"] == 3
    assert found["flags"] == {**found["flags"], "XLA_FLAGS": "--xla_dummy", "JAX_DUMMY": "1"}
    assert all(
        found["versions"][name] for name in ("python", "jax", "jaxlib", "numpy", "sigmaprop")
    )
    assert set(found["device"]) == {"backend", "kind", "count"}
    assert found["device"]["count"] >= 1
    assert found["cpu"]["model"]
    assert found["cpu"]["cores"] >= 1
    assert found["x64"] in (False, True)
    assert environments.environment_differences(found, found) == []


def test_differences_come_most_important_first():
    a = environments.environment(0)
    b = json.loads(json.dumps(a)) | {"seed": 1, "argv": [], "x64": not a["x64"]}
    b["device"] |= {"kind": "NVIDIA H200", "count": 8}
    b["versions"] |= {"jax": "9.9", "jaxlib": "9.8", "python": "4.0"}
    b["flags"] = {"XLA_FLAGS": "--fast", "JAX_COMPILATION_CACHE_DIR": "/cache"}
    b["git"] = {"commit": "f" * 40, "dirty": True}
    sentences = environments.environment_differences(a | {"flags": {}}, b)
    starts = "device kind", "device count", "jax", "jaxlib", "python", "x64", "XLA", "the checkout"
    assert len(sentences) == len(starts)
    for sentence, start in zip(sentences, starts, strict=True):
        assert sentence.startswith(start)
    assert sentences[2] == f"jax was {a['versions']['jax']} and is now 9.9"
    assert sentences[6] == "XLA_FLAGS was unset and is now --fast"
    assert sentences[7].endswith(f"{'f' * 40} with uncommitted changes")
    assert environments.environment_differences({}, a)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_only_a_checkout_that_tracks_the_package_gives_a_commit(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, "-C", tmp_path, *arguments], check=True)

    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    assert environments._git(package) is None
    git("init", "-q")
    assert environments._git(package) is None
    git("add", ".")
    git("commit", "-q", "-m", "first", "--no-verify")
    found = environments._git(package)
    assert found is not None
    assert len(found["commit"]) == 40
    assert found["dirty"] is False
    (package / "__init__.py").write_text("x = 1")
    assert environments._git(package) == found | {"dirty": True}
