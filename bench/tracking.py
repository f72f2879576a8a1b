"""A tracking server under MLflow's protocol: ours beside MLflow's own server and the machine's limits.

    python bench/tracking.py [--rounds 3] [--seconds 4] [--runs 10000] [--cells log,batch,create,history,search,start]
                             [--mlflow .venv-mlflow3] [--json]

Raw requests over kept-alive connections. Servers take turns, round by round, each on a home of its own; the median of
the rounds is shown, and how many times better ours is. `cpu` is the server's processor time for each operation, with
its children; it moves little when the machine is shared. MLflow runs with one worker, which is the better of its
settings here, from the environment that `make test-mlflow` sets up; without one its column stays empty. Limits: an
empty endpoint on the same HTTP server, and sqlite3 with a full sync for each transaction.
"""

import argparse
import contextlib
import json
import os
import random
import selectors
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Figures = dict[str, float]
API = "/api/2.0/mlflow"
BETTER_WHEN_LOW = ("cpu", "ms", "MB")  # how the names of such figures end
FILTER = "metrics.acc > 0.9 and params.lr = '0.01'"
TAGS = [{"key": f"t{n}", "value": f"v{n}"} for n in range(5)]


class Server:
    """One server on a home of its own."""

    def __init__(self, command: list[str], port: int) -> None:
        self.port = port
        began = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self._answers():
            if self.process.poll() is not None:
                raise SystemExit(f"{command[0]} ended with {self.process.returncode}")
            time.sleep(0.01)
        self.start_ms = (time.perf_counter() - began) * 1000

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def family(self) -> list[int]:
        """The server's process and all below it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(ValueError, OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        found = [self.process.pid]
        for pid in found:
            found.extend(child for child, parent in parents.items() if parent == pid)
        return found

    def cpu_s(self) -> float:
        """Processor time so far."""
        total = 0
        for pid in self.family():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait for what it starts late, up to half a minute: that must not count against the first figure."""
        until, before = time.perf_counter() + 30, self.cpu_s()
        while time.perf_counter() < until:
            time.sleep(1)
            now = self.cpu_s()
            if now - before < 0.1:
                return
            before = now

    def memory_mb(self) -> float:
        """Memory held, with pages that are shared counted by their part."""
        total = 0
        for pid in self.family():
            with contextlib.suppress(OSError):
                rolled = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rolled.splitlines() if line.startswith("Pss:"))
        return total / 1024

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)


class Connection:
    """A kept-alive connection that asks and reads one answer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked = 0.0

    def send(self, request: bytes) -> None:
        """Send a request that `build` made."""
        self.asked = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes:
        """The body of the answer; any but 200 ends the program."""
        head, _, body = self._read_until(b"", b"\r\n\r\n").partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        while len(body) < length:
            body += self.socket.recv(1 << 20)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{lines[0].decode()}: {body[:300].decode()}")
        return body

    def _read_until(self, data: bytes, end: bytes) -> bytes:
        while end not in data:
            more = self.socket.recv(1 << 16)
            if not more:
                raise SystemExit("the server closed the connection")
            data += more
        return data

    def call(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """Ask and decode."""
        self.send(build(method, path, json.dumps(fields)))
        answer: dict[str, Any] = json.loads(self.receive())
        return answer


def build(method: str, path: str, body: str = "") -> bytes:
    """A request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


def drive(port: int, connections: int, seconds: float, make: Callable[[int], bytes]) -> tuple[int, float, list[float]]:
    """Keep every connection asking; gives the number of answers, the seconds, and each answer's milliseconds."""
    with selectors.DefaultSelector() as waiting:
        number = 0
        for _ in range(connections):
            connection = Connection(port)
            waiting.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(make(number))
            number += 1
        took: list[float] = []
        began = time.perf_counter()
        open_now = connections
        while open_now:
            for key, _ in waiting.select():
                connection = key.data
                connection.receive()
                now = time.perf_counter()
                took.append((now - connection.asked) * 1000)
                if now - began < seconds:
                    connection.send(make(number))
                    number += 1
                else:
                    waiting.unregister(connection.socket)
                    connection.socket.close()
                    open_now -= 1
        return len(took), time.perf_counter() - began, sorted(took)


def log_one(server: Server, run: str, seconds: float) -> Figures:
    """`log-metric` from one client, then from eight."""

    def make(number: int) -> bytes:
        point = {"run_id": run, "key": "loss", "value": 1.5, "timestamp": 1_700_000_000_000 + number, "step": number}
        return build("POST", f"{API}/runs/log-metric", json.dumps(point))

    figures = {}
    for clients in (1, 8):
        before = server.cpu_s()
        count, took, each = drive(server.port, clients, seconds, make)
        figures |= {
            f"log_metric, {clients} clients, calls/s": count / took,
            f"log_metric, {clients} clients, p99 ms": each[int(len(each) * 0.99)],
            f"log_metric, {clients} clients, ms cpu": (server.cpu_s() - before) * 1000 / count,
        }
    return figures


