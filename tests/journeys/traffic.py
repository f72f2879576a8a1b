"""Callers that never stop asking, and remember every answer they were given."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from journeys.own_project import OwnProject, make_customers
from patience import PATIENCE_S, wait_until
from penstock.catalogue.services import Services
from penstock.core.errors import PenstockError
from penstock.core.ids import PredictionId, RunId
from penstock.predictions.types import Outcome
from penstock.remote.remote import open_remote
from penstock.tracking.types import Metric

CUSTOMERS = make_customers(50, seed=7)
QUESTIONS = CUSTOMERS.select("age", "calls", "plan").to_dicts()
TRUTH = CUSTOMERS["churned"].to_list()


class Traffic:
    """Asks for predictions, tells outcomes and logs runs, until it is told to stop.

    Attributes:
        answers: prediction id -> the question's place and the whole answer, of every request answered with 200.
        outcomes: prediction id -> the outcome, of every call that was acknowledged.
        runs: run id -> the steps whose metric was acknowledged.
        refusals: status and text of every other HTTP answer.
        lost: how many requests got no answer, as they may while a process is killed.
    """

    def __init__(self, project: OwnProject) -> None:
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {}
        self.outcomes: dict[str, Any] = {}
        self.runs: dict[str, list[int]] = {}
        self.refusals: list[tuple[int, str]] = []
        self.lost = 0
        self._project = project
        self._stopped = threading.Event()
        self._waiting: list[tuple[str, Any]] = []  # outcomes that are not acknowledged yet
        self._threads = [threading.Thread(target=work) for work in (self._ask, self._ask, self._tell, self._log)]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, rows: int = 200) -> None:
        """Wait until so many more rows were answered."""
        enough = len(self.answers) + rows
        wait_until(lambda: len(self.answers) >= enough, "predictions are answered")

    def _ask(self) -> None:
        url = f"{self._project.gateway_url}/predict/churned"
        with httpx.Client(timeout=PATIENCE_S) as client:
            while not self._stopped.is_set():
                try:
                    answer = client.post(url, json=QUESTIONS)
                except httpx.TransportError:
                    self.lost += 1
                    self._stopped.wait(0.05)
                    continue
                if answer.status_code != 200:
                    self.refusals.append((answer.status_code, answer.text))
                    self._stopped.wait(0.05)
                    continue
                rows = answer.json()["predictions"]
                self.answers.update({row["id"]: (place, row) for place, row in enumerate(rows)})
                self._waiting += [(row["id"], TRUTH[place]) for place, row in enumerate(rows)]
                self._stopped.wait(0.1)

    def _tell(self) -> None:
        def tell(services: Services) -> None:
            batch = self._waiting[:500]
            now = datetime.now(UTC)
            told = [Outcome(prediction_id=PredictionId(known), value=value, at=now) for known, value in batch]
            if told:
                services.predictions.add_outcomes(told)
            self.outcomes.update(batch)
            del self._waiting[: len(batch)]

        self._repeat(tell)

    def _log(self) -> None:
        def log(services: Services) -> None:
            run = services.tracking.create_run("storm")
            self.runs[run.id] = []
            for step in range(20):
                services.tracking.log_batch(RunId(run.id), metrics=[Metric("loss", 1 / (step + 1), step)])
                self.runs[run.id].append(step)
            services.tracking.end_run(RunId(run.id))

        self._repeat(log)

    def _repeat(self, work: Callable[[Services], None]) -> None:
        services = open_remote(self._project.url, actor="storm", patience_s=60.0)
        try:
            while not self._stopped.wait(0.1):
                try:
                    work(services)
                except PenstockError as error:
                    self.refusals.append((error.http_status, str(error)))
        finally:
            services.close()
