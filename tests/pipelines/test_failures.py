"""What goes wrong in runs, and that each still comes to one end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from factories import database_url
from patience import PATIENCE_S, wait_until
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, UnavailableError
from penstock.pipelines.service import PipelineService
from penstock.pipelines.types import StepStatus
from penstock.tracking.types import RunStatus
from pipelines.workshop import Workshop, open_workshop, people, write_light

TESTS = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    shop = open_workshop(tmp_path)
    yield shop
    shop.db.close()


def worker_command(shop: Workshop) -> list[str]:
    """What starts the worker `one`, whose claims last 20 s."""
    script = TESTS / "pipelines" / "run_worker.py"
    return [sys.executable, str(script), str(shop.folder), database_url(shop.folder), "one", "20"]


def error_of(shop: Workshop, run_id: str) -> str:
    run = shop.pipelines.get_run(run_id)  # type: ignore[arg-type]
    assert run.status is RunStatus.FAILED
    assert shop.tracking.get_run(run.id).status is RunStatus.FAILED
    return run.error


def run_once(shop: Workshop) -> str:
    run = shop.pipelines.request_run("tiny")
    assert shop.worker().work_once()
    return run.id


# The light pipeline ends with a number for a model, so its last step always says this.
NO_MODEL = "step 'evaluate' failed: the candidate's test rows are a int"


def test_a_failing_step_is_tried_again_and_reported_with_its_message_and_place(shop: Workshop) -> None:
    write_light(shop, "raise ValueError('no such luck')", retries=1)
    run_id = run_once(shop)
    told = "step 'second' failed after 2 tries: ValueError: no such luck (pipeline.py, line 30)"
    assert error_of(shop, run_id) == told
    assert shop.marks() == ["first", "second", "second"]
    second = shop.steps(run_id)["second"]
    assert (second.status, second.attempt) == (StepStatus.FAILED, 2)
    assert second.message == "ValueError: no such luck (pipeline.py, line 30)"
    log = shop.artifacts.get_artifact(second.run_id, "steps/second.log")
    assert b"Traceback" in shop.objects.get_bytes(log.digest)
    failed = [entry for entry in shop.entries if entry.action == "pipelines.run_failed"]
    assert [entry.detail["error"] for entry in failed] == [told]


def test_a_step_that_succeeds_at_its_second_try_is_finished(shop: Workshop) -> None:
    write_light(shop, "if MARKS.read_text().count('second') < 2:\n    sys.exit('not yet')", retries=2)
    run_id = run_once(shop)
    assert NO_MODEL in error_of(shop, run_id)
    assert (shop.steps(run_id)["second"].status, shop.steps(run_id)["second"].attempt) == (StepStatus.FINISHED, 2)


def test_a_resumed_run_does_not_run_its_finished_steps_again(shop: Workshop) -> None:
    write_light(shop, "raise ValueError('not yet')")
    run_id = run_once(shop)
    write_light(shop)
    shop.pipelines.resume_run(run_id)  # type: ignore[arg-type]
    assert shop.worker().work_once()
    assert NO_MODEL in error_of(shop, run_id)
    assert shop.marks() == ["first", "second", "second"]
    assert [step.status for step in shop.steps(run_id).values()] == ["finished", "finished", "failed"]


def test_a_child_that_is_killed_without_a_word_is_started_again(shop: Workshop) -> None:
    write_light(shop, "if MARKS.read_text().count('second') < 2:\n    os.kill(os.getpid(), signal.SIGKILL)")
    run_id = run_once(shop)
    assert shop.steps(run_id)["second"].status is StepStatus.FINISHED
    assert shop.marks() == ["first", "second", "second"]


def test_a_child_that_is_always_killed_fails_its_run(shop: Workshop) -> None:
    write_light(shop, "print('eating memory', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
    run_id = run_once(shop)
    told = "step 'second' failed: the process was killed by SIGKILL (out of memory?); it last said: eating memory"
    assert error_of(shop, run_id) == told


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("import no_such_module\n", "cannot be traced: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def train(): pass\n", "'pipeline:train' is no pipeline; put @penstock.pipeline above it"),
        ("x = 1\n", "module 'pipeline' defines no 'train'; see pipeline.entry"),
        ("def (\n", "pipeline.py is no Python: "),
    ],
)
def test_a_pipeline_that_cannot_be_traced_says_why(shop: Workshop, broken: str, told: str) -> None:
    (shop.root / "pipeline.py").write_text(broken)
    assert told in error_of(shop, run_once(shop))


def test_a_broken_project_file_fails_the_run_with_its_mistakes(shop: Workshop) -> None:
    worker = shop.worker()
    (shop.root / "penstock.toml").write_text('[project]\nname = "tiny"\ntask = "binry"\n')
    run = shop.pipelines.request_run("tiny")
    assert worker.work_once()
    assert "penstock.toml:3: project.task: 'binry' is not one of" in error_of(shop, run.id)


def test_rows_that_break_a_check_keep_the_run_from_training(shop: Workshop) -> None:
    (shop.root / "people.csv").write_text(people() + "300,2026-01-01,999,1,0\n")
    run_id = run_once(shop)
    assert "keeps these 301 rows out" in error_of(shop, run_id)
    assert shop.steps(run_id) == {}


def test_a_run_of_another_project_is_left_alone(shop: Workshop) -> None:
    shop.pipelines.request_run("other")
    assert not shop.worker().work_once()


def test_a_cancelled_run_stops_its_child(shop: Workshop) -> None:
    write_light(shop, "time.sleep(600)")
    run = shop.pipelines.request_run("tiny")
    worker = shop.worker(ttl_s=0.6)
    thread = threading.Thread(target=worker.work_once)
    thread.start()
    wait_until(lambda: "second" in shop.marks(), "the second step")
    shop.pipelines.cancel_run(run.id, reason="not needed")
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert shop.pipelines.get_run(run.id).status is RunStatus.KILLED


def test_a_stopped_worker_gives_its_run_back_at_once(shop: Workshop) -> None:
    write_light(shop, "if MARKS.read_text().count('second') < 2:\n    time.sleep(600)")
    run = shop.pipelines.request_run("tiny")
    worker = shop.worker("one")
    thread = threading.Thread(target=worker.work_once)
    thread.start()
    wait_until(lambda: "second" in shop.marks(), "the second step")
    worker.stop()
    worker.place.compute.close()
    thread.join(PATIENCE_S)
    assert shop.pipelines.get_run(run.id).status is RunStatus.RUNNING
    assert shop.worker("two").work_once()
    assert NO_MODEL in error_of(shop, run.id)
    assert shop.marks() == ["first", "second", "second"]


def test_a_killed_worker_leaves_nothing_running_and_its_successor_goes_on(shop: Workshop) -> None:
    keep_pid = "(MARKS.parent / 'pid').write_text(str(os.getpid()))"
    write_light(shop, keep_pid + "\nif MARKS.read_text().count('second') < 2:\n    time.sleep(600)")
    run = shop.pipelines.request_run("tiny")
    process = subprocess.Popen(worker_command(shop), env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: (shop.root / "pid").exists() and (shop.root / "pid").read_text(), "the second step")
        child = int((shop.root / "pid").read_text())
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not _is_alive(child), "the end of the child")
    assert not shop.worker("two").work_once()  # its claim is not over
    assert shop.worker("one").work_once()
    assert NO_MODEL in error_of(shop, run.id)
    assert shop.marks() == ["first", "second", "second"]
    assert shop.pipelines.get_run(run.id).fence == 2


POINTS = [
    "pipelines.record_step=kill@2",
    *(pytest.param(f"pipelines.record_step=kill@{number}", marks=pytest.mark.slow) for number in (1, 4)),
    "compute.start=kill@2",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_is_followed_by_one_end(shop: Workshop, point: str) -> None:
    write_light(shop)
    run = shop.pipelines.request_run("tiny")
    environment = ENVIRONMENT | {"PENSTOCK_FAILPOINTS": point}
    ended = subprocess.run(worker_command(shop), env=environment, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
    assert ended.returncode == -signal.SIGKILL
    assert shop.pipelines.get_run(run.id).status is RunStatus.RUNNING
    assert shop.worker("one").work_once()
    assert NO_MODEL in error_of(shop, run.id)
    assert [step.status for step in shop.steps(run.id).values()] == ["finished", "finished", "failed"]
    ends = [entry.action for entry in shop.entries if entry.action in ("pipelines.run_failed", "tracking.end_run")]
    assert sorted(ends) == ["pipelines.run_failed", "tracking.end_run"]


def test_a_worker_that_slept_too_long_can_do_no_harm(tmp_path: Path) -> None:
    clock = ManualClock()
    shop = open_workshop(tmp_path, clock)
    run = shop.pipelines.request_run("tiny")
    first = shop.pipelines.claim_run("tiny", "one", 20.0)
    clock.advance(seconds=21)
    second = shop.pipelines.claim_run("tiny", "two", 20.0)
    assert first is not None and second is not None
    assert (first.id, first.fence, second.fence) == (run.id, 1, 2)
    for verb in (
        lambda: shop.pipelines.renew_claim(run.id, 1, 20.0),
        lambda: shop.pipelines.fail_run(run.id, 1, "too late"),
        lambda: shop.pipelines.release_claim(run.id, 1),
    ):
        with pytest.raises(ConflictError, match="given to another worker"):
            verb()
    shop.pipelines.fail_run(run.id, 2, "in time")
    shop.pipelines.fail_run(run.id, 2, "in time")
    assert shop.pipelines.get_run(run.id).error == "in time"
    shop.db.close()


class Flaky:
    """A port whose every other call finds no server: once before, once after it had its effect."""

    def __init__(self, service: PipelineService) -> None:
        self._service = service
        self._calls = 0

    def __getattr__(self, name: str) -> object:
        verb = getattr(self._service, name)

        def call(*args: object, **kwargs: object) -> object:
            self._calls += 1
            if self._calls % 3 == 0:
                raise UnavailableError("no server")
            result = verb(*args, **kwargs)
            if self._calls % 3 == 1 and name not in ("claim_run", "has_work"):
                raise UnavailableError("no answer")
            return result

        return call


def test_a_worker_outlives_a_server_that_comes_and_goes(shop: Workshop) -> None:
    write_light(shop)
    run = shop.pipelines.request_run("tiny")
    port = open_workshop(shop.folder)
    port.pipelines = Flaky(shop.pipelines)  # type: ignore[assignment]
    worker = shop.worker(port=port)
    wait_until(lambda: worker.work_once() or shop.pipelines.get_run(run.id).status.is_terminal, "the end")
    assert NO_MODEL in error_of(shop, run.id)
    assert shop.marks() == ["first", "second"]
    port.db.close()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
