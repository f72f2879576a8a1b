"""A home's lock is freed by any death of its holder, and only a living server is found."""

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.core.errors import ConflictError, UnavailableError
from penstock.remote.discovery import (
    FILE_NAME,
    LOCK_NAME,
    UP_LOCK_NAME,
    HomeLock,
    ServerInfo,
    find_server,
    write_server_file,
)

HOLD = """
import sys
from pathlib import Path
from penstock.remote.discovery import HomeLock
lock = HomeLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold(path: Path) -> "subprocess.Popen[str]":
    """A process that holds a lock until it dies."""
    argv = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: "subprocess.Popen[str]", number: int = signal.SIGKILL) -> None:
    process.send_signal(number)
    process.communicate()


def info(pid: int) -> ServerInfo:
    return ServerInfo(url="http://here", gateway_url="http://there", pid=pid, started_at=datetime.now(UTC))


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path / "home" / LOCK_NAME)
    assert not lock.is_held
    lock.acquire()
    assert lock.is_held
    assert lock.holder == os.getpid()
    with pytest.raises(ConflictError, match=f"held by process {os.getpid()}"):
        HomeLock(tmp_path / "home" / LOCK_NAME).acquire()
    lock.release()
    lock.release()
    assert not lock.is_held


def test_a_holder_that_is_killed_frees_the_lock(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path / LOCK_NAME)
    holder = hold(tmp_path / LOCK_NAME)
    assert (lock.is_held, lock.holder) == (True, holder.pid)
    end(holder)
    assert not lock.is_held
    lock.acquire()
    assert lock.holder == os.getpid()
    lock.release()


def test_a_lock_can_be_waited_for(tmp_path: Path) -> None:
    holder = hold(tmp_path / LOCK_NAME)
    ending = threading.Timer(0.2, end, [holder])
    ending.start()
    lock = HomeLock(tmp_path / LOCK_NAME)
    lock.acquire(wait_s=20)
    lock.release()
    ending.join()


def test_asking_who_holds_it_never_refuses_it_to_anybody(tmp_path: Path) -> None:
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            HomeLock(tmp_path / LOCK_NAME).is_held  # noqa: B018

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    for _ in range(100):
        lock = HomeLock(tmp_path / LOCK_NAME)
        lock.acquire()
        lock.release()
    done.set()
    for thread in asking:
        thread.join()


def test_no_server_is_found_where_none_was(tmp_path: Path) -> None:
    assert find_server(tmp_path / "nowhere") is None


def test_a_file_that_a_killed_server_left_is_not_believed(tmp_path: Path) -> None:
    holder = hold(tmp_path / LOCK_NAME)
    write_server_file(tmp_path, info(holder.pid))
    found = find_server(tmp_path)
    assert found is not None
    assert found.url == "http://here"
    end(holder)
    assert (tmp_path / FILE_NAME).exists()
    assert find_server(tmp_path) is None


def test_a_server_that_starts_is_waited_for(tmp_path: Path) -> None:
    holder = hold(tmp_path / LOCK_NAME)
    write_server_file(tmp_path, info(holder.pid + 1))  # of the one before
    telling = threading.Timer(0.2, write_server_file, [tmp_path, info(holder.pid)])
    telling.start()
    found = find_server(tmp_path)
    assert found is not None
    assert found.pid == holder.pid
    telling.join()
    end(holder)


def test_a_server_that_its_supervisor_starts_again_is_waited_for(tmp_path: Path) -> None:
    supervisor = hold(tmp_path / UP_LOCK_NAME)
    holders = []

    def start_again() -> None:
        holders.append(hold(tmp_path / LOCK_NAME))
        write_server_file(tmp_path, info(holders[0].pid))

    starting = threading.Timer(0.1, start_again)
    starting.start()
    found = find_server(tmp_path)
    starting.join()
    assert found is not None
    assert found.pid == holders[0].pid
    end(holders[0])
    end(supervisor)
    assert find_server(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"url": 1}', b"\xff"])
def test_a_server_that_never_says_where_it_answers_is_told(content: bytes, tmp_path: Path) -> None:
    lock = HomeLock(tmp_path / LOCK_NAME)
    lock.acquire()
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(UnavailableError, match=r"does not answer yet; look into .*logs"):
        find_server(tmp_path, wait_s=0.1)
    lock.release()
