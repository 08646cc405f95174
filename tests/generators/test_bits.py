"""The same bits on a CPU, whatever else a program holds and wherever it runs.

Each number of devices has a process of its own, which prints digests of states: see
`bits_child.py`, where the reference GANs are written out.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("bits_child.py")
ARMS = ("zero", "fixed", "scheduled", "global", "per_pixel", "heteroscedastic", "low_rank")


@functools.cache
def digests(devices, *words):
    """{what: digest} of the cases, from a process with so many devices."""
    environment = os.environ | {"PYTHONPATH": str(CHILD.parent)}
    command = [sys.executable, str(CHILD), str(devices), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert len(found) == len(done.stdout.splitlines())
    return found


def check_reference(found, size):
    """`zero` and `fixed` are what is written out, alone and among all arms."""
    for arm in ("zero", "fixed"):
        expected = found[f"{size} {arm} reference"]
        assert found[f"{size} {arm} alone in its program"] == expected
        assert found[f"{size} {arm} among all"] == expected
    assert found[f"{size} zero reference"] != found[f"{size} fixed reference"]


def check_alone(found, size, num):
    """Each arm is itself among many."""
    each = [found[f"{size} {arm} alone"] for arm in ARMS]
    assert len(set(each)) == len(ARMS)
    assert [found[f"{size} {arm} among {num}"] for arm in ARMS] == each


@pytest.mark.slow
def test_zero_and_fixed_are_reference_gans_written_out():
    check_reference(digests(1, "reference:small"), "small")


@pytest.mark.slow
def test_zero_and_fixed_of_pairs_are_reference_gans_written_out():
    check_reference(digests(1, "paired:small"), "small")


@pytest.mark.slow
@pytest.mark.parametrize("size", ["small", "wide"])
def test_zero_and_fixed_are_reference_gans_on_two_devices(size):
    check_reference(digests(2, f"reference:{size}"), size)


@pytest.mark.slow
def test_a_replica_alone_is_itself_among_64_of_all_arms():
    check_alone(digests(2, "alone64:small"), "small", 64)


@pytest.mark.slow
def test_a_wide_replica_alone_is_itself_among_14_of_all_arms():
    check_alone(digests(2, "alone:wide"), "wide", 14)


def test_the_cuts_between_calls_change_nothing():
    found = digests(1, "cuts:small")
    assert len(found) == 3
    assert len(set(found.values())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("size", ["small", "wide"])
def test_the_number_of_devices_and_padding_change_nothing(size):
    one, two, eight = (digests(devices, f"devices:{size}") for devices in (1, 2, 8))
    assert len(one) == 2
    assert one == two == eight
