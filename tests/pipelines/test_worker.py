"""Whole runs: from a request to a candidate, through failures and kills, with real child processes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.upkeep.mentions import list_mentions, reachable
from penstock.pipelines.types import StepStatus
from penstock.registry.format.loaded import load_model
from penstock.tracking.types import RunStatus
from pipelines.workshop import Workshop, open_workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    shop = open_workshop(tmp_path)
    yield shop
    shop.db.close()


@pytest.mark.slow
def test_a_run_ends_with_a_candidate_and_the_next_one_is_all_cached(shop: Workshop) -> None:
    run = shop.pipelines.request_run("tiny", params={"strength": 0.5}, reason="a test")
    worker = shop.worker()
    assert worker.work_once()

    done = shop.pipelines.get_run(run.id)
    assert (done.status, done.error) == (RunStatus.FINISHED, "")
    assert done.candidate is not None and done.candidate.champion == ""
    report = shop.evaluation.get_report(done.candidate.report_id)
    auc = report.find_metric("roc_auc")
    assert report.run_id == run.id and auc is not None and auc.value is not None and auc.value > 0.7
    steps = shop.steps(run.id)
    assert [(step.name, step.status, step.attempt) for step in steps.values()] == [
        ("split", "finished", 1),
        ("fit", "finished", 1),
        ("evaluate", "finished", 1),
    ]

    tracked = shop.tracking.get_run(run.id)
    assert tracked.status is RunStatus.FINISHED
    assert tracked.params == {"strength": "0.5"}
    assert tracked.metrics["roc_auc"].number == auc.value
    assert [str(ref) for ref in tracked.inputs] == ["dataset-version:people/1"]
    assert tracked.source.environment_lock and tracked.source.seed == 0
    log = shop.artifacts.get_artifact(run.id, "steps/split.log")
    assert shop.objects.get_bytes(log.digest) == b"splitting 300 rows\n"
    accepted = [entry for entry in shop.entries if entry.action == "pipelines.candidate_accepted"]
    assert [entry.subject for entry in accepted] == [run.ref]

    kept = reachable(shop.db, shop.objects)
    mentions = list(list_mentions(shop.db, shop.objects))
    assert "parts" in {column for _, column, _ in mentions}, "the key of a step names the rows that it was given"
    assert [mention for mention in mentions if mention[2] not in kept] == []

    shop.objects.checkout(done.candidate.model, shop.folder / "model")
    model = load_model(shop.folder / "model")
    assert [column.name for column in model.signature.inputs] == ["age", "visits"]

    version = shop.registry.register("tiny", run.id, done.candidate.model, done.candidate.info)
    shop.registry.move_alias("tiny", "champion", version.version)
    again = shop.pipelines.request_run("tiny", params={"strength": 0.5})
    assert worker.work_once()
    after = shop.pipelines.get_run(again.id)
    assert after.candidate is not None
    assert (after.candidate.model, after.candidate.champion) == (done.candidate.model, "tiny/1")
    assert after.candidate.champion_report_id is not None
    second = shop.steps(again.id)
    assert (second["split"].status, second["fit"].status) == (StepStatus.CACHED, StepStatus.CACHED)
    assert shop.pipelines.explain_step(again.id, "evaluate") == [
        f"parameter champion changed from '' to '{done.candidate.model}'"
    ]

    third = shop.pipelines.request_run("tiny", params={"strength": 0.5})
    assert worker.work_once()
    assert {step.status for step in shop.steps(third.id).values()} == {StepStatus.CACHED}
    assert not worker.work_once()
    worker.place.compute.close()


SHARING = """
import os
from pathlib import Path

import polars as pl
from sklearn.linear_model import LogisticRegression

import penstock as ps


@ps.step
def started_by() -> str:
    return Path(f"/proc/{os.getppid()}/cmdline").read_text().split("\\0")[3]


@ps.step
def fit(people: pl.DataFrame, server: str) -> LogisticRegression:
    assert server == "penstock.compute.fork_server"
    return LogisticRegression().fit(people.select("age", "visits"), people["bought"])


@ps.pipeline
def train(people: ps.Data, strength: float = 2.0) -> ps.Candidate:
    return ps.Candidate(fit(people, started_by()), test=people)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
def test_steps_with_the_usual_libraries_fork_from_one_import_of_them(shop: Workshop) -> None:
    (shop.root / "pipeline.py").write_text(SHARING)
    run = shop.pipelines.request_run("tiny")
    worker = shop.worker()
    assert worker.work_once()
    assert shop.pipelines.get_run(run.id).error == ""
    worker.place.compute.close()
