"""What others take of a machine, apart from what a benchmark takes itself."""

import subprocess
import sys
import time

from sigmaprop.experiments.bench import neighbours
from sigmaprop.experiments.bench.neighbours import Neighbours
from sigmaprop.experiments.results import check, record

from .made_records import made

_SPIN = "import time; end = time.process_time() + {0}\nwhile time.process_time() < end: pass"


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_own_work_and_that_of_processes_below_is_not_that_of_others(monkeypatch):
    """The account of the processors is made up: all that works are we and 0.3 s of another."""
    began = neighbours.own_seconds()
    monkeypatch.setattr(neighbours, "busy_seconds", lambda: neighbours.own_seconds() - began)
    before, watch = time.monotonic(), Neighbours()
    after = time.monotonic()
    spin(0.2)
    subprocess.run([sys.executable, "-c", _SPIN.format(0.2)], check=True)
    assert watch.cores() == 0.0
    monkeypatch.setattr(neighbours, "busy_seconds", lambda: neighbours.own_seconds() - began + 0.3)
    most, found = time.monotonic() - after, watch.cores()
    assert 0.3 / (time.monotonic() - before) <= found <= 0.3 / most


def test_the_system_s_account_has_our_work_in_it():
    """Of half a second of work it counts at least 0.4: its unit is a hundredth of a second."""
    before = neighbours.busy_seconds()
    spin(0.5)
    assert neighbours.busy_seconds() - before > 0.4


def test_a_load_that_is_the_benchmark_s_own_is_no_reason_to_refuse():
    alone = record.Load((1.9,), (2.3,), 2, 0.02)
    assert list(check.faults(made()._replace(load=alone))) == []
    (why,) = check.faults(made()._replace(load=alone._replace(others=0.2)))
    assert why.startswith("others kept 0.20 of the machine's 2 cores busy")
    (why,) = check.faults(made()._replace(load=alone._replace(others=None)))
    assert why.startswith("the load average was 1.90 before and 2.30 after")
