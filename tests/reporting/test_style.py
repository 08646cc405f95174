"""SVG that is the same every time, follows the page's scheme, and can be read in both."""

import re

import matplotlib
import pytest

from sigmaprop.reporting import frame, limit, marks, style


def draw(run):
    with style.style():
        drawing = limit.FIGURES[0].draw("quartic", [frame.load(run)])
        return style.svg(drawing.figure), style.png(drawing.figure)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    """Of two colours, as the WCAG define it."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_the_same_run_gives_the_same_bytes(run):
    assert draw(run) == draw(run)


def test_a_file_has_no_date_and_stands_on_white(run):
    document, image = draw(run)
    assert "dc:date" not in document
    assert document.startswith("<?xml")
    assert "fill: #ffffff" in document
    assert "var(" not in document
    assert image.startswith(b"\x89PNG")


def test_inline_colours_are_variables(run):
    inline = style.inline(draw(run)[0], "here")
    assert inline.startswith("<svg")
    assert not re.findall(r"#[0-9a-f]{6}\b", re.sub(r'(?:id="|href="#|url\(#)[^")]*', "", inline))
    used = set(re.findall(r"var\(--([a-z]+)\)", inline))
    assert {"ink", "muted", "grid", "paper", "blue"} <= used <= set(style.SCHEMES)
    assert "DejaVu" not in inline


def test_inline_identifiers_are_the_figures_own(run):
    document, _ = draw(run)
    ids = re.findall(r' id="([^"]*)"', style.inline(document, "here"))
    assert ids
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("here-") for name in ids)
    referred = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', style.inline(document, "here"))
    named = {name for name in ids if re.match(r"here-k\d+-", name)}
    assert {a or b for a, b in referred} == set(ids) - named
    assert any(name.endswith("-legend") for name in named)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_is_seen_on_its_background(scheme):
    paper = style.SCHEMES["paper"][scheme]
    for name, colours in style.SCHEMES.items():
        least = {"ink": 12, "muted": 4.5, "grid": 1, "paper": 1}.get(name, 2.0 + 2.5 * scheme)
        assert contrast(colours[scheme], paper) >= least, name


def test_a_style_of_the_users_does_not_show_and_comes_back(run):
    expected = draw(run)
    with matplotlib.rc_context({"axes.facecolor": "red", "lines.linewidth": 9, "font.size": 30}):
        assert draw(run) == expected
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_an_unknown_estimator_has_a_mark_of_its_own_that_is_always_the_same():
    names = ("new", "newer", "newest")
    assert [marks.mark(name) for name in names] == [marks.mark(name) for name in names]
    assert len({marks.mark(name).marker for name in names}) > 1


def test_estimators_of_a_run_are_told_apart():
    from sigmaprop import estimators

    looks = [marks.mark(label, noise) for label in estimators.labels() for noise in marks.NOISES]
    assert len(set(looks)) == len(looks)
