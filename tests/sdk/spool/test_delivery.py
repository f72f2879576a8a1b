"""What `log` returned for arrives once: over kills of client and server, outages, forks, full disks and torn ends."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock as ps
from patience import PATIENCE_S, wait_until
from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.errors import ConflictError
from penstock.core.ids import RunId
from penstock.remote.remote import open_remote
from penstock.sdk.spool import sending, writer
from penstock.sdk.spool.folder import adopt_spool, list_spools
from penstock.sdk.spool.orphans import deliver_orphan
from penstock.tracking.types import RunStatus
from sdk.spool.servers import Server, start_client

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENSTOCK_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    opened = open_app(Config(home=tmp_path / "home"))
    yield opened
    opened.close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(tmp_path / "home")
    monkeypatch.setenv("PENSTOCK_URL", made.url)
    yield made
    made.kill()


def steps_of(services: Services, run_id: str, key: str = "loss") -> list[int]:
    steps, after = [], ""
    while True:
        page = services.tracking.metric_history(RunId(run_id), key, after=after)
        steps += [point.step for point in page.points]
        if not page.next:
            return steps
        after = page.next


def sync(root: Path, services: Services) -> list[int]:
    """Deliver all that waits; how many records each spool had left."""
    counts = []
    for path in list_spools(root):
        folder = adopt_spool(path)
        assert folder is not None
        counts.append(deliver_orphan(folder, services).delivered)
    return counts


def test_all_that_a_killed_client_was_told_is_there_once(root: Path, services: Services) -> None:
    code = """
run = ps.start_run("killed", params={"rate": 0.1})
print(run.id)
for step in range(1_000_000):
    run.log(loss=step / 7, step=step)
    os.write(1, b"%d\\n" % step)
"""
    client = start_client(code, PENSTOCK_URL=NOWHERE)
    assert client.stdout is not None
    run_id = client.stdout.readline().strip()
    told = [int(client.stdout.readline()) for _ in range(1_000)]
    client.send_signal(signal.SIGKILL)
    told += [int(line) for line in client.stdout.read().split("\n")[:-1]]
    client.communicate()
    assert sync(root, services) != []
    found = steps_of(services, run_id)
    assert found[: len(told)] == told
    assert found == list(range(len(found)))
    assert len(found) <= len(told) + 1
    run = services.tracking.get_run(RunId(run_id))
    assert (run.status, run.params) == (RunStatus.KILLED, {"rate": "0.1"})
    assert list(list_spools(root)) == []


def test_a_torn_end_is_left_out_and_what_is_before_it_arrives(root: Path, services: Services) -> None:
    code = """
run = ps.start_run("torn")
for step in range(50):
    run.log(loss=step, step=step)
print(run.id, flush=True)
os.kill(os.getpid(), 9)
"""
    run_id = start_client(code, PENSTOCK_URL=NOWHERE).communicate()[0].strip()
    (path,) = list_spools(root)
    (segment,) = path.glob("*.records")
    segment.write_bytes(segment.read_bytes()[:-5])
    sync(root, services)
    assert steps_of(services, run_id) == list(range(49))


def test_a_spool_of_many_segments_is_delivered_while_it_grows(
    root: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SEGMENT_BYTES", 4096)
    server.start()
    run = ps.start_run("long")
    segments = set()
    for round_ in range(3):
        for step in range(1_000):
            run.log(loss=step, step=round_ * 1_000 + step)
        segments |= {path.name for path in root.glob("*/*.records")}
        assert run.flush(30)
    assert len(segments) > 3
    assert len(list(root.glob("*/*.records"))) <= 2  # what is delivered is gone
    run.end()
    assert list(list_spools(root)) == []
    services = open_remote(server.url)
    assert steps_of(services, run.id) == list(range(3_000))
    services.close()


def test_an_outage_under_load_loses_and_doubles_nothing(root: Path, server: Server) -> None:
    server.start()
    longest = 0.0
    with ps.start_run("outage") as run:
        for step in range(3_000):
            if step == 1_000:
                server.kill()
            if step == 2_000:
                threading.Thread(target=server.start).start()
            began = time.perf_counter()
            run.log(loss=step, step=step)
            longest = max(longest, time.perf_counter() - began)
            if step % 40 == 0:
                time.sleep(0.01)
        assert run.flush(PATIENCE_S)
    services = open_remote(server.url)
    assert steps_of(services, run.id) == list(range(3_000))
    assert services.tracking.get_run(run.id).status is RunStatus.FINISHED
    services.close()
    assert list(list_spools(root)) == []
    print(f"the longest call took {longest * 1000:.1f} ms")


def test_what_was_left_of_a_run_comes_before_what_goes_on_with_it(root: Path, server: Server) -> None:
    code = """
