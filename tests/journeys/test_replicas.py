"""Two servers on one PostgreSQL: they write at once, one is killed, the other goes on, and nothing answered is lost."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import postgres_cluster
from factories import TESTER
from journeys.replica import Replica
from patience import wait_until
from penstock.core import codec
from penstock.governance.checkpoints import CheckpointLog
from penstock.governance.service import GovernanceService
from penstock.loop.service import lease_name
from penstock.registry.format.types import Column, ModelInfo, Signature
from penstock.storage.database import Database
from penstock.storage.leases import find_lease

pytestmark = pytest.mark.postgres
MLFLOW, OURS = "/api/2.0/mlflow", "/api/v1"
CLIENTS, WRITERS = 16, 8
INFO = codec.to_builtins(
    ModelInfo(
        flavor="sklearn",
        task="binary",
        signature=Signature((Column("age", "long"),), (Column("prediction", "boolean"),)),
        classes=(False, True),
        label="churned",
    )
)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    databases = postgres_cluster.databases()
    made = databases.create(template="template0")
    yield made
    databases.drop(made)


@pytest.fixture(scope="module")
def db(database: str) -> Iterator[Database]:
    opened = Database(database, actor=TESTER)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[list[Replica]]:
    """Two that were started at the same moment on a database without a table."""
    folder = tmp_path_factory.mktemp("replicas")
    made = [Replica(folder / name, database=database, objects=folder / "objects") for name in ("one", "two")]
    for replica in made:
        replica.start()
    try:
        for replica in made:
            replica.wait()
        yield made
    finally:
        for replica in made:
            replica.stop()


def at_once(clients: list[httpx.Client], ask: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """The answers of all clients, who ask at the same moment."""
    start = threading.Barrier(len(clients))

    def one(number: int) -> httpx.Response:
        start.wait()
        return ask(number)

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(one, range(len(clients))))


def statuses(answers: list[httpx.Response]) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


def check_creates(replicas: list[Replica], model: str, rounds: int) -> None:
    """P8: of all who create the same thing exactly one wins; versions have no holes; an alias has one holder."""
    clients = [httpx.Client(trust_env=False) for _ in range(CLIENTS)]

    def send(method: str, path: str, body: Callable[[int], Any]) -> list[httpx.Response]:
        answers = at_once(clients, lambda n: replicas[n % 2].call(clients[n], method, path, body(n)))
        assert all(answer.status_code < 500 for answer in answers), statuses(answers)
        return answers

    def register(trees: Callable[[int], int]) -> list[int]:
        answers = send(
            "POST",
            f"{OURS}/models/{model}/versions",
            lambda n: {"run_id": None, "tree": f"{trees(n):064x}", "info": INFO},
        )
        assert statuses(answers) == {200: CLIENTS}, answers[0].text
        return [answer.json()["version"] for answer in answers]

    run = clients[0].post(f"{replicas[0].url}{MLFLOW}/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
    for number in range(rounds):
        name = {"name": f"{model}-e{number}"}
        assert statuses(send("POST", f"{OURS}/experiments", lambda n: name)) == {200: 1, 409: CLIENTS - 1}  # noqa: B023
        assert statuses(send("POST", f"{MLFLOW}/experiments/create", lambda n: {"name": f"{model}-m{number}"})) == {  # noqa: B023
            200: 1,
            400: CLIENTS - 1,
        }
        param = {"run_id": run["run_id"], "key": f"p{number}"}
        won = send("POST", f"{MLFLOW}/runs/log-parameter", lambda n: param | {"value": str(n)})  # noqa: B023
        assert statuses(won) == {200: 1, 400: CLIENTS - 1}
        first = number * (CLIENTS + 1)
        versions = register(lambda n: first + n + 1)  # noqa: B023
        assert sorted(versions) == list(range(first + 1, first + CLIENTS + 1))
        assert set(register(lambda n: first + CLIENTS + 1)) == {first + CLIENTS + 1}  # noqa: B023
        moved = send("PUT", f"{OURS}/models/{model}/aliases/best", lambda n: {"version": versions[n], "reason": "x"})  # noqa: B023
        assert statuses(moved) == {200: CLIENTS}
    history = clients[0].get(f"{replicas[0].url}{OURS}/models/{model}/alias-history?limit=1000").json()
    assert [move["number"] for move in history] == list(range(len(history), 0, -1))
    assert all(late["before"] == early["after"] for late, early in itertools.pairwise(history))
    held = clients[0].get(f"{replicas[1].url}{OURS}/models/{model}/aliases/best").json()
    assert held["version"] == history[0]["after"]
    for client in clients:
        client.close()


def check_audit(db: Database, replicas: list[Replica]) -> None:
    """The chain is whole, and what each server signed is in it."""
    for replica in replicas:
        report = GovernanceService(db, CheckpointLog(replica.home / "audit")).verify_audit()
        assert report.is_whole, report.problems
        assert report.checkpoints > 0


def test_of_all_who_create_the_same_through_two_servers_one_wins(
    replicas: list[Replica], db: Database, pytestconfig: pytest.Config
) -> None:
    rounds = 25 if pytestconfig.getoption("--thorough") else 6
    check_creates(replicas, "churn", rounds)  # each with six things to create
    check_audit(db, replicas)


class Training:
    """Logs batches to a run of its own, each with two metrics, a parameter and a tag."""

    def __init__(self, replicas: list[Replica], number: int) -> None:
        self._replicas = replicas
        self._number = number
        self.kept: list[int] = []  # the batches that were answered
        self.failures: Counter[int] = Counter()  # answers that were no 200, by status; 0 where there was none
        self._client = httpx.Client(trust_env=False)
        self.run_id: str = self._ask("runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]

    def log_until(self, stop: threading.Event) -> None:
        """Batch after batch."""
        for step in itertools.count():
            if stop.is_set():
                self._client.close()
                return
            metrics = [{"key": key, "value": step, "timestamp": step, "step": step} for key in ("a", "b")]
            texts = [{"key": f"k{step}", "value": str(step)}]
            body = {"run_id": self.run_id, "metrics": metrics, "params": texts, "tags": texts}
            self._ask("runs/log-batch", body)
            self.kept.append(step)

    def _ask(self, path: str, body: Any) -> httpx.Response:
        for attempt in itertools.count():
            server = self._replicas[(self._number + attempt) % len(self._replicas)]
            try:
                answer = server.call(self._client, "POST", f"{MLFLOW}/{path}", body)
            except httpx.TransportError:
                self.failures[0] += 1
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                return answer
            self.failures[answer.status_code] += 1
            assert answer.status_code == 503, answer.text
        raise AssertionError("unreachable")


def check_run(db: Database, training: Training) -> None:
    """Every batch that was answered is there, once and whole; the last one may be there without an answer."""
    query = (
        "SELECT s.key, p.step, p.value FROM metric_points p JOIN metric_series s ON s.number = p.series "
        "JOIN runs r ON r.number = s.run WHERE r.id = '{run}'"
    )
    texts = "SELECT t.key, t.value FROM {table} t JOIN runs r ON r.number = t.run WHERE r.id = '{run}'"
    with db.snapshot() as tx:
        points = tx.connection.exec_driver_sql(query.format(run=training.run_id)).all()
        params = tx.connection.exec_driver_sql(texts.format(table="params", run=training.run_id)).all()
        tags = tx.connection.exec_driver_sql(texts.format(table="run_tags", run=training.run_id)).all()
    steps = Counter(step for _, step, _ in points)
    assert set(steps.values()) == {2}
    assert set(training.kept) <= set(steps)
    assert len(steps) - len(training.kept) <= 1
    expected = {(f"k{step}", str(step)) for step in steps}
    assert expected == {tuple(row) for row in params}
    assert expected <= {tuple(row) for row in tags}


def test_a_server_that_is_killed_loses_nothing_and_the_others_go_on(replicas: list[Replica], db: Database) -> None:
    trainings = [Training(replicas, number) for number in range(WRITERS)]
    stop = threading.Event()
    threads = [threading.Thread(target=training.log_until, args=(stop,)) for training in trainings]
    for thread in threads:
        thread.start()
    for victim in (0, 1):
        time.sleep(1.0)
        replicas[victim].kill()
        before = [len(training.kept) for training in trainings]
        wait_until(
            lambda before=before: all(len(t.kept) > b + 3 for t, b in zip(trainings, before, strict=True)),
            what="every training goes on with the server that is left",
        )
        replicas[victim].start()
        replicas[victim].wait()
    stop.set()
    for thread in threads:
        thread.join()
    for training in trainings:
        check_run(db, training)
    check_audit(db, replicas)
    print(f"{sum(len(t.kept) for t in trainings)} batches kept, {sum((t.failures for t in trainings), Counter())}")


def test_one_server_controls_and_another_takes_over_when_it_is_killed(replicas: list[Replica], db: Database) -> None:
    def holder() -> Replica | None:
        lease = db.read(find_lease, lease_name("shop"))
        if lease is None or lease.expires_at <= db.clock.now():
            return None
        return next(replica for replica in replicas if f"{replica.home} " in lease.holder)

    first = wait_until(holder, what="one of them controls")
    other = next(replica for replica in replicas if replica is not first)
    fence = db.read(find_lease, lease_name("shop"))
    first.kill()
    wait_until(lambda: holder() is other, what="the other one controls")
    after = db.read(find_lease, lease_name("shop"))
    assert fence is not None
    assert after is not None
    assert after.fence > fence.fence
    first.start()
    first.wait()
    time.sleep(1.0)
    assert holder() is other


def test_what_one_server_answered_another_knows_and_so_a_repeated_call_counts_once(replicas: list[Replica]) -> None:
    with httpx.Client(trust_env=False) as client:
        name = f"{OURS}/experiments"
        assert replicas[0].call(client, "POST", name, {"name": "shared"}).status_code == 200
        assert replicas[1].call(client, "GET", f"{name}/shared").json()["name"] == "shared"
        key = {"idempotency-key": "once"}
        made = [
            client.post(f"{replica.url}{OURS}/runs", json={"experiment": "shared"}, headers=key).json()["id"]
            for replica in replicas
        ]
        assert made[0] == made[1]
