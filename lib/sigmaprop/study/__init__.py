"""What a study concludes: the tests of its hypotheses, their answers, and what they could find.

* `judging`: a registered expectation beside the runs, judged in Holm's family, and the conclusion.
* `power`: how often such a test answers as expected, by simulation through the same code.

All are pure functions of arrays; the verdicts are those of `statistics`.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.study.judging import (
        Answer,
        Conclusion,
        Expect,
        Judged,
        Test,
        conclude,
        judge_tests,
    )

__all__ = ["Answer", "Conclusion", "Expect", "Judged", "Test", "conclude", "judge_tests"]

_HOMES = {
    "Answer": "judging",
    "Conclusion": "judging",
    "Expect": "judging",
    "Judged": "judging",
    "Test": "judging",
    "conclude": "judging",
    "judge_tests": "judging",
}

__getattr__, __dir__ = lazy.attach(__name__, _HOMES)
