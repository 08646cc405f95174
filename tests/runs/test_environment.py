"""The environment of a run: what it holds, and how differences read."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sigmaprop.runs import environment as environments


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ada/.cache/xla", "~/.cache/xla"),
        ("/home/ada", "~"),
        ("--xla_dump_to=/root/dump --other=/Users/ada/x", "--xla_dump_to=~/dump --other=~/x"),
        ("/opt/ada/a:/opt/ada/b:/opt/adam", "~/a:~/b:/opt/adam"),
        ("/rooted/x /mnt/root/x /mnt/home/ada/x", "/rooted/x /mnt/root/x /mnt/home/ada/x"),
        ("/tmp/run", "/tmp/run"),
        ('{"dir": "/root"}', '{"dir": "~"}'),
    ],
)
def test_home_directories_are_told_as_a_tilde(monkeypatch, text, expected):
    monkeypatch.setenv("HOME", "/opt/ada")
    assert environments.without_home({"a": [text, 1, None]}) == {"a": [expected, 1, None]}


@pytest.mark.parametrize("home", ["/", ""])
def test_a_home_at_the_root_hides_nothing(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    assert environments.without_home("/usr/lib") == "/usr/lib"


def test_no_home_is_recorded_or_told(monkeypatch):
    found = environments.environment(3)
    monkeypatch.setenv("HOME", "/opt/ada")
    monkeypatch.setattr(sys, "argv", ["/opt/ada/bin/sigmaprop", "limit"])
    monkeypatch.setenv("JAX_DUMMY", "/opt/ada/x")
    here = environments.environment(3)
    assert here["argv"] == ["~/bin/sigmaprop", "limit"]
    assert here["flags"]["JAX_DUMMY"] == "~/x"
    older = here | {"flags": here["flags"] | {"JAX_DUMMY": "/opt/ada/x"}}
    assert environments.environment_differences(older, here) == []
    assert "JAX_DUMMY was unset and is now ~/x" in environments.environment_differences(found, here)


def test_odd_records_differ_and_do_not_fail():
    here = environments.environment(3)
    assert environments.environment_differences({"device": 7, "flags": [1], "git": "x"}, here)


def test_nothing_committed_holds_the_path_of_a_machine():
    root = Path(__file__).resolve().parents[2]
    known = (".json", ".md", ".html", ".txt", ".svg", ".csv", ".toml", ".py")
    paths = [p for top in ("results", "docs") for p in (root / top).rglob("*") if p.is_file()]
    texts = [path for path in (*paths, root / "README.md") if path.suffix in known]
    if not (root / "results").is_dir() or not texts:
        pytest.skip("the tests of an installed package have no results beside them")
    path = re.compile(r"(?<![\w.~/-])/(?:root|home|Users)(?![\w-])")
    found = [p.name for p in texts if path.search(p.read_text(encoding="utf-8"))]
    assert found == []


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
