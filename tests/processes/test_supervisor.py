"""The supervisor keeps its processes alive, ever more slowly when they die at once, and stops them in order."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import PATIENCE_S, wait_until
from penstock.core.errors import ConflictError, InvalidInputError, UnavailableError
from penstock.processes.listener import open_listener
from penstock.processes.supervisor import SHORTEST_PAUSE_S, Child, ChildSpec, Supervisor

BLOCKS = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); print('up', flush=True); signal.sigwait([15])"
WAITS = f"{BLOCKS}; print('down', flush=True)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
FAILS = "import sys; print('2026-01-01 00:00:00,000 ERROR a.b: there is no disk', flush=True); sys.exit(3)"


def spec(name: str, program: str = WAITS, *sockets: socket.socket, **environment: str) -> ChildSpec:
    return ChildSpec(name, [sys.executable, "-c", program], list(sockets), environment)


class Running:
    """A supervisor at work on a thread."""

    def __init__(self, folder: Path, *specs: ChildSpec) -> None:
        self.logs = folder / "logs"
        self.told: list[str] = []
        self.supervisor = Supervisor(specs, self.logs, self.told.append)
        self._thread = threading.Thread(target=self.supervisor.watch)

    def __enter__(self) -> "Running":
        self.supervisor.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.supervisor.request_stop()
        self._thread.join()

    def log(self, name: str) -> list[str]:
        path = self.logs / f"{name}.log"
        return path.read_text().splitlines() if path.exists() else []


def test_a_process_that_is_killed_is_started_again_and_it_is_told(tmp_path: Path) -> None:
    with Running(tmp_path, spec("one")) as running:
        wait_until(lambda: running.log("one") == ["up"])
        before = running.supervisor.pids["one"]
        assert before is not None
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: running.log("one") == ["up", "up"])
        assert running.supervisor.pids["one"] not in (None, before)
        wait_until(lambda: running.told == ["one was ended by SIGKILL; started again"])
    assert running.log("one") == ["up", "up", "down"]


def test_a_process_that_always_fails_is_started_ever_more_slowly(tmp_path: Path) -> None:
    child = Child(spec("bad", FAILS), tmp_path)
    child.start()
    pauses = []
    for _ in range(3):
        began = time.monotonic()
        while child.restart_if_dead() is None:
            time.sleep(0.01)
        pauses.append(time.monotonic() - began)
    assert child.restarts == 3
    assert pauses[1] > SHORTEST_PAUSE_S / 2  # the child's own life, before the watch began, counts as well
    assert pauses[2] > pauses[1]
    child.stop()
    child.wait_stopped(time.monotonic() + 10)


def test_a_process_that_never_starts_is_named_with_what_it_wrote_last(tmp_path: Path) -> None:
    with Running(tmp_path, spec("good"), spec("bad", FAILS)) as running:
        with pytest.raises(UnavailableError) as refusal:
            wait_until(running.supervisor.check_started)
        assert refusal.value.message == "the bad does not start: there is no disk"
        assert refusal.value.hint == f"see {tmp_path / 'logs' / 'bad.log'}"


def test_what_cannot_be_started_again_just_now_is_tried_until_it_can(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\n{WAITS}\n")
    program.chmod(0o700)
    with Running(tmp_path, ChildSpec("one", [str(program)], [], {})) as running:
        wait_until(lambda: running.log("one") == ["up"])
        program.rename(tmp_path / "away")
        pid = running.supervisor.pids["one"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: any(line.startswith("one cannot be started: ") for line in running.told))
        (tmp_path / "away").rename(program)
        wait_until(lambda: running.log("one") == ["up", "up"])


def test_a_log_that_has_grown_large_is_put_aside_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.processes.supervisor.LOG_LIMIT_BYTES", 1_000)
    talks = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"
    with Running(tmp_path, spec("one", talks)) as running:
        aside = running.logs / "one.log.1"
        wait_until(aside.exists)
        wait_until(lambda: 0 < (running.logs / "one.log").stat().st_size < 100_000)
        wait_until(lambda: running.log("one")[-1] == "x" * 99)


def test_a_program_that_does_not_exist_is_an_error_at_once(tmp_path: Path) -> None:
    nothing = ChildSpec("none", ["/nowhere/at/all"], [], {})
    with pytest.raises(FileNotFoundError):
        Supervisor([nothing], tmp_path, print).start()


def test_processes_are_stopped_in_the_opposite_order(tmp_path: Path) -> None:
    order = tmp_path / "order"
    program = f"{BLOCKS}; open({str(order)!r}, 'a').write(NAME)"
    names = ("a", "b", "c")
    with Running(tmp_path, *(spec(name, program.replace("NAME", repr(name))) for name in names)) as running:
        wait_until(lambda: all(running.log(name) for name in names))
    assert order.read_text() == "cba"


def test_a_process_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    child = Child(spec("stubborn", STUBBORN), tmp_path)
    child.start()
    wait_until(lambda: (tmp_path / "stubborn.log").read_text() == "up\n")
    child.stop()
    child.wait_stopped(time.monotonic() + 0.1)
    assert child.pid is None


def test_a_process_gets_its_environment_and_the_number_of_its_supervisor(tmp_path: Path) -> None:
    program = "import os; print(os.environ['COLOUR'], os.environ['PENSTOCK_PARENT'])"
    child = Child(spec("one", program, COLOUR="blue"), tmp_path)
    child.start()
    wait_until(lambda: child.pid is None)
    assert (tmp_path / "one.log").read_text() == f"blue {os.getpid()}\n"


def test_a_listener_outlives_the_process_that_answers_on_it(tmp_path: Path) -> None:
    listener = open_listener("127.0.0.1", 0, what="server", option="--port")
    program = (
        f"import socket; listener = socket.socket(fileno={listener.fileno()})\n"
        "while True: listener.accept()[0].sendall(b'hello')"
    )
    with contextlib.closing(listener), Running(tmp_path, spec("one", program, listener)) as running:
        assert ask(listener) == b"hello"
        pid = running.supervisor.pids["one"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: running.supervisor.pids["one"] != pid)  # a call it had taken already would die with it
        assert ask(listener) == b"hello"
        wait_until(lambda: running.told)


def ask(listener: socket.socket) -> bytes:
    with socket.create_connection(listener.getsockname(), timeout=PATIENCE_S) as connection:
        return connection.recv(100)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_named_with_the_option_that_changes_it(taken: int) -> None:
    with pytest.raises(ConflictError) as refusal:
        open_listener("127.0.0.1", taken, what="gateway", option="--gateway-port")
    assert refusal.value.message == f"the gateway cannot listen on 127.0.0.1:{taken}: Address already in use"
    assert "--gateway-port" in refusal.value.hint


@pytest.mark.parametrize("host", ["nowhere.invalid", "203.0.113.7", "not a host"])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(ConflictError, match="cannot listen on"):
        open_listener(host, 0, what="server", option="--port")


@pytest.mark.parametrize("port", [-1, 65_536, 10**9])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(InvalidInputError, match=f"the server has no port {port}"):
        open_listener("127.0.0.1", port, what="server", option="--port")
