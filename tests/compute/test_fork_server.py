"""Jobs that share what they import: one import for all, and each is a process of its own all the same."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compute.jobs import forked
from compute.test_local_process import is_alive, read_pid
from patience import PATIENCE_S, wait_until
from penstock.compute.local_process import LocalProcess
from penstock.compute.types import Job, Result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
TELL = "import os; print(os.getpid(), file=open('imports', 'a'))\nstate = []\n"


@pytest.fixture
def compute() -> Iterator[LocalProcess]:
    compute = LocalProcess()
    yield compute
    compute.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `told` is a library that tells which process imports it."""
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "told.py").write_text(TELL)
    return tmp_path


def run(compute: LocalProcess, job: Job) -> Result:
    result = compute.start(job).wait(PATIENCE_S)
    assert result is not None
    return result


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def use(name: str = "told") -> str:
    return f"import {name}; print({name}.state); {name}.state.append(1)"


def test_a_library_is_imported_once_and_no_job_sees_what_another_did_to_it(compute: LocalProcess, folder: Path) -> None:
    for _ in range(3):
        assert run(compute, forked(folder, use(), "told")).is_success
    assert len(lines(folder / "imports")) == 1
    assert lines(folder / "job.log") == ["[]"] * 3


def test_a_family_that_was_released_imports_anew(compute: LocalProcess, folder: Path) -> None:
    run(compute, forked(folder, use(), "told"))
    run(compute, forked(folder, use(), "told", name="others"))
    compute.release("tests")
    run(compute, forked(folder, use(), "told", name="others"))
    assert len(lines(folder / "imports")) == 2
    run(compute, forked(folder, use(), "told"))
    assert len(lines(folder / "imports")) == 3


def test_jobs_of_other_limits_share_nothing_as_libraries_read_them_when_imported(
    compute: LocalProcess, folder: Path
) -> None:
    code = "import os, told; print(os.environ['OMP_NUM_THREADS'])"
    for cpus in (1.0, 2.0, 1.0):
        run(compute, forked(folder, code, "told", cpus=cpus))
    assert len(lines(folder / "imports")) == 2
    if "OMP_NUM_THREADS" not in os.environ:
        assert lines(folder / "job.log") == ["1", "2", "1"]


def test_the_environment_of_a_job_is_its_own(compute: LocalProcess, folder: Path) -> None:
    code = "import os; print(os.environ.get('STEP'), os.environ.get('OTHER'))"
    run(compute, forked(folder, code, env={"STEP": "a", "OTHER": "x"}))
    run(compute, forked(folder, code, env={"STEP": "b"}))
    assert lines(folder / "job.log") == ["a x", "b None"]


@pytest.mark.parametrize(
    "keeps_apart",
    [
        pytest.param(
            "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", id="thread"
        ),
        pytest.param("import fractions", id="the folder's own"),
    ],
)
def test_what_could_hang_or_differ_is_not_forked(compute: LocalProcess, folder: Path, keeps_apart: str) -> None:
    (folder / "programs" / "told.py").write_text(f"{keeps_apart}\n{TELL}")
    (folder / "fractions.py").write_text("mine = True\n")
    if "thread" in keeps_apart:
        (folder / "fractions.py").unlink()
    code = "import sys; sys.path.insert(0, ''); import fractions\nprint(hasattr(fractions, 'mine'))\n"
    job = forked(folder, code + use(), "told")
    assert run(compute, job).is_success and run(compute, job).is_success
    assert lines(folder / "job.log") == [str("thread" not in keeps_apart), "[]"] * 2
    assert len(lines(folder / "imports")) == 3, "once where it was tried, and once in each job"


def test_what_says_that_it_must_not_be_forked_is_left_to_the_jobs(compute: LocalProcess, folder: Path) -> None:
    code = """
        import sys
        print("polars" in sys.modules, "told" in sys.modules)
        import polars
        print(polars.Series([1, 2]).sum())
    """
    assert run(compute, forked(folder, code, "polars", "polars.col", "told")).is_success
    assert lines(folder / "job.log") == ["False True", "3"]


