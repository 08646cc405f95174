"""Where the commands print to."""

from typing import Any, NoReturn

from rich.console import Console

from sigmaprop import processes


class Terminal(Console):
    """A console whose sentences stay whole, so that a path in them can be copied.

    Where processes share a run, the first one speaks.
    """

    def __init__(self, **options: Any):
        super().__init__(quiet=not processes.leads(), **options)

    def say(self, sentence: str) -> None:
        """Prints a sentence as it is: not wrapped, nothing coloured, brackets left alone."""
        self.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def on_broken_pipe(self) -> NoReturn:
        """Leaves a closed pipe to the command line; rich would end with status 1."""
        raise BrokenPipeError


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
