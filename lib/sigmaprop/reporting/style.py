"""Colours, marks and fonts of every figure; how a figure becomes SVG and PNG.

Colours are those of Okabe and Ito (2008), told apart by readers with any colour vision; marker and
dash tell curves apart where there is no colour. A figure is drawn once in print colours on white.
Inside a page its colours become CSS variables, so that it follows the page's light or dark scheme.
"""

import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1b1c1e", "#686b70", "#dcdee1", "#ffffff"
BLUE, SKY, GREEN = "#0072b2", "#56b4e9", "#009e73"
ORANGE, VERMILLION, PURPLE = "#e69f00", "#d55e00", "#cc79a7"

SCHEMES = {
    "ink": (INK, "#e8e9eb"),
    "muted": (MUTED, "#a3a7ad"),
    "grid": (GRID, "#3a3d42"),
    "paper": (PAPER, "#17191c"),
    "blue": (BLUE, "#4c9fe6"),
    "sky": (SKY, "#9fd8fb"),
    "green": (GREEN, "#2cc295"),
    "orange": (ORANGE, "#f2b632"),
    "vermillion": (VERMILLION, "#ff7f3f"),
    "purple": (PURPLE, "#e3a0c4"),
}
"""CSS variable -> colour in the light and in the dark scheme."""

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, MUTED, INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "h", ">", "d", "p", "H", "8", "x")
THEORY = (0, (2.6, 1.7))

FONT = "DejaVu Sans"
TEXT, SMALL = 9.0, 8.0
DPI = 130
MANY_POINTS = 5000
"""Above it curves are an image inside the SVG."""


_RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sigmaprop",
    "svg.image_inline": True,
    "text.parse_math": False,
    "font.family": FONT,
    "font.size": TEXT,
    "text.color": INK,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": TEXT,
    "axes.titlelocation": "left",
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "legend.handlelength": 2.6,
}


@contextmanager
def style() -> Iterator[None]:
    """Draws in this style, whatever the user's own settings are, which come back afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)  # pyright: ignore
        yield


def svg(figure: Figure) -> str:
    """The figure as a document that stands alone: its own white background, no date."""
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", dpi=2 * DPI, metadata=metadata)
    return _compact(buffer.getvalue())


def png(figure: Figure) -> bytes:
    """The figure as an image."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def inline(document: str, prefix: str) -> str:
    """An SVG element for an HTML page: colours as CSS variables, identifiers that are its own.

    Args:
        document: from `svg`.
        prefix: of its identifiers, unique in the page.
    """
    text = document[document.index("<svg") :]
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'style="[^"]*"', _themed, body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'(href="#|url\(#| id=")', rf"\g<1>{prefix}-", body)
    return f'<svg {box[0] if box else ""} aria-hidden="true" focusable="false">{body.strip()}'


def css_variables(scheme: int) -> str:
    """The declarations of the light (0) or dark (1) scheme."""
    return " ".join(f"--{name}: {colours[scheme]};" for name, colours in SCHEMES.items())


_VARIABLES = {light: f"var(--{name})" for name, (light, _) in SCHEMES.items()}


def _themed(match: re.Match[str]) -> str:
    """A style attribute with variables for colours, and with the page's font."""
    text = re.sub(r"#[0-9a-f]{6}", lambda m: _VARIABLES.get(m[0], m[0]), match[0])
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    return re.sub(r"font: ([^']*?)([\d.]+px) [^;\"]*", _font, text)


def _font(match: re.Match[str]) -> str:
    """Size and weight of a font written as one property, as matplotlib before 3.10 does."""
    weight = "; font-weight: bold" if "bold" in match[1] or "700" in match[1] else ""
    return f"font-size: {match[2]}{weight}"


def _compact(document: str) -> str:
    """Drops identifiers that nothing refers to, and digits below a hundredth of a point."""
    document = re.sub(r"\s*<!--.*?-->", "", document, flags=re.DOTALL)
    used = set(itertools.chain(*re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', document)))
    kept = re.compile(r"k\d+-")  # curves and their legends, which a page hides by name
    document = re.sub(
        r' id="([^"]*)"', lambda m: m[0] if m[1] in used or kept.match(m[1]) else "", document
    )
    return re.sub(
        r' (?:x|y|d|width|height|transform)="[^"]*"',
        lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]) if "matrix" not in m[0] else m[0],
        document,
    )
