"""The answer follows from the study: every verdict has its words, every number its source."""

import json
import re
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from scipy import stats
from sigmaprop.experiments.study import answer, ledger

from sigmaprop.reporting.answer import advice, document, figures, findings, markdown, sentences
from sigmaprop.runs.files import RunError

from . import made_up_study

ROOT = Path(__file__).resolve().parents[2]
DRAWING = re.compile(r"<svg.*?</svg>", re.DOTALL)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with every verdict."""
    return made_up_study.write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def found(study):
    return answer.read(study, ROOT / answer.LIMIT)


@pytest.fixture(scope="module")
def made(found):
    return document.document(found, ROOT)


def drawn_as_pinned() -> bool:
    """Whether this matplotlib is the one that the committed figures were drawn with."""
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    return f"matplotlib=={matplotlib.__version__}" in pins


def old(root: Path) -> list[str]:
    """The files that are not what the results below a checkout give.

    Drawings are compared where matplotlib is the pinned one, their numbers everywhere.
    """
    found = []
    for path, text in answer.make(root, root / answer.RESULTS).files().items():
        committed = (root / path).read_text(encoding="utf-8")
        if not drawn_as_pinned():
            committed, text = (DRAWING.sub("", one) for one in (committed, text))
        if committed != text:
            found.append(path)
    return found


def test_the_pages_are_current():
    if not (ROOT / "docs/answer.md").exists():
        pytest.skip("there is no answer yet")
    assert old(ROOT) == [], "run `make answer`"


def test_a_page_that_is_old_is_noticed(tmp_path):
    kept = ("README.md", answer.LIMIT, *(f"docs/figures/{name}" for name in document.PICTURES))
    for name in kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    made_up_study.write(tmp_path / answer.RESULTS)
    answer.write(answer.make(tmp_path, tmp_path / answer.RESULTS), tmp_path)
    assert old(tmp_path) == []
    page = tmp_path / "docs/answer.md"
    page.write_text(page.read_text().replace("MMD² 0.", "MMD² 1.", 1))
    assert old(tmp_path) == ["docs/answer.md"]


def test_the_readme_has_the_place_of_the_answer(found):
    text = (ROOT / "README.md").read_text()
    with_answer = document.readme(text, found)
    assert document.readme(with_answer, found) == with_answer
    for wrong in (text.replace(document.END, ""), text + document.BEGIN):
        with pytest.raises(ValueError, match=r"README\.md needs the lines"):
            document.readme(wrong, found)


def test_the_same_study_gives_the_same_bytes(found, made):
    assert document.document(found, ROOT) == made


def test_every_hypothesis_test_and_run_is_told(study, found, made):
    for text in (made.markdown, made.html):
        for one in found.hypotheses:
            assert one.name in text
            assert one.verdict in text
        for line in ledger.of(ledger.read(study), "started"):
            assert line["run"] in text
        for block in found.blocks:
            for arm in block.arms:
                assert arm.name in text
        assert "The rate of sigma was too small for its way." in text
        assert "margin: 1.3 → 1.15" in text
    assert "nan" not in re.sub(r"\w*nan\w+|\w+nan\w*", "", made.markdown)
    assert "None" not in made.markdown


def test_likelihoods_are_told_where_there_is_a_density(found, made):
    for one in found.result["likelihoods"]:
        _, _, section = made.markdown.partition(f"\n{one['name']}: ")
        rows = {line.split(" | ")[0]: line for line in section.splitlines()[:9] if line}
        trained, gap = rows["| zero"].split(" | ")[1:3]
        assert (trained, gap) == ("none", "–")
        assert "-3000 [" in rows["| global"].replace("−", "-").replace(",", "")
    assert "Likelihood was not compared" not in made.markdown
    without = document.document(found._replace(result=found.result | {"likelihoods": []}), ROOT)
    assert "Likelihood was not compared" in without.markdown


def test_what_limits_the_answer_is_counted(found, made):
    """Sigmas that still fell, tests of other presets, and the registration that came first."""
    learned = [arm for one in found.blocks if one.of_samples for arm in one.arms if arm.learns]
    falling = [arm for arm in learned if arm.moves == "falling"]
    text = " ".join(made.markdown.split())
    if falling:
        assert (
            f"Of {len(learned)} learned sigmas of samples {len(falling)} were still falling" in text
        )
    tests = [test for one in found.registration["hypotheses"] for test in one["tests"]]
    left = [test for test in tests if test["block"] not in found.preset["blocks"]]
    assert left
    assert f"does not run were not asked ({len(left)}, on ring_arms, " in text
    assert f"registration-{'1' * 12}.json](../{found.place}/registration-{'1' * 12}.json)" in text


def test_ablations_that_matter_and_floors_are_told(tmp_path):
    found = told(tmp_path, **{"A3 rate": "refuted", "H1": "supported"})
    test = next(t for t in found.hypothesis("A3 rate").tests if t["answer"] == "contrary")
    where = test["arms"][0].removeprefix("global, ")
    assert f"one learned number was worse with {where} (" in sentences.learning(found)
    unasked = told(tmp_path / "none", **{"A3 rate": "INADMISSIBLE", "A2 latents": "undecided"})
    assert "with slow sigma" not in sentences.learning(unasked)
    assert "its floor" not in sentences.ends(found)
    result = json.loads(json.dumps(found.result))
    (one,) = (one for one in result["hypotheses"] if one["name"] == "H1")
    for asked in one["tests"]:
        asked["measured"]["value"] = 0.1  # of .05: the floor that is registered
    assert "(0.1 times it, its floor; H1: supported)" in sentences.ends(
        found._replace(result=result)
    )


def test_a_drift_is_no_ratio():
    content = json.loads((ROOT / answer.RESULTS / "study.json").read_text())
    (one,) = (one for one in content["hypotheses"] if one["name"] == "H4")
    assert {test["by"] for test in one["tests"]} == {"difference"}


def test_prose_is_wrapped_as_on_the_other_pages(made):
    for line in made.markdown.splitlines():
        assert len(line) <= markdown.WIDTH or line.startswith(("|", "    ", "![")), line


def test_the_page_stands_alone(made):
    """No request: pictures, scripts and styles lie inside."""
    addresses = re.findall(r'(?:src|href)="([^"]*)"', DRAWING.sub("", made.html))
    outside = [one for one in addresses if not one.startswith(("data:", "#"))]
    assert {one for one in outside if "//" in one} == {
        "https://stats.stackexchange.com/questions/433844"
    }
    assert not [one for one in outside if one.endswith((".js", ".css", ".png", ".svg"))]
    assert made.html.count('class="explorable"') == 2
    assert "<!-- " not in DRAWING.sub("", made.html)


def test_ratios_are_geometric_means_of_pairs_with_t_intervals(found):
    for block in found.blocks:
        if not block.compares:
            continue
        first = block.arms[0].values
        for arm, ratio in zip(block.arms[1:], block.ratios(), strict=True):
            if arm.diverged:
                assert np.isnan(ratio.measured.low)
                continue
            logs = np.log(arm.values / first)
            low, high = stats.t.interval(0.95, 9, logs.mean(), stats.sem(logs))
            expected = np.exp([logs.mean(), low, high])
            measured = [ratio.measured.value, ratio.measured.low, ratio.measured.high]
            np.testing.assert_allclose(measured, expected, rtol=1e-10)


def told(tmp_path, **verdicts):
    study = made_up_study.write(tmp_path, verdicts)
    return answer.read(study, ROOT / answer.LIMIT)


def test_arms_on_which_the_baselines_disagree_are_named(found):
    result = json.loads(json.dumps(found.result))
    factors = {"fixed": (0.5, 0.5), "scheduled": (0.5, 2.0), "global": (2.0, 2.0)}
    factors["shared ascending"] = (0.5, 0.5)  # which no hypothesis is about
    blocks = [one for one in result["blocks"] if one["name"] in ("digits_2018", "digits_today")]
    for place, block in enumerate(blocks):
        zero = block["arms"][0]["values"]
        for arm in block["arms"][1:]:
            factor = factors.get(arm["name"], (1.0, 1.0))[place]
            noise = np.linspace(0.9, 1.1, len(zero))
            arm["values"] = (factor * noise * np.array(zero)).tolist()
    sentence = sentences.baselines(found._replace(result=result))
    better = "fixed, shared ascending (a lead: no hypothesis asks for it)"
    assert f"better than no noise with every GAN: {better}; " in sentence
    assert "worse with every GAN: global; " in sentence
    assert "better with one and worse with another: scheduled." in sentence


ENDS = ("H2", "H8a", "H1")
HEADLINES = {
    "supported": "Yes",
    "refuted": "No",
    "equivalent": "No",
    "undecided": "It depends",
    "INADMISSIBLE": "This study cannot say",
    "DEVIATED": "This study cannot say",
    "not asked": "This study cannot say",
}


@pytest.mark.parametrize("verdict", advice.VERDICTS)
def test_the_answer_has_words_for_every_verdict(tmp_path, verdict):
    names = (*sentences.LEARNED, *sentences.GIVEN, sentences.LEAD, *ENDS, "H6", "F1", "P1")
    *three, last = sentences.answer(told(tmp_path, **dict.fromkeys(names, verdict)))
    assert three[0].startswith(f"**{HEADLINES[verdict]}.** ")
    counts = verdict not in sentences.UNCOUNTED
    assert ("a learned variance (one number, a number for each pixel" in three[0]) == counts
    for sentence in (*three, last):
        assert sentence.endswith(".")
        assert "nan" not in sentence
        assert sentence.count("(") == sentence.count(")")
    for number, sentence in enumerate(three):
        assert verdict in sentence
        asked = verdict not in ("INADMISSIBLE", "not asked")
        assert ("MMD²" in sentence) == (asked if number == 2 else counts)
    assert (verdict in last) == (verdict not in ("INADMISSIBLE", "not asked"))


def test_groups_that_came_out_differently_are_told_apart(tmp_path):
    verdicts = {"L1": "supported", "L2": "supported", "L3": "refuted", "L4": "DEVIATED"}
    sentence = sentences.learning(told(tmp_path, **verdicts))
    assert sentence.startswith("**In part.**")
    assert (
        "With a learned variance (one number, a number for each pixel or a function of z)"
        in sentence
    )
    first = "on digits with a GAN of today samples are better than without noise in 2 of 3 forms"
    assert f"{first} and worse in 1 (MMD² " in sentence
    assert "L1 and L2 supported, L3 refuted and L4 DEVIATED (it does not count, and is" in sentence


def test_the_largest_gain_is_the_lowest_end_of_what_counts(tmp_path):
    found = told(tmp_path, L1="undecided", L2="equivalent", L3="DEVIATED", L4="refuted")
    counted = [found.hypothesis(name) for name in ("L1", "L2", "L4")]
    lows = [test["measured"]["low"] for one in counted for test in one.tests]
    assert f"learning lowers MMD² by {100 * (1 - min(lows)):.0f}%" in sentences.learning(found)


@pytest.mark.parametrize("verdict", advice.VERDICTS)
def test_advice_follows_from_every_verdict(tmp_path, verdict):
    names = {name for line in advice.LINES for name in line.by}
    table = advice.table(told(tmp_path, **dict.fromkeys(names, verdict)))
    assert len(table.rows) == len(advice.LINES)
    for _, use, because in table.rows:
        assert use.text
        assert because.text.endswith(verdict)


def test_a_study_that_was_altered_is_refused(tmp_path):
    study = made_up_study.write(tmp_path)
    path = study / "study.json"
    kept = path.read_text()
    path.write_text(kept.replace('"verdict": "refuted"', '"verdict": "supported"', 1))
    with pytest.raises(RunError, match="is not what the ledger concluded"):
        answer.read(study, ROOT / answer.LIMIT)
    path.write_text(kept)
    content = json.loads((study / "registration.json").read_text())
    (study / "registration.json").write_text(json.dumps(content | {"margin": 2.0}))
    with pytest.raises(RunError, match="is not what was registered"):
        answer.read(study, ROOT / answer.LIMIT)
    (study / "registration.json").write_text(json.dumps(content))
    lines = (study / "ledger.jsonl").read_text().splitlines()
    (study / "ledger.jsonl").write_text("\n".join([*lines[:4], *lines[5:], ""]))
    with pytest.raises(RunError, match="is not what the study wrote"):
        answer.read(study, ROOT / answer.LIMIT)


def test_what_an_amendment_changed_is_told_by_name():
    one, two = {"name": "a", "arms": ["x"]}, {"name": "b", "steps": 3}
    before = {"margin": 1.2, "blocks": [one, two]}
    after = {
        "margin": 1.2,
        "blocks": [two | {"steps": 5, "seeds": 9}, one | {"arms": ["x", "y"]}, {"name": "c"}],
    }
    assert list(findings.changed(before, after)) == [
        "blocks.a.arms: x → x, y",
        "blocks.b.steps: 3 → 5",
        "blocks.b.seeds: added, 9",
        "blocks.c: added",
    ]
    assert list(findings.changed(after, after)) == []


def test_tables_and_lists_of_markdown():
    text = "a b\nc\n\n* one\n  more\n* two\n\n    code\n"
    assert markdown.wrapped(text) == "a b c\n\n* one more\n* two\n\n    code\n"
    long = markdown.wrapped("* " + "word " * 30)
    assert long.splitlines()[1].startswith("  word")
    assert markdown.anchor("What happens when it is learned") == "what-happens-when-it-is-learned"


def test_a_study_that_asked_nothing_has_its_pages_without_pictures_of_it(tmp_path):
    registered = json.loads((ROOT / "experiments/study/registration.json").read_text())
    names = [one["name"] for one in registered["hypotheses"]]
    found = told(tmp_path, **dict.fromkeys(names, "INADMISSIBLE"))
    silent = found._replace(result={**found.result, "blocks": []})
    made = document.document(silent, ROOT)
    assert made.figures == {}
    assert "docs/figures/answer.svg" not in made.readme
    assert "figures/answer" not in made.markdown
    assert "<strong>This study cannot say.</strong>" in made.html


def test_every_figure_is_drawn(found, made):
    assert {f"docs/figures/{spec.name}.svg" for spec in figures.ALL} == set(made.figures)
    assert made.html.count("<figure id=") == len(figures.ALL)
