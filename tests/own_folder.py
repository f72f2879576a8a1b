"""A plugin of pytest: each session has a temporary folder of its own, in memory where that has room.

pytest gives the numbers of its folders out again, while others may still write below them.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # what tests write need not outlive the machine, and here nobody waits for a disk


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    if FOLDER is not None and exitstatus == pytest.ExitCode.OK:  # what failed will be looked at
        shutil.rmtree(FOLDER, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    if not os.access(folder, os.W_OK):
        return False
    held = os.statvfs(folder)
    return held.f_bavail * held.f_frsize > 4 << 30 and not held.f_flag & os.ST_NOEXEC


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return int(process) != os.getpid()


def _make_folder() -> Path:
    """Make the folder; what sessions that failed or were killed left behind goes."""
    parent = MEMORY if "TMPDIR" not in os.environ and _has_room(MEMORY) else Path(tempfile.gettempdir())
    for left in parent.glob("penstock-tests-*"):
        if not _is_running(left.name.rpartition("-")[2]):
            shutil.rmtree(left, ignore_errors=True)
    folder = parent / f"penstock-tests-{os.getpid()}"
    folder.mkdir(mode=0o711)  # a database runs as another user
    return folder


# Workers write where the session that started them does.
FOLDER = None if "PYTEST_XDIST_WORKER" in os.environ else _make_folder()
if FOLDER is not None:
    os.environ["TMPDIR"] = tempfile.tempdir = str(FOLDER)
