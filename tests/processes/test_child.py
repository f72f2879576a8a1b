"""A child process dies with its supervisor, logs in one form, and says in one line why it cannot work."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from patience import PATIENCE_S, wait_until
from penstock.core.errors import StorageFullError
from penstock.processes.child import Ticker

FOLLOWS = "from penstock.processes.child import run_process\nimport time\nrun_process(lambda: time.sleep(600))\n"
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, "PENSTOCK_PARENT": str(os.getpid())})
print(child.pid, flush=True)
sys.stdin.read()
"""


def run_program(text: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-c", text]
    return subprocess.run(argv, env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE_S)


def test_a_child_dies_when_its_supervisor_is_killed() -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", PARENT, FOLLOWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    while "sleep" not in Path(f"/proc/{child}/wchan").read_text() and not _is_followed(child):
        time.sleep(0.02)
    supervisor.kill()
    supervisor.communicate()
    wait_until(lambda: not _lives(child))


def _is_followed(pid: int) -> bool:
    """Whether a process has got far enough to have asked for its parent's death."""
    return "ctypes" in Path(f"/proc/{pid}/maps").read_text()


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_whose_supervisor_is_gone_already_does_not_even_start() -> None:
    ended = run_program(FOLLOWS, PENSTOCK_PARENT="1")
    assert ended.returncode == -signal.SIGTERM


def test_what_a_child_cannot_do_is_one_line_of_its_log() -> None:
    program = (
        "from penstock.processes.child import run_process\n"
        "from penstock.core.errors import ConflictError\n"
        "def work(): raise ConflictError('the port is taken', hint='take another')\n"
        "run_process(work)\n"
    )
    ended = run_program(program)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.endswith("ERROR penstock.processes.child: the port is taken; take another")


def test_a_line_of_the_log_has_its_fields_behind_the_message() -> None:
    program = (
        "import logging\n"
        "from penstock.processes.child import log_to_stderr\n"
        "log_to_stderr()\n"
        "logging.getLogger('penstock.x').info('alias moved', extra={'alias': 'champion', 'version': 3})\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('penstock.x').exception('it failed', extra={'run': 7})\n"
    )
    ended = run_program(program)
    lines = ended.stderr.splitlines()
    assert lines[0].endswith("INFO penstock.x: alias moved alias=champion version=3")
    assert lines[1].endswith("ERROR penstock.x: it failed run=7")
    assert lines[2].startswith("Traceback")


def test_a_ticker_goes_on_after_a_tick_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    calls = []
    enough = threading.Event()

    def tick() -> bool:
        calls.append(len(calls))
        if len(calls) == 1:
            raise OSError("once")
        if len(calls) == 4:
            enough.set()
        return len(calls) < 4

    ticker = Ticker("test", tick, pause_s=600)
    with caplog.at_level(logging.ERROR):
        ticker.start()
        # After the failure it waits for its pause; whoever stops it does not have to.
        while len(calls) < 1:
            time.sleep(0.01)
        ticker.stop()
    assert "a tick of test failed and is repeated" in caplog.text
    again = Ticker("again", tick, pause_s=600)
    again.start()
    assert enough.wait(PATIENCE_S)
    again.stop()
    assert calls == [0, 1, 2, 3]


def test_a_ticker_with_nothing_to_do_looks_more_and_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float | None] = []
    works = iter([True, False, False, False, False, True, False])
    ticker = Ticker("test", lambda: next(works), 0.25, longest_pause_s=1.0)

    def wait(pause_s: float | None = None) -> bool:
        pauses.append(pause_s)
        if len(pauses) == 5:
            ticker._stop.set()
        return True

    monkeypatch.setattr(ticker._stop, "wait", wait)
    ticker.start()
    wait_until(ticker._stop.is_set)
    ticker.stop()
    assert pauses == [0.25, 0.5, 1.0, 1.0, 0.25]


def test_a_tick_that_has_to_wait_for_something_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    failed = threading.Event()

    def tick() -> bool:
        failed.set()
        raise StorageFullError("there is no room left")

    ticker = Ticker("test", tick, pause_s=600)
    ticker.start()
    assert failed.wait(PATIENCE_S)
    ticker.stop()
    (told,) = caplog.records
    assert told.getMessage() == "a tick of test is repeated: there is no room left"
    assert told.exc_info is None


INTERRUPTED = """
import os, signal, sys
from penstock.processes.child import hear_stop
left = 50
def interrupt(frame, event, arg):
    global left
    if left and event == "line":
        left -= 1
        os.kill(os.getpid(), signal.SIGTERM)
    return interrupt
stop = hear_stop()
sys.settrace(interrupt)
stop.wait(60)
sys.settrace(None)
print(left)
"""


def test_a_process_hears_a_signal_at_every_line_of_its_waiting() -> None:
    ended = run_program(INTERRUPTED)
    assert ended.returncode == 0 and int(ended.stdout) < 50