run = ps.start_run("left")
for step in range(10):
    run.log(loss=step, step=step)
print(run.id, flush=True)
os.kill(os.getpid(), 9)
"""
    run_id = start_client(code).communicate()[0].strip()
    with ps.start_run(run_id=run_id) as run:
        run.log(loss=10, step=10)
        assert not run.flush(1.0)  # nobody answers yet
        server.start()
        assert run.flush(PATIENCE_S)
    services = open_remote(server.url)
    assert steps_of(services, run_id) == list(range(11))
    assert services.tracking.get_run(RunId(run_id)).status is RunStatus.FINISHED
    actions = [event.action for event in services.governance.list_events(subject=f"run:{run_id}")]
    expected = ["create_run", "end_run", "resume_run", "end_run"]
    assert [f"tracking.{action}" for action in expected] == [action for action in actions if "seal" not in action]
    services.close()


@pytest.mark.slow
def test_a_run_waits_at_its_end_for_as_long_as_something_is_on_its_way(
    root: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AWAY_WAIT_S", 3.0)
    run = ps.start_run("backlog")
    for step in range(50_000):
        run.log(loss=step, step=step)
    assert not run.flush(0.5)
    server.start(PENSTOCK_FAILPOINTS="storage.writer.before_commit=sleep:0.4")
    run.end()
    assert list(list_spools(root)) == []


@pytest.mark.parametrize("place", ["storage.writer.after_commit", "storage.writer.before_commit"])
def test_a_server_killed_around_its_commit_applies_a_batch_once(root: Path, server: Server, place: str) -> None:
    server.start(PENSTOCK_FAILPOINTS=f"{place}=kill@3")
    run = ps.start_run("commit")
    for step in range(200):
        run.log(loss=0.5, step=step)
        run.log(loss=0.5, step=step)  # alike, and two points all the same
        if step % 50 == 0:
            run.flush(0.2)
    server.wait_killed()
    server.start()
    assert run.flush(PATIENCE_S)
    run.end()
    services = open_remote(server.url)
    assert sorted(steps_of(services, run.id)) == sorted([*range(200), *range(200)])
    services.close()


def test_a_run_can_begin_and_end_while_no_server_has_ever_answered(root: Path, server: Server, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("what it was about")
    run = ps.start_run("offline", params={"model": {"depth": 3, "kind": "tree"}}, tags={"team": "a"})
    for value in (float("nan"), float("inf"), -float("inf"), -0.0, 5e-324):
        run.log(odd=value)
    run.log_artifact(tmp_path / "note.txt")
    (tmp_path / "note.txt").write_text("something else by now")
    run.end(wait_s=0.2)
    assert len(list(list_spools(root))) == 1
    server.start()
    wait_until(lambda: not list(list_spools(root)))  # this process still lives, and delivers it
    services = open_remote(server.url)
    found = services.tracking.get_run(run.id)
    assert found.params == {"model.depth": "3", "model.kind": "tree"}
    values = [point.number for point in services.tracking.metric_history(run.id, "odd").points]
    assert list(map(repr, values)) == ["nan", "inf", "-inf", "-0.0", "5e-324"]
    (kept,) = services.artifacts.list_artifacts(run.id)
    assert services.objects.get_bytes(kept.digest) == b"what it was about"
    services.close()


def test_two_that_sync_the_same_spool_deliver_it_once(root: Path, services: Services) -> None:
    code = "run = ps.start_run('two')\nfor step in range(5_000): run.log(loss=1.0, step=step)\nos.kill(os.getpid(), 9)"
    start_client(code, PENSTOCK_URL=NOWHERE).communicate()
    (path,) = list_spools(root)
    run_id = path.name[27:]
    reports = []

    def deliver() -> None:
        folder = adopt_spool(path)
        if folder is not None:
            reports.append(deliver_orphan(folder, services))

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.delivered for report in reports) == 5_002 - 1
    assert steps_of(services, run_id) == list(range(5_000))


def test_what_the_server_refuses_is_kept_and_the_rest_goes_on(
    root: Path, services: Services, capfd: pytest.CaptureFixture[str]
) -> None:
    run = ps.start_run("refused", params={"rate": 1}, services=services)
    assert run.flush()
    again = ps.start_run(run_id=run.id, services=services)
    again.log_params({"rate": 2})
    again.log(loss=1.0)
    again.end()
    run.end()
    assert services.tracking.get_run(run.id).params == {"rate": "1"}
    assert steps_of(services, run.id) == [0]
    (kept,) = root.glob("*.rejected")
    assert '"rate"' in kept.read_text()
    assert capfd.readouterr().err.count("Changing param values is not allowed") == 1


def test_a_forked_child_logs_to_the_same_run_and_does_not_end_it(root: Path, services: Services) -> None:
    with ps.start_run("forked", services=services) as run:
        run.log(loss=0.0, step=0)
        child = os.fork()
        if child == 0:
            try:
                run.log(loss=1.0, step=1)
                run.end(wait_s=0.0)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        run.log(loss=2.0, step=2)
    assert steps_of(services, run.id) == [0, 1, 2]
    assert services.tracking.get_run(run.id).status is RunStatus.FINISHED
    assert list(list_spools(root)) == []


def test_many_threads_and_runs_at_once_keep_their_order(root: Path, services: Services) -> None:
    runs = [ps.start_run("many", services=services) for _ in range(3)]

    def log(number: int) -> None:
        for step in range(300):
            for run in runs:
                run.log({f"m{number}": step}, step=step)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in runs:
        run.end()
        for number in range(4):
            assert steps_of(services, run.id, f"m{number}") == list(range(300))


def test_a_signal_handler_may_log_in_the_middle_of_a_call(root: Path, services: Services) -> None:
    run = ps.start_run("signal", services=services)
    heard: list[int] = []

    def hear(*_: object) -> None:
        number = len(heard)
        heard.append(number)
        run.log(heard=1.0, step=number)

    before = signal.signal(signal.SIGALRM, hear)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for step in range(20_000):
            run.log(loss=1.0, step=step)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    run.end()
    assert heard
    assert steps_of(services, run.id) == list(range(20_000))
    assert sorted(steps_of(services, run.id, "heard")) == sorted(heard)  # one may interrupt another


def test_a_full_disk_is_told_and_what_it_has_no_room_for_arrives_from_memory(root: Path, tmp_path: Path) -> None:
    code = """
