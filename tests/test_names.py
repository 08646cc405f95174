"""How names and values of the user's stand in sentences."""

import pytest

from sigmaprop.names import Registry, nearest, shortened, shown, unknown

KNOWN = ("quartic", "rosenbrock", "score_function", "relu", "--seed", "--x")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("quartik", "quartic"),
        ("rely", "relu"),
        ("score", "score_function"),
        ("score_fn", "score_function"),
        ("--sede", "--seed"),
        ("seed", "--seed"),
        ("nosuch", None),
        ("", None),
        ("--", None),
        ("show", None),
        ("q" * 5000, None),
    ],
)
def test_only_what_is_near_is_a_hint(name, near):
    assert nearest(name, KNOWN) == near
    message = str(unknown("thing", name, KNOWN))
    assert ("did you mean" in message) == (near is not None)
    assert message.endswith(f"Known: {', '.join(KNOWN)}")
    assert len(message) < 200


def test_nothing_to_choose_from_is_said():
    assert str(unknown("option", "--all", ())) == "unknown option '--all'. Known: none"


def test_many_names_are_not_listed():
    message = str(unknown("option", "x", map(str, range(41))))
    assert message.endswith("--help lists them all")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("one", "'one'"),
        ("a\nb\udce9", "'a\\nb\\udce9'"),
        (3, "3"),
        (0.5, "0.5"),
        (10**5000, "an integer of 16610 bits"),
    ],
    ids=["word", "signs", "integer", "number", "huge"],
)
def test_values_are_echoed(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    "value", ["9" * 5000, 10**4000, "\0" * 5000, list(range(5000))], ids=["9", "10", "0", "list"]
)
def test_long_values_are_shortened(value):
    text = shown(value)
    assert len(text) == 60
    assert "…" in text
    assert text[:10] == (repr(value) if isinstance(value, str) else str(value))[:10]


@pytest.mark.parametrize("most", [3, 10, 59])
def test_a_shortened_text_keeps_both_ends(most):
    text = shortened("<" + "x" * 100 + ">", most)
    assert len(text) == most
    assert text.startswith("<")
    assert most < 4 or text.endswith(">")
    assert shortened("<x>", most) == "<x>"


def test_a_registry_gives_records_in_order_and_refuses_other_names():
    registry = Registry("number", {"two": 2, "one": 1})
    assert (list(registry), registry["one"]) == (["two", "one"], 1)
    for refuse in (registry.__getitem__, registry.check):
        with pytest.raises(ValueError, match="unknown number 'tow'; did you mean 'two'"):
            refuse("tow")
    assert registry.get("tow") is None
    assert "tow" not in registry


def test_a_registry_takes_records_of_the_user_but_no_name_twice():
    registry = Registry("number", {"one": 1})
    registry.register("three", 3)
    assert list(registry.items()) == [("one", 1), ("three", 3)]
    with pytest.raises(ValueError, match="number 'one' is there already"):
        registry.register("one", 2)
