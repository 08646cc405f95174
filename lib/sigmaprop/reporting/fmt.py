"""Numbers in words: for tables, captions and ticks of every report and of the terminal."""

import math
import re

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """Five significant digits, or a dash for what is not known."""
    return "–" if value != value else f"{value:.5g}"


def interval(low: float, high: float) -> str:
    """An interval, or a dash where there is none: not known, or of no width.

    Of one that is narrower than the digits shown, how far it reaches.
    """
    if not low < high:
        return "–"
    ends = number(low), number(high)
    return f"[{ends[0]}, {ends[1]}]" if ends[0] != ends[1] else f"±{(high - low) / 2:.1g}"


def allowed(low: float, high: float) -> str:
    """The range that a claim allows, or a dash for what is not known."""
    return "–" if low != low or high != high else f"{number(low)} to {number(high)}"


def short(value: float) -> str:
    """Three significant digits or fewer, or a dash for what is not known."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if 1000 <= abs(value) < 1e5:
        return f"{value:.0f}"
    text = f"{value:.3g}" if abs(value) >= 1 or value == 0 else f"{value:.2g}"
    return text.replace("e-0", "e-").replace("e+0", "e+")


def measured(claim: dict) -> str:
    """What was measured, with its interval in brackets."""
    found = claim["measured"]
    if not found["low"] < found["high"]:
        return number(found["value"])
    half = (found["high"] - found["low"]) / 2
    return f"{short(found['value']) if half > 1e-3 else number(found['value'])} ± {half:.1g}"


def near_one(value: float) -> str:
    """A number in few digits, but in as many as tell it from 1 where it is near."""
    text = short(value)
    if text != "1" or value == 1:
        return text
    return f"{value:.{min(6, -math.floor(math.log10(abs(value - 1))))}f}"


def percent(share: float, signed: bool = False) -> str:
    """A share in percent: three digits, or two with a sign."""
    if not signed:
        return f"{100 * share:.3g}%"
    size = abs(100 * share)
    digits = 0 if size >= 9.95 else 1 if size >= 0.995 else 2
    return f"{'−' if share < 0 else '+'}{size:,.{digits}f}%"


def times(ratio: float) -> str:
    """A ratio of efficiencies in words that fit a table."""
    if math.isnan(ratio):
        return "–"
    if math.isinf(ratio):
        return "no noise"
    if 0.01 <= ratio < 1000:
        return f"{ratio:.2g}" if ratio < 99.5 else f"{ratio:.0f}"
    mantissa, exponent = f"{ratio:.0e}".split("e")
    return f"{mantissa}·{power(int(exponent))}" if mantissa != "1" else power(int(exponent))


def power(exponent: int) -> str:
    """A power of ten."""
    return {0: "1", 1: "10"}.get(exponent, f"10{str(exponent).translate(_RAISED)}")


def count(number_of: int, noun: str) -> str:
    """A number of things."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number_of:,} {noun if number_of == 1 else plural}"


def few(values: list[float]) -> str:
    """All of a few numbers, the ends of many."""
    texts = [f"{value:.4g}" for value in values]
    return ", ".join(texts) if len(texts) < 5 else f"{texts[0]} to {texts[-1]}"


def plain(text: str, longest: int = 80) -> str:
    """Text that every font has glyphs for and XML allows, cut to a length."""
    text = re.sub(r"[^ -~\u00a1-\u00ff\u2013\u2212]", "?", text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def with_noise(estimator: str, noise: str) -> str:
    """An estimator's label, with its noise scheme where that is not iid."""
    return plain(estimator if noise == "iid" else f"{estimator} ({noise})", 50)
