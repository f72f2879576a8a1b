"""Jobs as processes: how they end, and that nothing of them is left."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compute.jobs import forked, spawned
from patience import PATIENCE_S, wait_until
from penstock.compute.local_process import LocalProcess
from penstock.compute.types import Job, Result

JobMaker = Callable[..., Job]


@pytest.fixture
def compute() -> Iterator[LocalProcess]:
    compute = LocalProcess()
    yield compute
    compute.close()


@pytest.fixture(params=[spawned, forked])
def job(request: pytest.FixtureRequest) -> JobMaker:
    made: JobMaker = request.param
    return made


def run(compute: LocalProcess, job: Job) -> Result:
    result = compute.start(job).wait(PATIENCE_S)
    assert result is not None
    return result


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def read_pid(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


LEAVE_A_GRANDCHILD = """
    import os, pathlib, time
    if os.fork() == 0:
        pathlib.Path("grandchild.new").write_text(f"{os.getpid()}\\n")
        os.rename("grandchild.new", "grandchild")
        time.sleep(600)
    while not os.path.exists("grandchild"):
        time.sleep(0.01)
"""


def test_output_goes_to_the_log_and_the_exit_code_is_told(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    result = run(compute, job(tmp_path, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (result.exit_code, result.is_success) == (3, False)
    assert sorted((tmp_path / "job.log").read_text().split()) == ["err", "out"]
    assert result.describe() == "ended with exit code 3"


def test_a_second_job_adds_to_the_same_log(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    for number in range(2):
        assert run(compute, job(tmp_path, f"print({number})")).is_success
    assert (tmp_path / "job.log").read_text() == "0\n1\n"


def test_the_environment_is_added_to_ones_own(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(0 if os.environ['MARK'] == 'x' and os.environ['PATH'] else 1)"
    assert run(compute, job(tmp_path, code, env={"MARK": "x"})).is_success


def test_peak_memory_and_cpu_time_are_measured(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    small = run(compute, job(tmp_path, "pass")).peak_memory_bytes
    large = run(compute, job(tmp_path, "b = b'x' * 150_000_000")).peak_memory_bytes
    assert small is not None and large is not None
    assert large - small > 140_000_000


def test_a_signal_is_told_by_name(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    result = run(compute, job(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    assert (result.exit_code, result.signal) == (None, signal.SIGSEGV)
    assert result.describe() == "was killed by SIGSEGV"


def test_a_command_that_is_not_there_says_so_in_its_log(compute: LocalProcess, tmp_path: Path) -> None:
    missing = Job(argv=("/no/such/command",), cwd=tmp_path, log=tmp_path / "job.log")
    assert run(compute, missing).exit_code == 127
    assert "cannot run '/no/such/command': No such file or directory" in (tmp_path / "job.log").read_text()


def test_a_timeout_ends_the_whole_group(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    result = run(compute, job(tmp_path, LEAVE_A_GRANDCHILD + "    time.sleep(600)\n", timeout_s=2))
    assert result.timed_out and not result.is_success
    wait_until(lambda: not is_alive(read_pid(tmp_path / "grandchild")))


def test_what_a_finished_command_left_running_is_ended(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    assert run(compute, job(tmp_path, LEAVE_A_GRANDCHILD)).is_success
    wait_until(lambda: not is_alive(read_pid(tmp_path / "grandchild")))


def test_a_cancelled_job_ends(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    task = compute.start(job(tmp_path, "import time; time.sleep(600)"))
    task.cancel()
    result = task.wait(PATIENCE_S)
    assert result is not None and result.cancelled and not result.is_success
    task.cancel()


def test_a_job_outlives_the_thread_that_started_it(compute: LocalProcess, job: JobMaker, tmp_path: Path) -> None:
    tasks = []
    thread = threading.Thread(target=lambda: tasks.append(compute.start(job(tmp_path, "import time; time.sleep(0.5)"))))
    thread.start()
    thread.join()
    result = tasks[0].wait(PATIENCE_S)
    assert result is not None and result.is_success


PARENT = """
import sys, time
from pathlib import Path
from compute import jobs
from penstock.compute.local_process import LocalProcess
LocalProcess().start(getattr(jobs, sys.argv[3])(Path(sys.argv[1]), sys.argv[2]))
time.sleep(600)
"""
SLEEPER = """
import os, pathlib, time
pathlib.Path("pid.new").write_text(f"{os.getpid()} {os.getppid()}\\n")
os.rename("pid.new", "pid")
time.sleep(600)
"""


@pytest.fixture
def parent(job: JobMaker, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    argv = [sys.executable, "-c", PARENT, str(tmp_path), SLEEPER, job.__name__]
    process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("victim", ["parent", "shepherd"])
def test_a_command_dies_with_whoever_started_it(parent: "subprocess.Popen[bytes]", tmp_path: Path, victim: str) -> None:
    wait_until((tmp_path / "pid").exists)
    command, shepherd = map(int, (tmp_path / "pid").read_text().split())
    os.kill(parent.pid if victim == "parent" else shepherd, signal.SIGKILL)
    wait_until(lambda: not is_alive(command))
