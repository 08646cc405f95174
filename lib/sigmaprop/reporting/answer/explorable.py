"""The explorable: equation 1's limit and the Gaussian GAN's flow, which a reader moves.

A plain script and its HTML, which need no network: `fragment` goes into a page that has the style
sheet of `sigmaprop.reporting.page`, `standalone` is a whole page.
"""

from pathlib import Path

import markupsafe

from sigmaprop.reporting import page

SCRIPTS = ("smoothing.js", "game.js", "charts.js", "explorable.js")
"""Parts of the one script, in the order in which each uses those before it."""
PANELS = ("limit", "game")
TITLE = "What equation 1 says, and where a learned σ goes"
_FOLDER = Path(__file__).parent


def fragment(*panels: str) -> str:
    """The panels as HTML with their style and script, for the body of a page.

    The page has to declare the colours of `sigmaprop.reporting.style.SCHEMES` as CSS variables, as
    every report does. One fragment of each panel a page: they own the ids that begin with
    ``explorable-``.

    Args:
        *panels: "limit", which brings the style, or "game", which brings the script: in a page of
            two fragments they come in this order. None: both.
    """
    parts = {"css": _text("explorable.css"), "script": "\n".join(map(_text, SCRIPTS))}
    safe = {name: markupsafe.Markup(text) for name, text in parts.items()}
    return (
        page.environment()
        .get_template("answer/explorable.html.jinja")
        .render(safe, panels=panels or PANELS)
    )


def standalone() -> str:
    """A whole page with the explorable alone, in the frame of the reports."""
    template = page.environment().get_template("answer/standalone.html.jinja")
    return template.render(
        title=TITLE, css=markupsafe.Markup(page.css()), fragment=markupsafe.Markup(fragment())
    )


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
