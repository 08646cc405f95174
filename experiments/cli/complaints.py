"""What a command says of a mistake: one sentence, on standard error."""

import sys
from collections.abc import Callable
from typing import Any

from sigmaprop.names import shortened

_LONGEST_WORD, _LONGEST = 300, 2000
"""Characters of a complaint: a path may be long, what somebody pasted is not echoed whole."""


class UserError(Exception):
    """A mistake of the user's: printed as one sentence, exit status 2."""


def complain(sentence: str, status: int) -> int:
    """Says in one sentence what is wrong; gives the status."""
    words = (shortened(word, _LONGEST_WORD) for word in sentence.split())
    text = shortened(" ".join(words), _LONGEST)
    text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    print(f"sigmaprop: {text}", file=sys.stderr)
    return status


def explain(how: str, error: BaseException) -> None:
    """Says how the command ended, and what its run directory is worth."""
    complain("; ".join([how, *getattr(error, "__notes__", ())]), 0)


def refuse(check: Callable[[], Any]) -> Any:
    """Turns the refusal of a value into one sentence."""
    try:
        return check()
    except ValueError as error:
        raise UserError(error) from error


def report_user_errors(action: Callable[[], Any]) -> Any:
    """Turns the errors that a user can mend into one sentence; all others are defects."""
    from sigmaprop.runs.files import RunError

    try:
        return action()
    except RunError as error:
        raise UserError(error) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"out of memory ({str(error)[:200]}); lower --dim, --chunk or --num-sigmas; for gan "
            "--seeds, --replica-chunk or --batch-size"
        ) from error