import resource
from penstock.app.app import open_app
from penstock.core.config import Config
from pathlib import Path
run = ps.start_run("full")
print(run.id, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
for step in range(2_000):
    run.log(loss=1.0, step=step)
    if step % 100 == 0: time.sleep(0.01)
assert run.flush(100)
run.end()
"""
    made = Server(tmp_path / "home")
    made.start()
    try:
        client = start_client(code, PENSTOCK_URL=made.url)
        out, err = client.communicate(timeout=PATIENCE_S)
        assert client.returncode == 0, err
        assert "records wait in memory for room" in err
        assert "lost" not in err
        services = open_remote(made.url)
        assert steps_of(services, out.strip()) == list(range(2_000))
        services.close()
    finally:
        made.kill()


def test_a_run_that_has_ended_takes_nothing_more(root: Path, services: Services) -> None:
    run = ps.start_run("ended", services=services)
    run.end()
    with pytest.raises(ConflictError, match="has ended"):
        run.log(loss=1.0)
    with ps.start_run(run_id=run.id, services=services) as again:
        again.log(loss=1.0, step=7)
    assert steps_of(services, run.id) == [7]


def test_a_child_may_arrive_before_its_parent(root: Path, services: Services) -> None:
    code = """
parent = ps.start_run("family")
child = ps.start_run("family", parent=parent)
print(parent.id, child.id, flush=True)
os.kill(os.getpid(), 9)
"""
    parent, child = start_client(code, PENSTOCK_URL=NOWHERE).communicate()[0].split()
    for path in sorted(list_spools(root), reverse=True):
        folder = adopt_spool(path)
        assert folder is not None
        deliver_orphan(folder, services)
    assert services.tracking.get_run(RunId(child)).parent == parent


@pytest.mark.slow
def test_a_script_that_forgets_to_end_its_run_ends_it_as_it_went(root: Path, server: Server) -> None:
    server.start()
    code = "run = ps.start_run('forgotten')\nrun.log(loss=1.0)\nprint(run.id, flush=True)\nrun.flush()\n"
    fine = start_client(code).communicate(timeout=PATIENCE_S)[0].strip()
    wrong = start_client(f"{code}raise ValueError").communicate(timeout=PATIENCE_S)[0].strip()
    services = open_remote(server.url)
    assert services.tracking.get_run(RunId(fine)).status is RunStatus.FINISHED
    assert services.tracking.get_run(RunId(wrong)).status is RunStatus.FAILED
    services.close()
