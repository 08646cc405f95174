"""Compare a built wheel with the sources: all of the package, byte for byte, and nothing else.

Usage: python .ci/check_wheel.py dist/sigmaprop-*.whl
"""

import email
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Where each installed package comes from; lib/sigmaprop/experiments must not exist beside it.
SOURCES = {"sigmaprop": ROOT / "lib/sigmaprop", "sigmaprop/experiments": ROOT / "experiments"}
CONSOLE_SCRIPT = "sigmaprop = sigmaprop.experiments.__main__:main"
# Without these the comparison could pass on an empty tree.
LANDMARKS = ["sigmaprop/__init__.py", "sigmaprop/py.typed", "sigmaprop/experiments/__main__.py"]


def expected_files() -> dict[str, Path]:
    """Installed name -> source file, for every file under lib/sigmaprop and experiments."""
    return {
        f"{package}/{path.relative_to(folder).as_posix()}": path
        for package, folder in SOURCES.items()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


def problems(wheel: Path) -> list[str]:
    """What is wrong with this wheel, one sentence each."""
    expected = expected_files()
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    info = {n: data for n, data in contents.items() if n.split("/")[0].endswith(".dist-info")}
    shipped = contents.keys() - info.keys()

    def metadata(name: str) -> str:
        return next((data.decode() for n, data in info.items() if n.endswith(f"/{name}")), "")

    found = [f"{name} is not in the wheel" for name in sorted(expected.keys() - shipped)]
    surplus = sorted(shipped - expected.keys())
    found += [f"{name} is in the wheel and not in the sources" for name in surplus]
    found += [
        f"{name} differs from {expected[name].relative_to(ROOT)}"
        for name in sorted(shipped & expected.keys())
        if contents[name] != expected[name].read_bytes()
    ]
    found += [f"{name} is missing" for name in LANDMARKS if name not in shipped]
    if CONSOLE_SCRIPT not in metadata("entry_points.txt").splitlines():
        found.append(f"the console script '{CONSOLE_SCRIPT}' is missing")
    if not metadata("LICENSE"):
        found.append("LICENSE is missing")
    requirements = email.message_from_string(metadata("METADATA")).get_all("Requires-Dist") or []
    found += [f"the requirement '{line}' is an address" for line in requirements if "://" in line]
    return found


def main() -> int:
    """Check the wheels named on the command line."""
    wheels = [Path(name) for name in sys.argv[1:]]
    if len(wheels) != 1:
        print(f"name one wheel, not {len(wheels)}: python .ci/check_wheel.py dist/NAME.whl")
        return 2
    found = problems(wheels[0])
    for line in found:
        print(f"{wheels[0].name}: {line}")
    if not found:
        print(f"{wheels[0].name}: complete, {len(expected_files())} files, nothing else")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