def log_batches(server: Server, run: str, batches: int) -> Figures:
    """`log-batch` of 1,000 metrics, and the history of what was logged."""
    requests = []
    for number in range(batches):
        first = number * 1000
        metrics = [
            {"key": "curve", "value": 1 / (1 + step), "timestamp": 1_700_000_000_000 + step, "step": step}
            for step in range(first, first + 1000)
        ]
        requests.append(build("POST", f"{API}/runs/log-batch", json.dumps({"run_id": run, "metrics": metrics})))
    connection = Connection(server.port)
    before, began = server.cpu_s(), time.perf_counter()
    for request in requests:
        connection.send(request)
        connection.receive()
    took, cpu = time.perf_counter() - began, server.cpu_s() - before
    points, token, began = 0, "", time.perf_counter()
    while True:
        path = f"{API}/metrics/get-history?run_id={run}&metric_key=curve&max_results=25000"
        connection.send(build("GET", f"{path}&page_token={token}" if token else path))
        page = json.loads(connection.receive())
        points += len(page.get("metrics", []))
        token = page.get("next_page_token", "")
        if not token:
            break
    if points != batches * 1000:
        raise SystemExit(f"{points} points came back instead of {batches * 1000}")
    history = (time.perf_counter() - began) * 1000
    return {
        "log_batch of 1,000, metrics/s": batches * 1000 / took,
        "log_batch of 1,000, ms cpu": cpu * 1000 / batches,
        f"history of {batches * 1000:,} points, ms": history,
    }


def make_run(connection: Connection, experiment: str, number: int) -> None:
    """A run with 10 parameters, 10 metrics and 5 tags, the same for every server."""
    chance = random.Random(number)
    fields = {"experiment_id": experiment, "run_name": f"r{number}", "start_time": number + 1, "tags": TAGS}
    run = connection.call("POST", f"{API}/runs/create", **fields)["run"]["info"]["run_id"]
    params = {"lr": chance.choice(["0.1", "0.01", "0.001"])} | {f"p{n}": str(chance.randint(0, 99)) for n in range(9)}
    values = {"acc": chance.random()} | {f"m{n}": chance.random() for n in range(9)}
    connection.call(
        "POST",
        f"{API}/runs/log-batch",
        run_id=run,
        params=[{"key": key, "value": value} for key, value in params.items()],
        metrics=[{"key": key, "value": value, "timestamp": number, "step": 0} for key, value in values.items()],
    )


