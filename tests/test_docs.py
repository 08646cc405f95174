"""Every command and Python block of the README and the pages runs as it is printed.

In an empty directory, through the installed console script, 80 columns wide, in the order of the
page. `SIGMAPROP_TINY`, which the README explains, cuts presets to seconds of work. Lines that need
a network, a GPU, the checkout or a quiet machine say so at their end and are not run here; the
parser still takes their options. Lines that would take minutes are marked as long, and run without
the sizes that they name.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sigmaprop.experiments.cli import main as program

from sigmaprop.reporting.answer.document import BEGIN, END

from .documented import PAGES, ROOT, Step, steps

SCRIPTS = Path(sys.executable).parent
RUNNING = [page for page in PAGES if any(not step.needs for step in steps(page))]
README = ROOT / "README.md"
SIZES = re.compile(
    r"\s--(steps|seeds|num-temperatures|num-examples|importance-samples|refit-examples)\s+\d+"
)
"""Options that a line marked "long" runs without."""


def environment() -> dict[str, str]:
    own = {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    return os.environ | own | {"SIGMAPROP_TINY": "1"}


def run(command: list[str], directory: Path) -> str:
    """What a command prints; it must end well, and without a traceback on the way."""
    ended = subprocess.run(
        command,
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
        stdin=subprocess.DEVNULL,
    )
    text = f"{shlex.join(command)}\n{ended.stdout}\n{ended.stderr}"
    assert ended.returncode == 0, text
    assert "Traceback" not in ended.stderr, text
    return ended.stdout


def shortened(text: str) -> str:
    """A command without the sizes that make it long, so that those of `SIGMAPROP_TINY` hold."""
    return SIZES.sub(" ", text)


def perform(step: Step, before: str, directory: Path) -> None:
    """One step; the Python blocks of a page go on from one another."""
    if step.kind == "sh":
        run(["bash", "-euo", "pipefail", "-c", step.text], directory)
    else:
        run([str(SCRIPTS / "python"), "-W", "error", "-c", before + step.text], directory)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.stem)
def test_every_line_of_a_page_runs_as_printed(page, tmp_path):
    python = ""
    for step in steps(page):
        if step.needs == "long":
            perform(step._replace(text=shortened(step.text)), python, tmp_path)
        elif not step.needs:
            perform(step, python, tmp_path)
            python += step.text if step.kind == "python" else ""


def test_the_commands_that_people_type_first_take_relative_paths(tmp_path):
    """The main road: measure, train, go on, report, repeat, advise; and a run that has moved."""
    tiny = "--objective quartic --dim 2 --num-samples 256 --sigmas 1 .1 --estimators pathwise"
    trained = "--steps 20 --seeds 1 --gap-evaluations 0 --evaluations 1 --sweep.arm zero global"
    trained += " --eval-samples 32"
    lines = (
        f"sigmaprop limit {tiny} --run-dir runs/limit",
        f"sigmaprop gan {trained}",
        "sigmaprop report runs/limit",
        "mkdir elsewhere; mv runs/gan-* elsewhere/moved",
        "cd elsewhere; sigmaprop resume moved",
        "cd elsewhere; sigmaprop replay moved --run-dir again",
        "sigmaprop advise --objective sine --dim 2 --scale 0.1",
    )
    out = [run(["bash", "-euc", line], tmp_path) for line in lines]
    assert "report:  runs/limit/report.html" in out[0]
    assert re.search(r"report:  runs/gan-[^/]*/report.html", out[1])
    assert "report: runs/limit/report.html" in out[2]
    assert "complete already" in out[4]
    assert "identical" in out[5]
    assert "Use: sigmaprop.estimate(" in out[6]
    assert (tmp_path / "runs" / "limit" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_known_to_the_parser(page):
    """Marked lines too, and what stands in running text."""
    text = page.read_text()
    commands = [step.text for step in steps(page) if step.kind == "sh"]
    commands += re.findall(r"`(sigmaprop [^`]*)`", text)
    for command in commands:
        for name, *rest in _sigmaprop_words(command):
            if name.startswith("-") or name.isupper():  # --version; COMMAND
                continue
            assert name in program.COMMANDS, command
            program.check(name, [word for word in rest if word != "--help"])


def _sigmaprop_words(command: str) -> list[list[str]]:
    """The words after `sigmaprop` of every simple command that calls it."""
    found = []
    for line in command.replace("\\\n", " ").splitlines():
        words = shlex.split(line.replace("…", "").partition(" > ")[0], comments=True)
        if words and words[0] == "sigmaprop" and len(words) > 1:
            found.append(words[1:])
    return found


def test_marks_are_only_on_lines_that_need_them():
    """A line that carries a mark says so for a reason."""
    marked = [step for page in PAGES for step in steps(page) if step.needs]
    reasons = {
        "network": (
            "pip install",
            "data prepare",
            "make",
            "--preset fashion",
            "--preset r3_fashion",
            "goodfellow2014",
            "mnist",
        ),
        "gpu": ("cuda", "tpu", "gpu"),
        "checkout": ("make", "bash .ci/run", "pip install", "pre-commit"),
        "long": ("--steps", "--num-temperatures", "--num-examples"),
        "quiet": ("bench", "results"),
    }
    for step in marked:
        assert any(reason in step.text for reason in reasons[step.needs]), step.text


def test_figures_and_pages_that_are_linked_exist():
    for page in PAGES:
        for path in re.findall(r"\]\(([A-Za-z.][^)#:]*)\)", page.read_text()):
            assert (page.parent / path).exists(), f"{page.name}: {path}"


def test_the_readme_explains_how_its_lines_are_made_small():
    assert "SIGMAPROP_TINY=1" in README.read_text()


def test_the_readme_is_short():
    """What commands write into it aside, the answer and the table of speed: each has a bound."""
    before, _, rest = README.read_text().partition(BEGIN)
    answer, _, after = rest.partition(END)
    own, _, rest = after.partition("<!-- speed: first -->")
    speed, _, after = rest.partition("<!-- end of speed -->")
    assert len((before + own + after).encode()) < 7600
    assert len(answer.encode()) < 2600
    assert len(speed.encode()) < 1200


def test_every_page_is_linked_from_the_readme_or_from_a_page_that_it_links():
    def links(page):
        found = re.findall(r"\]\(([A-Za-z.][^)#:]*\.md)\)", page.read_text())
        return {(page.parent / path).resolve() for path in found}

    near = links(README)
    reached = near | {path for page in near for path in links(page)}
    pages = {page for page in PAGES if page != README and "design" not in page.parts}
    assert {page.resolve() for page in pages} <= reached


def test_prose_is_wrapped():
    """Tables and code may be wide, and a line that is one long link."""
    for page in PAGES:
        code = False
        for line in page.read_text().splitlines():
            code ^= line.startswith("```")
            free = code or line.startswith(("|", "    ", "```", "!["))
            assert free or len(line) <= 100 or "design" in page.parts, f"{page.name}: {line}"


def test_the_afternoon_is_twelve_files_of_fewer_than_3000_lines():
    page = (ROOT / "docs" / "reading.md").read_text()
    files = [ROOT / path for path in re.findall(r"^\| \d+ \| `([^`]+)` \|", page, re.MULTILINE)]
    assert len(files) == len(set(files)) == 12
    assert sum(len(path.read_text().splitlines()) for path in files) < 3000
