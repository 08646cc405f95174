"""What a study concludes: the tests of its hypotheses, their answers, and what they could find.

* `judging`: a registered expectation beside the runs, judged in Holm's family, and the conclusion.
* `power`: how often such a test answers as expected, by simulation through the same code.

All are pure functions of arrays; the verdicts are those of `statistics`.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.study import power
    from sigmaprop.study.judging import (
        Answer,
        Conclusion,
        Expect,
        Judged,
        Test,
        conclude,
        judge_tests,
    )
    from sigmaprop.study.power import smallest_effect, smallest_margin

__all__ = [
    "Answer",
    "Conclusion",
    "Expect",
    "Judged",
    "Test",
    "conclude",
    "judge_tests",
    "power",
    "smallest_effect",
    "smallest_margin",
]

_HOMES = {
    "Answer": "judging",
    "Conclusion": "judging",
    "Expect": "judging",
    "Judged": "judging",
    "Test": "judging",
    "conclude": "judging",
    "judge_tests": "judging",
    "power": "power",
    "smallest_effect": "power",
    "smallest_margin": "power",
}

__getattr__, __dir__ = lazy.attach(__name__, _HOMES)
