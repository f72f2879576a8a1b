"""The verbs of pipelines, in this process and over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.applications import Starlette

from factories import TESTER
from penstock.core.config import Config
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError, PenstockError
from penstock.core.ids import Digest, EpisodeId, Ref, ReportId, RunId
from penstock.datasets import api as datasets_api
from penstock.evaluation import api as evaluation_api
from penstock.pipelines import api as pipelines_api
from penstock.pipelines.keys import KeyParts
from penstock.pipelines.service import PipelineService
from penstock.pipelines.types import CandidateRecord, PipelineRun, StepRun, StepStatus
from penstock.pipelines.values.types import StoredValue
from penstock.registry import api as registry_api
from penstock.registry.format.types import ModelInfo, Signature
from penstock.remote.proxy import Connection, ServiceProxy
from penstock.server.dispatch import http_routes
from penstock.server.guard import HostGuard, answer_error, answer_failure
from penstock.server.identity import Identifier
from penstock.storage.references import list_kept
from penstock.tracking import api as tracking_api
from penstock.tracking.artifacts import api as artifacts_api
from penstock.tracking.types import RunSource, RunStatus
from pipelines.workshop import Workshop, open_workshop, write_light
from serving_http import serve

NOW = datetime(2026, 1, 1, tzinfo=UTC)
APIS = {
    "tracking": tracking_api,
    "artifacts": artifacts_api,
    "datasets": datasets_api,
    "registry": registry_api,
    "evaluation": evaluation_api,
    "pipelines": pipelines_api,
}


@dataclass
class Remote:
    """The port of a worker at the other end of HTTP."""

    tracking: Any
    artifacts: Any
    datasets: Any
    registry: Any
    evaluation: Any
    pipelines: Any


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    shop = open_workshop(tmp_path)
    yield shop
    shop.db.close()


@pytest.fixture
def remote(shop: Workshop) -> Iterator[Remote]:
    config = Config()
    routes = {name: api.ROUTES for name, api in APIS.items()}
    app = Starlette(
        routes=http_routes(routes, {name: getattr(shop, name) for name in APIS}, Identifier(config, TESTER)),
        exception_handlers={PenstockError: answer_error, Exception: answer_failure},
    )
    with serve(HostGuard(app, config)) as url:
        connection = Connection(url)
        yield Remote(**{name: ServiceProxy(connection, api.ROUTES) for name, api in APIS.items()})
        connection.close()


@pytest.fixture(params=["in process", "over HTTP"])
def pipelines(request: pytest.FixtureRequest, shop: Workshop) -> PipelineService:
    if request.param == "in process":
        return shop.pipelines
    return cast(PipelineService, request.getfixturevalue("remote").pipelines)


def make_step(run: PipelineRun, name: str = "fit", rate: float = 0.1, **more: Any) -> StepRun:
    parts = KeyParts(
        function=f"pipeline:{name}",
        code={f"pipeline:{name}": "c"},
        params={"rate": rate},
        inputs={"rows": "i"},
        environment="e",
        seed=0,
    )
    output = StoredValue(kind="tuple", items=(StoredValue(kind="json", digest=Digest("1" * 64)),))
    filled = {"status": StepStatus.FINISHED, "output": output, "ended_at": NOW} | more
    return StepRun(run_id=run.id, name=name, number=1, key=parts.key, parts=parts, started_at=NOW, **filled)


def make_candidate() -> CandidateRecord:
    info = ModelInfo(flavor="sklearn", task="binary", signature=Signature((), ()), classes=("no", "yes"))
    model, test = Digest("2" * 64), Digest("3" * 64)
    return CandidateRecord(
        model=model, info=info, test=test, reference=test, label="y", report_id=ReportId("4" * 64), champion="tiny/1"
    )


def claim(pipelines: PipelineService, worker: str = "one") -> PipelineRun:
    run = pipelines.claim_run("tiny", worker, 20.0)
    assert run is not None
    return run


def test_a_run_goes_from_request_to_candidate(shop: Workshop, pipelines: PipelineService) -> None:
    asked = pipelines.request_run("tiny", params={"rate": 0.5}, episode=EpisodeId("e1"), until=NOW)
    assert (asked.status, asked.until, asked.episode) == (RunStatus.SCHEDULED, NOW, "e1")
    assert shop.tracking.get_run(asked.id).status is RunStatus.SCHEDULED
    assert pipelines.has_work("tiny", "one") and not pipelines.has_work("other", "one")
    run = claim(pipelines)
    assert (run.id, run.fence, run.worker) == (asked.id, 1, "one")
    assert not pipelines.has_work("tiny", "two")
    reads = [Ref("dataset-version", "people/1")]
    pipelines.begin_run(run.id, 1, RunSource(git_commit="abc"), {"rate": 0.5}, reads, [Digest("4" * 64)])
    step = make_step(run)
    pipelines.record_step(1, step)
    pipelines.record_step(1, step)
    assert pipelines.list_steps(run.id) == [step]
    assert pipelines.find_cached(step.key) == step
    assert pipelines.find_cached("other") is None
    candidate = make_candidate()
    ended = pipelines.finish_run(run.id, 1, candidate)
    assert pipelines.finish_run(run.id, 1, candidate) == ended == pipelines.get_run(run.id)
    assert (ended.status, ended.candidate) == (RunStatus.FINISHED, candidate)
    tracked = shop.tracking.get_run(run.id)
    assert (tracked.status, tracked.params, tracked.source.git_commit) == (RunStatus.FINISHED, {"rate": "0.5"}, "abc")
    kept = {digest for owner, digest in shop.db.read(list_kept) if owner == run.ref}
    assert kept == {Digest(number * 64) for number in "1234"}
    accepted = [entry.detail for entry in shop.entries if entry.action == "pipelines.candidate_accepted"]
    assert [(detail["project"], detail["episode"]) for detail in accepted] == [("tiny", "e1")]


def test_the_same_request_gives_the_same_run(pipelines: PipelineService) -> None:
    asked = pipelines.request_run("tiny", run_id=RunId("chosen"))
    assert pipelines.request_run("tiny", run_id=RunId("chosen")) == asked
    assert pipelines.list_runs("tiny") == [asked]


def test_runs_are_claimed_oldest_first_and_listed_newest_first(pipelines: PipelineService) -> None:
    first, second = (pipelines.request_run("tiny") for _ in range(2))
    assert [claim(pipelines, worker).id for worker in ("one", "two")] == [first.id, second.id]
    assert pipelines.claim_run("tiny", "three", 20.0) is None
    assert [run.id for run in pipelines.list_runs("tiny", limit=1)] == [second.id]
    assert [run.id for run in pipelines.list_runs("tiny", before=second.id)] == [first.id]
    assert pipelines.list_runs("tiny", status=RunStatus.SCHEDULED) == []


def test_an_unfinished_step_is_no_cached_result(pipelines: PipelineService) -> None:
    pipelines.request_run("tiny")
    step = make_step(claim(pipelines), status=StepStatus.RUNNING, output=None, ended_at=None)
    pipelines.record_step(1, step)
    assert pipelines.find_cached(step.key) is None


def test_what_changed_in_a_step_is_told_against_the_run_before(pipelines: PipelineService) -> None:
    for rate in (0.1, 0.2):
        pipelines.request_run("tiny")
        run = claim(pipelines)
        pipelines.record_step(run.fence, make_step(run, rate=rate))
        told = pipelines.explain_step(run.id, "fit")
        pipelines.fail_run(run.id, run.fence, "no")
    assert told == ["parameter rate changed from 0.1 to 0.2"]
    with pytest.raises(NotFoundError, match=r"has no step 'fi'; its steps are: fit"):
        pipelines.explain_step(run.id, "fi")


def test_an_ended_run_is_neither_cancelled_nor_filled(pipelines: PipelineService) -> None:
    asked = pipelines.request_run("tiny")
    run = claim(pipelines)
    assert pipelines.cancel_run(run.id).error == "cancelled by tester"
    with pytest.raises(ConflictError, match="has ended"):
        pipelines.cancel_run(run.id)
    with pytest.raises(ConflictError):
        pipelines.record_step(1, make_step(run))
    with pytest.raises(ConflictError):
        pipelines.finish_run(run.id, 1, make_candidate())
    again = pipelines.resume_run(asked.id)
    assert (again.status, again.error) == (RunStatus.SCHEDULED, "")
    with pytest.raises(ConflictError, match="is scheduled and cannot be resumed"):
        pipelines.resume_run(asked.id)
    assert claim(pipelines, "two").fence == 2


def test_what_is_not_there_is_named(pipelines: PipelineService) -> None:
    with pytest.raises(NotFoundError, match="no pipeline run 'gone'"):
        pipelines.get_run(RunId("gone"))
    assert pipelines.list_steps(RunId("gone")) == []
    with pytest.raises(InvalidInputError, match="1 to 1000"):
        pipelines.list_runs(limit=0)


def test_a_run_that_brings_down_every_worker_fails_in_the_end(shop: Workshop) -> None:
    asked = shop.pipelines.request_run("tiny")
    for _ in range(100):
        claim(shop.pipelines)
    assert shop.pipelines.claim_run("tiny", "one", 20.0) is None
    ended = shop.pipelines.get_run(asked.id)
    assert (ended.status, ended.error) == (RunStatus.FAILED, "100 workers began this run and none came to an end")


def test_a_worker_does_its_work_over_http(shop: Workshop, remote: Remote) -> None:
    asked = shop.pipelines.request_run("tiny", params={"strength": 0.5})
    worker = shop.worker(port=remote)
    assert worker.work_once()
    done = shop.pipelines.get_run(asked.id)
    assert (done.status, done.error) == (RunStatus.FINISHED, "")
    assert done.candidate is not None and shop.evaluation.get_report(done.candidate.report_id).run_id == asked.id


def test_a_failure_is_told_over_http(shop: Workshop, remote: Remote) -> None:
    write_light(shop, "raise ValueError('no such luck')")
    asked = shop.pipelines.request_run("tiny")
    assert shop.worker(port=remote).work_once()
    assert "no such luck" in shop.pipelines.get_run(asked.id).error