def test_what_cannot_be_imported_is_for_the_job_to_tell(compute: LocalProcess, folder: Path) -> None:
    (folder / "programs" / "broken.py").write_text("raise RuntimeError('broken as it is')")
    assert run(compute, forked(folder, "import broken", "broken", "no_such_library", "told.state")).exit_code == 1
    assert "broken as it is" in lines(folder / "job.log")[-1]


def test_many_at_once_each_end_in_their_own_way(compute: LocalProcess, folder: Path) -> None:
    codes = [f"import sys, time; time.sleep({number % 3} / 10); sys.exit({number})" for number in range(12)]
    tasks = [compute.start(forked(folder, code, "told")) for code in codes]
    assert [ended.exit_code for task in tasks if (ended := task.wait(PATIENCE_S))] == list(range(12))


def test_a_program_is_main_and_its_own_processes_find_it(compute: LocalProcess, folder: Path) -> None:
    code = """
        import multiprocessing, sys
        def double(n):
            return 2 * n
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(sys.argv[1:], pool.map(double, [4]))
    """
    job = forked(folder, code, "told")
    job = Job(argv=(*job.argv, "one", "two"), cwd=job.cwd, log=job.log, family=job.family)
    assert run(compute, job).is_success, lines(folder / "job.log")
    assert lines(folder / "job.log") == ["['one', 'two'] [8]"]


STAY = """
    import os, pathlib, time
    server = pathlib.Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1]
    for name, pid in [("server", server), ("pid", os.getpid())]:
        pathlib.Path(f"{name}.new").write_text(f"{pid}\\n")
        os.rename(f"{name}.new", name)
    while not os.path.exists("go on"):
        time.sleep(0.01)
    print("done")
"""


def test_a_job_outlives_its_server_and_the_next_one_needs_none(compute: LocalProcess, folder: Path) -> None:
    task = compute.start(forked(folder, STAY, "told"))
    server = read_pid(folder / "server")
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not is_alive(server))
    (folder / "go on").touch()
    ended = task.wait(PATIENCE_S)
    assert ended is not None and ended.is_success
    assert run(compute, forked(folder, use(), "told")).is_success
    assert lines(folder / "job.log") == ["done", "[]"]
    assert len(lines(folder / "imports")) == 2


def test_a_job_whose_server_is_gone_can_be_cancelled(compute: LocalProcess, folder: Path) -> None:
    task = compute.start(forked(folder, STAY, "told"))
    os.kill(read_pid(folder / "server"), signal.SIGKILL)
    job = read_pid(folder / "pid")
    task.cancel()
    ended = task.wait(PATIENCE_S)
    assert ended is not None and ended.cancelled
    wait_until(lambda: not is_alive(job))


def test_a_job_that_stands_still_with_its_shepherd_can_be_cancelled(compute: LocalProcess, folder: Path) -> None:
    task = compute.start(forked(folder, STAY, "told"))
    job = read_pid(folder / "pid")
    os.killpg(os.getpgid(job), signal.SIGSTOP)
    task.cancel()
    ended = task.wait(PATIENCE_S)
    assert ended is not None and ended.cancelled
    wait_until(lambda: not is_alive(job))


def test_one_that_is_cancelled_before_it_began_never_does(compute: LocalProcess, folder: Path) -> None:
    (folder / "programs" / "told.py").write_text("import time; time.sleep(1)")
    task = compute.start(forked(folder, "import time; time.sleep(1); open('began', 'w')", "told"))
    task.cancel()
    ended = task.wait(PATIENCE_S)
    assert ended is not None and ended.cancelled
    assert not (folder / "began").exists()


def test_nothing_is_left_of_a_server_that_was_closed(folder: Path) -> None:
    compute = LocalProcess()
    task = compute.start(forked(folder, STAY, "told"))
    server, job = read_pid(folder / "server"), read_pid(folder / "pid")
    compute.close()
    assert task.is_done
    wait_until(lambda: not is_alive(server) and not is_alive(job))