def create_runs(server: Server, experiment: str, seconds: float) -> Figures:
    """Runs with all that belongs to them."""
    connection, count = Connection(server.port), 0
    before, began = server.cpu_s(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        make_run(connection, experiment, count)
        count += 1
    took = time.perf_counter() - began
    return {
        "runs with 10 params, 10 metrics, 5 tags, runs/s": count / took,
        "runs with 10 params, 10 metrics, 5 tags, ms cpu": (server.cpu_s() - before) * 1000 / count,
    }


def search(server: Server, runs: int) -> Figures:
    """Two clauses, ordered, the first 100; the store is filled when it is not yet."""
    connection = Connection(server.port)
    names = {"filter": "name = 'search'", "max_results": 1}
    found = connection.call("POST", f"{API}/experiments/search", **names).get("experiments")
    if found:
        experiment = found[0]["experiment_id"]
    else:
        experiment = connection.call("POST", f"{API}/experiments/create", name="search")["experiment_id"]
        for number in range(runs):
            make_run(connection, experiment, number)
    asked = {"experiment_ids": [experiment], "filter": FILTER, "order_by": ["metrics.acc DESC"], "max_results": 100}
    request, took = build("POST", f"{API}/runs/search", json.dumps(asked)), []
    for _ in range(12):
        began = time.perf_counter()
        connection.send(request)
        answer = connection.receive()
        took.append((time.perf_counter() - began) * 1000)
    if not 0 < len(json.loads(answer)["runs"]) <= 100:
        raise SystemExit("the search found something else")
    return {f"search of {runs:,} runs, first 100, ms": statistics.median(took[2:])}


def bare_sqlite(folder: Path, seconds: float) -> Figures:
    """What one connection of sqlite3 does, with a full sync for each transaction."""
    file = folder / "bare.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        columns = "series INTEGER, at INTEGER, step INTEGER, value INTEGER, PRIMARY KEY (series, at, step, value)"
        connection.execute(f"CREATE TABLE points ({columns}) WITHOUT ROWID")
        count, cpu, began = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() - began < seconds:
            connection.execute("INSERT INTO points VALUES (1, ?, ?, ?)", (count, count, count))
            count += 1
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        began = time.perf_counter()
        for batch in range(100):
            connection.execute("BEGIN")
            rows = [(2, batch * 1000 + row, row, row) for row in range(1000)]
            connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
        return {
            "log_metric, 1 clients, calls/s": count / took,
            "log_metric, 1 clients, ms cpu": cpu * 1000 / count,
            "log_batch of 1,000, metrics/s": 100_000 / (time.perf_counter() - began),
        }


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(kind: str, home: Path, mlflow: Path) -> Iterator[Server]:
    """A server of ours, MLflow's, or the empty endpoint."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    place = ["--host", "127.0.0.1", "--port", str(port)]
    commands = {
        "penstock": [sys.executable, "-m", "penstock", "server", "--home", str(home), *place],
        "mlflow": [
            *(str(mlflow / "bin" / "mlflow"), "server", *place, "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--default-artifact-root", str(home / "files")),
        ],
        "empty": [sys.executable, __file__, "--empty", str(port)],
    }
    server = Server(commands[kind], port)
    try:
        yield server
    finally:
        server.stop()


def measure(kind: str, folder: Path, given: argparse.Namespace) -> Figures:
    """Every figure of one server, once."""
    cells = given.cells.split(",")
    figures: Figures = {}
    with running(kind, folder / f"{kind}-{time.monotonic_ns()}", given.mlflow) as server:
        server.settle()
        if "start" in cells:
            figures |= {"start to first answer, ms": server.start_ms, "idle memory, MB": server.memory_mb()}
        if kind == "empty":
            return figures | log_one(server, "0" * 32, given.seconds)
        connection = Connection(server.port)
        experiment = connection.call("POST", f"{API}/experiments/create", name="bench")["experiment_id"]
        new = connection.call("POST", f"{API}/runs/create", experiment_id=experiment, start_time=1)
        run = new["run"]["info"]["run_id"]
        if "log" in cells:
            figures |= log_one(server, run, given.seconds)
        if "batch" in cells or "history" in cells:
            figures |= log_batches(server, run, 100)
        if "create" in cells:
            figures |= create_runs(server, experiment, given.seconds)
    if "search" in cells:
        with running(kind, folder / f"{kind}-search", given.mlflow) as server:
            figures |= search(server, given.runs)
    return figures


async def empty(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, answers two bytes."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


def serve_empty(port: int) -> None:
    """The empty endpoint."""
    import uvicorn

    uvicorn.run(empty, port=port, loop="uvloop", http="httptools", lifespan="off", log_config=None)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=4.0, help="for each figure")
    options.add_argument("--runs", type=int, default=10_000, help="that a search looks through")
    options.add_argument("--cells", default="log,batch,create,search,start")
    options.add_argument("--mlflow", type=Path, default=Path(".venv-mlflow3"), help="an environment that has MLflow")
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options.add_argument("--empty", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.empty:
        serve_empty(given.empty)
        return
    kinds = ["penstock", "mlflow", "empty"] if (given.mlflow / "bin" / "mlflow").exists() else ["penstock", "empty"]
    rounds: dict[str, list[Figures]] = {kind: [] for kind in [*kinds, "sqlite3"]}
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=".") as name:
        folder = Path(name).absolute()
        for _ in range(given.rounds):
            for kind in kinds:
                rounds[kind].append(measure(kind, folder, given))
            rounds["sqlite3"].append(bare_sqlite(folder, given.seconds) if "log" in given.cells else {})
            (folder / "bare.db").unlink(missing_ok=True)
    medians = {
        kind: {cell: statistics.median(each[cell] for each in taken) for cell in taken[0]}
        for kind, taken in rounds.items()
    }
    if given.json:
        print(json.dumps({"bench": "tracking", "cpus": os.cpu_count(), "figures": medians}))
        return
    print(f"{os.cpu_count()} cores, median of {given.rounds} rounds\n")
    print(f"{'':<50}{'penstock':>10}{'mlflow':>10}{'times':>8}{'empty':>10}{'sqlite3':>10}")
    for cell, ours in medians["penstock"].items():
        others = [medians.get(kind, {}).get(cell) for kind in ("mlflow", "empty", "sqlite3")]
        theirs = others[0]
        times = "" if not theirs else f"{theirs / ours if cell.endswith(BETTER_WHEN_LOW) else ours / theirs:.1f}"
        shown = ["" if value is None else f"{value:,.{0 if value >= 100 else 2}f}" for value in (ours, *others)]
        print(f"{cell:<50}{shown[0]:>10}{shown[1]:>10}{times:>8}{shown[2]:>10}{shown[3]:>10}")


if __name__ == "__main__":
    main()
