"""A client of MLflow's protocol that does everything there is to do, as fast as it is answered, and keeps a journal."""

import os
import random
import threading
import uuid
from typing import Any

from journeys.storm.journal import Batch, Journal, Register, RunJournal, digest, value_at
from journeys.storm.wire import ARTIFACTS, Answer, Fate, Stop, Wire

SERIES = 5  # in batches: m0 to m4
FILES, TAGS = 3, 4  # of each run
MOVES = 900  # a page of history
SHARED = "shared"  # a model that all writers register versions of
POOL = os.urandom(8 << 20)
SIZES = (0, 1, 2_000, 2_000, 200_000, 1 << 20, (3 << 20) + 17)


class StormWriter(threading.Thread):
    """Writes until it is told to stop.

    Args:
        name: of its own.
        port: of the server.
        seed: of its choices.
        stop: ends it.
    """

    def __init__(self, name: str, port: int, seed: int, stop: Stop) -> None:
        super().__init__(name=name)
        self.journal = Journal(name)
        self.wire = Wire(port)
        self._chance = random.Random(seed)
        self._stop_it = stop
        self._number = 0

    def run(self) -> None:
        """Do one thing after the other."""
        try:
            self._prepare()
            kinds = {
                self._log_metric: 30,
                self._log_batch: 30,
                self._log_bad_batch: 5,
                self._log_param: 5,
                self._set_tag: 10,
                self._put_file: 4,
                self._delete_file: 1,
                self._put_torn_file: 1,
                self._put_in_parts: 1,
                self._read_file: 5,
                self._register: 3,
                self._move_alias: 4,
                self._create_experiment: 1,
                self._change_status: 2,
                self._create_run: 2,
                self._create_once: 2,
            }
            while not self._stop_it.is_set():
                (work,) = self._chance.choices(list(kinds), weights=list(kinds.values()))
                work()
        except BaseException as error:
            self._stop_it.failures.append(error)
            raise
        finally:
            self.wire.close()

    @property
    def _current(self) -> RunJournal:
        return self.journal.runs[-1]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _note(self, answer: Answer, *, may_refuse: bool = False) -> Answer:
        """Count a write; what a client has not done wrong is refused only while the server cannot write."""
        if answer.fate is Fate.DONE:
            self.journal.acknowledged += 1
        elif answer.fate is Fate.REFUSED and not may_refuse and answer.status not in (503, 507):
            self.wire.wrong.append(f"{answer.status} {answer.body[:300]!r}")
        return answer

    def _insist(self, path: str, body: Any) -> Answer:
        """A call that may be repeated, sometimes without an end: its fate is that of all its tries together."""
        was_unknown = False
        while True:
            answer = self._note(self.wire.post(path, body))
            was_unknown |= answer.fate is Fate.UNKNOWN
            if answer.fate is Fate.DONE:
                return answer
            if self._stop_it.wait(0.01) or self._chance.random() < 0.4:
                answer.fate = Fate.UNKNOWN if was_unknown else answer.fate
                return answer

    def _prepare(self) -> None:
        for model in (self.journal.name, SHARED):
            self.journal.versions[model] = {}
            while True:
                answer = self.wire.post("registered-models/create", {"name": model})
                if answer.fate is Fate.DONE or b"RESOURCE_ALREADY_EXISTS" in answer.body:
                    break
        while not self.journal.runs:
            self._create_run()

    def _create_run(self) -> None:
        token = uuid.uuid4().hex
        tags = [{"key": "token", "value": token}, {"key": "writer", "value": self.journal.name}]
        answer = self._note(self.wire.post("runs/create", {"experiment_id": "0", "tags": tags}))
        self.journal.tokens[token] = answer.fate
        if answer.fate is Fate.DONE:
            info = answer.json()["run"]["info"]
            self.journal.runs.append(
                RunJournal(info["run_id"], info["artifact_uri"].removeprefix("mlflow-artifacts:/"))
            )

    def _create_once(self) -> None:
        """A run of our own protocol, whose call may be repeated because it has a key."""
        token = uuid.uuid4().hex
        body = {"experiment": "Default", "tags": {"token": token}}
        while self.journal.tokens.get(token) is not Fate.DONE:
            answer = self._note(self.wire.post("/api/v1/runs", body, idempotency_key=token))
            if answer.fate is not Fate.REFUSED:
                self.journal.tokens[token] = answer.fate
            if self._stop_it.is_set():
                self.journal.tokens.setdefault(token, Fate.REFUSED)
                return

    def _log_metric(self) -> None:
        step = self._next()
        body = {"run_id": self._current.run_id, "key": "loss", "value": value_at(step), "timestamp": step, "step": step}
        self._current.points[step] = self._insist("runs/log-metric", body).fate

    def _log_batch(self) -> None:
        number = self._next()
        size = self._chance.choice((1, 3, 3, 10, 10, 30, 100, 800))
        texts = self._chance.choice((0, 1, 3))
        fate = self._insist("runs/log-batch", _batch(self._current.run_id, number, size, texts)).fate
        self._current.batches.append(Batch(number, size, texts, fate))

    def _log_bad_batch(self) -> None:
        """A batch with one item that cannot be kept; without an answer it was refused all the same."""
        number = self._next()
        body = _batch(self._current.run_id, number, size=30, texts=3)
        kept = [key for key, fate in self._current.params.items() if fate is Fate.DONE]
        spoil = self._chance.randrange(4 if kept else 3)
        if spoil == 3:
            body["params"][1] = {"key": kept[0], "value": "another one"}
        elif spoil == 0:
            body["metrics"][17]["key"] = "../up"
        elif spoil == 1:
            body["params"][1]["key"] = ""
        else:
            body["metrics"][29]["value"] = float("nan")  # JSON has no form for it
        answer = self._note(self.wire.post("runs/log-batch", body), may_refuse=True)
        assert answer.fate is not Fate.DONE, answer.body
        self._current.batches.append(Batch(number, 30, 3, Fate.REFUSED))

    def _log_param(self) -> None:
        key = f"p{self._next()}"
        body = {"run_id": self._current.run_id, "key": key, "value": key}
        self._current.params[key] = self._insist("runs/log-parameter", body).fate

    def _set_tag(self) -> None:
        key, value = f"tag{self._chance.randrange(TAGS)}", str(self._next())
        answer = self._insist("runs/set-tag", {"run_id": self._current.run_id, "key": key, "value": value})
        self._current.tags.setdefault(key, Register()).set(value, answer.fate)

    def _change_status(self) -> None:
        status = self._chance.choice(("FINISHED", "FAILED", "RUNNING"))
        answer = self._insist("runs/update", {"run_id": self._current.run_id, "status": status})
        self._current.status.set(status, answer.fate)

    def _create_experiment(self) -> None:
        name = f"{self.journal.name}-{self._next()}"
        self.journal.experiments[name] = self._note(self.wire.post("experiments/create", {"name": name})).fate

    def _body(self) -> bytes:
        size = self._chance.choice(SIZES)
        start = self._chance.randrange(len(POOL) - size)
        return (f"{self.journal.name} {self._next()} ".encode() + POOL[start : start + size])[:size]

    def _choose_file(self) -> tuple[str, Register]:
        path = f"folder/f{self._chance.randrange(FILES)}.bin"
        return path, self._current.files.setdefault(path, Register())

    def _put_file(self) -> None:
        path, file = self._choose_file()
        data = self._body()
        answer = self._note(self.wire.send("PUT", f"{ARTIFACTS}artifacts/{self._current.root}/{path}", data))
        file.set(digest(data), answer.fate)
        if answer.fate is Fate.DONE:
            assert answer.headers["x-penstock-digest"]

    def _delete_file(self) -> None:
        path, file = self._choose_file()
        answer = self._note(self.wire.send("DELETE", f"{ARTIFACTS}artifacts/{self._current.root}/{path}"))
        file.set(None, answer.fate)

    def _put_torn_file(self) -> None:
        path, _ = self._choose_file()
        data = self._body() or b"x"
        cut = self._chance.randrange(len(data))
        self.wire.send_torn("PUT", f"{ARTIFACTS}artifacts/{self._current.root}/{path}", data, cut)

    def _put_in_parts(self) -> None:
        path, file = self._choose_file()
        folder, _, name = path.partition("/")
        where = f"{self._current.root}/{folder}"
        parts = [self._body(), self._body(), b"end"]
        begun = self._note(self.wire.post(f"{ARTIFACTS}mpu/create/{where}", {"path": name, "num_parts": len(parts)}))
        if begun.fate is not Fate.DONE:
            return
        upload = begun.json()["upload_id"]
        named = []
        for number, data in enumerate(parts, 1):
            while True:
                sent = self._note(self.wire.send("PUT", f"{ARTIFACTS}mpu/parts/{upload}/{number}", data))
                if sent.fate is Fate.DONE:
                    break
                if self._stop_it.wait(0.01):
                    return
            named.append({"part_number": number, "etag": sent.headers["etag"]})
        body = {"path": name, "upload_id": upload, "parts": named}
        file.set(digest(b"".join(parts)), self._note(self.wire.post(f"{ARTIFACTS}mpu/complete/{where}", body)).fate)

    def _read_file(self) -> None:
        path, file = self._choose_file()
        answer = self.wire.get(f"/api/2.0/mlflow-artifacts/artifacts/{self._current.root}/{path}")
        found = digest(answer.body) if answer.status == 200 else None
        assert found in file.allowed, f"{path} of {self._current.run_id}: {answer.status} {len(answer.body)} bytes"

    def _register(self) -> None:
        model = self._chance.choice((self.journal.name, SHARED))
        token = uuid.uuid4().hex
        body = {
            "name": model,
            "source": f"mlflow-artifacts:/{self._current.root}/model",
            "run_id": self._current.run_id,
            "tags": [{"key": "token", "value": token}],
        }
        answer = self._note(self.wire.post("model-versions/create", body))
        if answer.fate is Fate.REFUSED:
            return
        number = int(answer.json()["model_version"]["version"]) if answer.fate is Fate.DONE else 0
        self.journal.versions[model][token] = number

    def _move_alias(self) -> None:
        known = [number for number in self.journal.versions[self.journal.name].values() if number]
        if not known or len(self.journal.moves) >= MOVES:
            return
        body = {"name": self.journal.name, "alias": "best", "version": str(self._chance.choice(known))}
        answer = self._note(self.wire.post("registered-models/alias", body))
        self.journal.moves.append((int(body["version"]), answer.fate))


def _batch(run_id: str, number: int, size: int, texts: int) -> dict[str, Any]:
    metrics = [
        {"key": f"m{place % SERIES}", "value": value_at(number), "timestamp": number * 1_000 + place, "step": number}
        for place in range(size)
    ]
    named = [{"key": f"b{number}.{place}", "value": str(number)} for place in range(texts)]
    return {"run_id": run_id, "metrics": metrics, "params": named, "tags": named}
