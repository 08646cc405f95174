"""What tests of commands share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def few_draws() -> Iterator[None]:
    """Commands in this process compare real examples with others 20 times.

    The hundreds of draws that users have would take longer than the small runs of these tests, none
    of which is about their number.
    """
    from sigmaprop.experiments.evaluate import run as evaluate
    from sigmaprop.experiments.gan import run as gan

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gan, "_NULL_DRAWS", 20)
        patched.setattr(evaluate, "_REAL_DRAWS", 20)
        yield
