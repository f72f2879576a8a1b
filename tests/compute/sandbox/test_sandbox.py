"""What a sandboxed process can do, tried by processes that are in one."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from patience import PATIENCE_S
from penstock.compute.sandbox.sandbox import SandboxedProcess, find_missing, start_in_sandbox
from penstock.compute.sandbox.types import MIB, Limits, SandboxMissingError, SandboxPlan
from penstock.compute.types import Result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no sandbox but on Linux")

TELL = """
import json, os, sys
def attempt(work):
    try:
        return repr(work())
    except BaseException as error:
        return type(error).__name__
found = {}
%s
os.write(int(os.environ["PENSTOCK_CHANNEL"]), json.dumps(found).encode())
"""


def start(folder: Path, code: str, *, argv: tuple[str, ...] = (), **plan: Any) -> SandboxedProcess:
    given = SandboxPlan(python=Path(sys.executable), argv=("-I", "-c", code, *argv), folder=folder / "inside", **plan)
    return start_in_sandbox(given, folder / "log")


def ask(folder: Path, code: str, *argv: str, **plan: Any) -> dict[str, str]:
    """What the code puts into `found`."""
    running = start(folder, TELL % textwrap.dedent(code), argv=argv, **plan)
    try:
        running.channel.settimeout(PATIENCE_S)
        told = b""
        while part := running.channel.recv(65536):
            told += part
        assert told, (folder / "log").read_text()
        found: dict[str, str] = json.loads(told)
        return found
    finally:
        running.kill()


def test_this_system_offers_a_sandbox() -> None:
    assert find_missing() == ""


def test_nothing_is_reached_from_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TOKEN", "pst_secret")
    secret = tmp_path / "home" / "token"
    secret.parent.mkdir()
    secret.write_text("secret")
    code = """
        import socket, subprocess, ctypes, signal
        secret, parent = sys.argv[1], int(sys.argv[2])
        found["environment"] = sorted(os.environ)
        found["internet"] = attempt(lambda: socket.create_connection(("127.0.0.1", 80), 1))
        found["unix"] = attempt(lambda: socket.socket(socket.AF_UNIX))
        found["datagrams"] = attempt(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        found["secret"] = attempt(lambda: open(secret).read())
        found["mode"] = attempt(lambda: os.chmod(secret, 0o666))
        found["cut"] = attempt(lambda: os.truncate(secret, 0))
        found["removed"] = attempt(lambda: os.remove(secret))
        found["written"] = attempt(lambda: open(secret + ".new", "w"))
        found["linked"] = attempt(lambda: os.link(secret, "here"))
        found["passwords"] = attempt(lambda: open("/etc/passwd").read())
        found["memory of others"] = attempt(lambda: open(f"/proc/{parent}/environ").read())
        found["signal"] = attempt(lambda: os.kill(parent, signal.SIGTERM))
        found["shell"] = attempt(lambda: subprocess.run(["/bin/sh", "-c", "id"]))
        found["devices"] = attempt(lambda: open("/dev/vda"))
        found["unshare"] = ctypes.CDLL(None).unshare(0x10000000)
        found["own file"] = attempt(lambda: open("mine", "w").write("abc"))
        found["user"] = os.getuid()
    """
    found: dict[str, Any] = ask(tmp_path, code, str(secret), str(os.getpid()))
    refused = ("PermissionError", "OSError", "ProcessLookupError")
    for name in found.keys() - {"environment", "own file", "user", "unshare"}:
        assert found[name] in refused, f"{name}: {found[name]}"
    assert "PENSTOCK_TOKEN" not in found["environment"]
    assert found["unshare"] == -1
    assert found["own file"] == "3"
    assert found["user"] != 0
    assert secret.read_text() == "secret"
    assert secret.stat().st_mode & 0o077 == 0o044 & ~_umask()


def test_what_models_are_made_with_works_inside(tmp_path: Path) -> None:
    site = next(path for path in sys.path if path.endswith("site-packages"))
    code = """
        import threading, tempfile
        import numpy, polars, sklearn.linear_model
        x = numpy.random.default_rng(0).normal(size=(100, 3))
        model = sklearn.linear_model.LinearRegression().fit(x, x @ [1.0, 2.0, 3.0])
        found["weights"] = model.coef_.round(6).tolist()
        frame = polars.DataFrame({"a": [1, 2, 3]})
        found["sum"] = frame.lazy().select(polars.col("a").sum()).collect().item()
        with tempfile.TemporaryDirectory() as folder:
            frame.write_parquet(folder + "/a.parquet")
            found["rows"] = polars.read_parquet(folder + "/a.parquet").height
        thread = threading.Thread(target=lambda: found.update(thread=1))
        thread.start(); thread.join()
        child = os.fork()
        if not child:
            os._exit(7)
        found["fork"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    """
    found: dict[str, Any] = ask(tmp_path, code, readable=(Path(site),))
    assert found == {"weights": [1.0, 2.0, 3.0], "sum": 6, "rows": 3, "thread": 1, "fork": 7}


def test_limits_hold(tmp_path: Path) -> None:
    code = """
        found["memory"] = attempt(lambda: bytearray(600 * 2**20))
        def fill():
            with open("big", "wb") as file:
                for _ in range(3):
                    file.write(b"x" * 2**20)
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        found["file"] = attempt(fill)
        found["files"] = attempt(lambda: [open("mine", "w") for _ in range(100)])
    """
    limits = Limits(address_space_bytes=512 * MIB, file_bytes=2 * MIB, open_files=32)
    assert ask(tmp_path, code, limits=limits) == {"memory": "MemoryError", "file": "OSError", "files": "OSError"}


def test_a_readable_secret_stops_it_before_anything_runs(tmp_path: Path) -> None:
    secret = tmp_path / "model" / "token"
    secret.parent.mkdir()
    secret.write_text("secret")
    marker = tmp_path / "inside" / "marker"
    with pytest.raises(SandboxMissingError, match=f"it may read {secret}"):
        start(tmp_path, f"open({str(marker)!r}, 'w')", readable=(secret.parent,), forbidden=(secret,))
    assert not marker.exists()


def test_how_a_process_ended_is_told(tmp_path: Path) -> None:
    ended = _run_to_its_end(tmp_path, "raise SystemExit(3)")
    assert ended.exit_code == 3
    crashed = _run_to_its_end(tmp_path, "import ctypes; ctypes.string_at(0)")
    assert crashed.signal == signal.SIGSEGV


def test_killing_it_ends_all_it_started(tmp_path: Path) -> None:
    running = start(tmp_path, "import os, time; os.fork(); os.setsid() if os.getpid() != 1 else 0; time.sleep(600)")
    inside = _wait_for_children(running.pid, 2)
    running.kill()
    assert _wait_until_gone(inside)


def test_it_dies_with_whoever_started_it(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from penstock.compute.sandbox.sandbox import start_in_sandbox
from penstock.compute.sandbox.types import SandboxPlan
folder = Path({str(tmp_path)!r})
plan = SandboxPlan(python=Path(sys.executable), argv=("-I", "-c", "while True: pass"), folder=folder / "in")
print(start_in_sandbox(plan, folder / "log").pid, flush=True)
time.sleep(600)
"""
    asker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert asker.stdout is not None
    shepherd = int(asker.stdout.readline())
    started = [psutil.Process(shepherd), *_wait_for_children(shepherd, 1)]
    asker.kill()
    asker.wait()
    asker.stdout.close()
    assert _wait_until_gone(started)


WITHOUT = """
import errno, sys
from penstock.compute.sandbox import bpf, kernel
from penstock.compute.sandbox.sandbox import find_missing
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
architecture = {{"x86_64": 0xC000003E, "aarch64": 0xC00000B7}}[kernel.machine()]
number = {number}[kernel.machine() == "aarch64"]
error = bpf.refuse_with(errno.{error})
kernel.install_filter(bpf.assemble([bpf.begin(architecture), bpf.on_call(number, error), bpf.end()]))
print(find_missing())
"""


def test_a_system_without_landlock_has_no_sandbox() -> None:
    assert "no Landlock" in _run_without((444, 444), "ENOSYS")


def test_a_system_without_namespaces_has_the_rest() -> None:
    assert _run_without((272, 97), "EPERM") == ""


def _run_without(number: tuple[int, int], error: str) -> str:
    """What a system lacks whose kernel refuses a call, on x86_64 and on aarch64."""
    code = WITHOUT.format(number=number, error=error)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _run_to_its_end(folder: Path, code: str) -> Result:
    running = start(folder, code)
    result = running.wait(PATIENCE_S)
    running.kill()
    assert result is not None
    return result


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _wait_for_children(pid: int, count: int) -> list[psutil.Process]:
    for _ in range(600):
        children = psutil.Process(pid).children(recursive=True)
        if len(children) >= count:
            return children
        time.sleep(0.05)
    raise AssertionError(f"process {pid} started no {count} processes")


def _wait_until_gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
