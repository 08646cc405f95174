"""The metadata agrees with the tree: packages, constraints, extras, README."""

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

import sigmaprop

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
PYTHONS = ["3.11", "3.12", "3.13"]
# Not pinned: JAX's own accelerator extras, and peers (requirements.in says why).
PINNED_EXTRAS = ["dev", "prepare"]


def constraint_lines() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def linux(python: str) -> dict[str, str]:
    environment = {key: str(value) for key, value in default_environment().items()}
    return environment | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "extra": "",
    }


def pins(python: str) -> dict[str, str]:
    """Name -> version of what constraints.txt allows on Linux with this Python."""
    found: dict[str, str] = {}
    for requirement in map(Requirement, constraint_lines()):
        if requirement.marker is None or requirement.marker.evaluate(linux(python)):
            assert requirement.name not in found, f"{requirement.name} is pinned twice on {python}"
            (specifier,) = requirement.specifier
            found[requirement.name] = specifier.version
    return found


def packages_in(folder: Path, name: str) -> set[str]:
    """The packages that the folders holding Python files make."""
    return {
        ".".join([name, *path.parent.relative_to(folder).parts]) for path in folder.rglob("*.py")
    }


def test_every_package_is_listed():
    found = packages_in(ROOT / "lib/sigmaprop", "sigmaprop")
    found |= packages_in(ROOT / "experiments", "sigmaprop.experiments")
    assert sorted(SETUPTOOLS["packages"]) == sorted(found)


def test_every_package_has_an_init():
    folders = {path.parent for path in (ROOT / "lib/sigmaprop").rglob("*.py")}
    folders |= {path.parent for path in (ROOT / "experiments").rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_experiments_live_in_one_place():
    assert SETUPTOOLS["package-dir"]["sigmaprop.experiments"] == "experiments"
    assert not (ROOT / "lib/sigmaprop/experiments").exists()


def test_package_data_covers_every_other_file():
    package = ROOT / "lib/sigmaprop"
    names = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"} and not path.name.startswith(".")
    ]
    patterns = [pattern.removeprefix("**/") for pattern in SETUPTOOLS["package-data"]["sigmaprop"]]
    assert "py.typed" in names
    assert not [n for n in names if not any(fnmatch.fnmatch(n, p) for p in patterns)]


def test_data_of_experiments_is_that_of_their_packages():
    """The patterns of the library do not reach them: another directory."""
    root, data = ROOT / "experiments", SETUPTOOLS["package-data"]
    found = [path for path in root.rglob("*") if path.is_file() and path.suffix == ".json"]
    assert found
    for path in found:
        package = ".".join(("sigmaprop.experiments", *path.parent.relative_to(root).parts))
        assert any(fnmatch.fnmatch(path.name, one) for one in data.get(package, ())), path


def test_constraints_name_versions_and_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert " @ " not in text
    pin = re.compile(r"[a-z0-9-]+==[0-9][\w.]*( ;|$)")
    assert not [line for line in constraint_lines() if not pin.match(line)]


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_satisfy_the_requirements(python):
    pinned = pins(python)
    requirements = list(PROJECT["project"]["dependencies"])
    for extra in PINNED_EXTRAS:
        requirements += PROJECT["project"]["optional-dependencies"][extra]
    for requirement in map(Requirement, requirements):
        name = requirement.name.lower().replace("_", "-")
        assert name in pinned, f"run `make constraints`: {name} has no pin on Python {python}"
        assert requirement.specifier.contains(pinned[name])


def test_constraints_hold_jax_back_on_the_oldest_python_only():
    assert pins("3.11")["jax"].startswith("0.10.")
    assert pins("3.12")["jax"] == pins("3.13")["jax"] != pins("3.11")["jax"]
    for python in PYTHONS:
        assert pins(python)["jax"] == pins(python)["jaxlib"]


def test_extras_and_entry_point():
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    expected = {"cuda12", "cuda13", "tpu", "prepare", "tensorboard", "peers", "dev"}
    expected |= {"aot-cuda", "aot-tpu", "launcher"}
    assert expected == extras.keys()
    for name in ["cuda12", "cuda13", "tpu"]:
        assert extras[name] == [f"jax[{name}]"]
    assert project["scripts"] == {"sigmaprop": "sigmaprop.experiments.__main__:main"}
    names = {Requirement(line).name for line in project["dependencies"]}
    assert {"jax", "flax", "optax", "chex", "tensorflow-datasets"} <= names
    assert not names & {"torch", "tensorflow", "tensorflow-cpu"}


def test_version():
    version = getattr(sigmaprop, "__version__", None)
    if version is None:
        pytest.skip("sigmaprop does not define __version__")
    assert version == PROJECT["project"]["version"]


def test_no_top_level_experiments_outside_the_checkout(tmp_path):
    script = "import importlib.util; print(importlib.util.find_spec('experiments'))"
    command = [sys.executable, "-I", "-c", script]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "None"


def test_readme_names_targets_that_exist():
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", " ".join(re.findall(r"`[^`]+`", readme))))
    named |= set(re.findall(r"^(?:\$ )?make ([a-z][a-z-]*)", readme, re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= targets
