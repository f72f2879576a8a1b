"""Fail-points do nothing until they are named, and then exactly what was asked."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from penstock.core import failpoints


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_an_unarmed_point_does_nothing() -> None:
    failpoints.arm("somewhere.else=enospc")
    failpoints.hit("objects.rename")


@pytest.mark.parametrize(("action", "number"), [("enospc", errno.ENOSPC), ("eio", errno.EIO)])
def test_an_armed_point_fails_like_the_disk_would(action: str, number: int) -> None:
    failpoints.arm(f"objects.rename={action}")
    for _ in range(2):
        with pytest.raises(OSError, match=r"objects\.rename") as failure:
            failpoints.hit("objects.rename")
        assert failure.value.errno == number


@pytest.mark.parametrize(("when", "failing"), [("@2", [2]), ("@3+", [3, 4, 5]), ("", [1, 2, 3, 4, 5])])
def test_a_point_fails_at_the_passes_that_were_named(when: str, failing: list[int]) -> None:
    failpoints.arm(f"a=eio{when}")
    failed = []
    for number in range(1, 6):
        try:
            failpoints.hit("a")
        except OSError:
            failed.append(number)
    assert failed == failing


@pytest.mark.parametrize("text", ["a", "a=", "a=explode", "a=kill@soon", "a=sleep:long"])
def test_a_misspelt_point_is_refused_rather_than_ignored(text: str) -> None:
    with pytest.raises(ValueError, match="is no fail-point"):
        failpoints.arm(text)


def test_the_environment_arms_a_process_that_then_dies_on_the_spot() -> None:
    program = (
        "from penstock.core import failpoints as f\nf.hit('a'); print('once', flush=True); f.hit('a'); print('no')"
    )
    environment = os.environ | {failpoints.VARIABLE: "a=kill@2"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "once\n")
