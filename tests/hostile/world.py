"""A small project with one of everything, its server on real HTTP, and a database that returns to where it stood."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from patience import PATIENCE_S
from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.identity import Actor, Role
from penstock.core.ids import Digest, ExperimentId, Ref, RunId, SegmentId
from penstock.core.project.parse import parse_project
from penstock.datasets.types import CheckReport, Column, DatasetDraft, Profile, Roles, Schema
from penstock.evaluation.types import MetricValue, Report, Verdict, seal
from penstock.monitoring.incidents.types import Signal
from penstock.monitoring.types import Window
from penstock.pipelines.keys import KeyParts
from penstock.pipelines.types import StepRun, StepStatus
from penstock.predictions.types import Outcome, RevisionCounts, Segment
from penstock.registry.format.saving import save_model
from penstock.registry.signing.keys import SigningKey
from penstock.server.app import build_server
from penstock.tracking.types import Metric
from serving.models import LOGISTIC_SAMPLE, make_logistic
from serving_http import serve

OWNER = Actor("ada", Role.ADMIN)
MOMENT = datetime(2024, 5, 1, 12, tzinfo=UTC)
PROJECT = """
[project]
name = "churn"
task = "binary"

[data.customers]
source = "customers.csv"
key = "id"
label = "left"

[pipeline]
entry = "pipeline:train"

[deploy]
strategy = "direct"
"""


@dataclass(frozen=True)
class World:
    """A server under attack.

    Attributes:
        home: the folder of its state; no answer may name it.
        names: what each path or body parameter of that name points at.
        digest: of an object that is there.
    """

    url: str
    home: Path
    services: Services
    names: dict[str, str]
    digest: Digest


@contextlib.contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """The project in a folder, seeded and served."""
    (folder / "customers.csv").write_text("id,left\n1,0\n")
    project = parse_project(PROJECT, root=folder)
    config = Config(home=folder / ".penstock")
    services = open_app(config, actor=OWNER)
    try:
        names, digest = _seed(services, folder)
        app = build_server(services, config=config, owner=OWNER, project=project)
        with serve(app) as url:
            yield World(url, folder, services, names, digest)
    finally:
        services.close()


def _seed(services: Services, folder: Path) -> tuple[dict[str, str], Digest]:
    digest = services.objects.put_bytes(b"some bytes")
    run = services.tracking.create_run("tries", "first", tags={"team": "shop"})
    services.tracking.log_batch(run.id, [Metric("loss", 0.5, 1, MOMENT)], params={"rate": "0.1"})
    services.artifacts.log_artifact(run.id, "notes/idea.txt", digest, 10)
    _release(services, folder, run.id)
    pipeline_run = _train(services, digest)
    report, verdict = _judge(services, run.id)
    _answer(services, digest)
    window = Window(deployment="churn", start=MOMENT, end=MOMENT + timedelta(days=1), rows=1, outcomes=1)
    alert = services.monitoring.open_alert(services.monitoring.record_window(window), "drift", "age moved", {})
    episode = services.loop.open_episode("churn", "the first release")
    rollouts = services.serving.list_rollouts()
    public_key = SigningKey(ec.generate_private_key(ec.SECP256R1())).public.pem
    signer = services.trust.add_signer("the vendor", public_key)
    names = _tell(services) | {
        "run_id": run.id,
        "home": f"run:{run.id}",
        "model_id": services.logged_models.create_logged_model(ExperimentId(0)).id,
        "trace_id": "tr-00000000000000000000000000000001",
        "spool": "spool-1",
        "pipeline_run": pipeline_run,
        "experiment": "tries",
        "experiment_id": str(services.experiments.get_experiment("tries").id),
        "model": "churn",
        "alias": "champion",
        "version": "1",
        "dataset": "customers",
        "deployment": "churn",
        "project": "churn",
        "rollout_id": rollouts[0].id,
        "report_id": report,
        "verdict_id": verdict,
        "alert_id": alert.id,
        "episode_id": episode.id,
        "path": "notes/idea.txt",
        "key": "loss",
        "name": "tries",
        "step": "fit",
        "ref": f"run:{run.id}",
        "worker": "worker-1",
        "tree": digest,
        "public_key": signer.public_key,
        "fingerprint": signer.fingerprint,
    }
    return names, digest


def _release(services: Services, folder: Path, run_id: RunId) -> None:
    info = save_model(make_logistic(), folder / "model", task="binary", sample=LOGISTIC_SAMPLE)
    tree = services.objects.put_tree(folder / "model")
    for number in (1, 2):
        services.registry.register("churn", run_id if number == 1 else None, tree, info)
    services.registry.move_alias("churn", "champion", 1, "first")
    services.serving.deploy("churn", "churn", 1)
    services.serving.deploy("churn", "churn", 2, "canary")


def _train(services: Services, digest: Digest) -> str:
    asked = services.pipelines.request_run("churn", {"rate": 1})
    run = services.pipelines.claim_run("churn", "worker-1", 3600.0)
    assert run is not None and run.id == asked.id
    parts = KeyParts(function="pipeline:fit", code={}, params={}, inputs={}, environment="3.11", seed=1)
    step = StepRun(
        run_id=run.id,
        name="fit",
        number=1,
        status=StepStatus.RUNNING,
        key=parts.key,
        parts=parts,
        started_at=MOMENT,
    )
    services.pipelines.record_step(run.fence, step)
    draft = DatasetDraft(
        source="customers.csv",
        tree=digest,
        roles=Roles(key="id", label="left"),
        schema=Schema((Column("id", "integer", "Int64", False),)),
        profile=Profile(1, ()),
        files=(),
        report=CheckReport(passed=True, tree=digest, rows=1, results=()),
    )
    services.datasets.record_version("customers", draft)
    services.tracking.log_input(run.id, Ref("dataset-version", "customers/1"))
    return run.id


def _tell(services: Services) -> dict[str, str]:
    """An incident, a message about it that was given up, and a silence."""
    incidents = services.incidents
    lease = incidents.hold_lease("churn", "a", 60.0)
    assert lease is not None
    moved = Signal(
        key="seen:a",
        deployment="churn",
        kind="drift",
        since=MOMENT,
        until=MOMENT + timedelta(days=1),
        summary="it moved",
    )
    incidents.apply_signals("churn", [moved], lease.fence)
    delivery = incidents.note_try(incidents.request_test("churn", "hook"), lease.fence, "refused", give_up=True)
    silence = incidents.silence(datetime.now(UTC) + timedelta(hours=1), "we know", deployment="fraud")
    return {
        "incident_id": incidents.list_incidents()[0].id,
        "delivery_id": delivery.id,
        "silence_id": silence.id,
        "rule": "hook",
    }


def _judge(services: Services, run_id: str) -> tuple[str, str]:
    metric = MetricValue(name="auc", value=0.7, n=10, higher_is_better=True)
    report = Report(
        task="binary",
        label="left",
        primary="auc",
        rows=10,
        rows_digest="0" * 64,
        confidence=0.95,
        seed=0,
        metrics=(metric,),
        run_id=run_id,
    )
    kept = services.evaluation.record_report(seal(report))
    verdict = services.evaluation.record_verdict(
        seal(Verdict(passed=True, report_id=kept.id, gates=(), summary="it is good"))
    )
    return kept.id, verdict.id


def _answer(services: Services, digest: Digest) -> None:
    segment = Segment(
        id=SegmentId("seg-1"),
        deployment="churn",
        first_at=MOMENT,
        last_at=MOMENT,
        rows=1,
        digest=digest,
        revisions=[RevisionCounts(revision=1, rows=1, latency=[(60, 1)])],
    )
    services.predictions.add_segment(segment)
    services.predictions.add_outcomes([Outcome(prediction_id="seg-1-0", value=1, at=MOMENT)])  # type: ignore[arg-type]


class Database:
    """Looks at the server's database file from outside, and puts it back to where it stood."""

    def __init__(self, path: Path) -> None:
        self._held = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_S)
        self._first = sqlite3.connect(":memory:")
        self._held.backup(self._first)

    def version(self) -> int:
        """A number that changes whenever anybody else commits a change, however small."""
        return int(self._held.execute("PRAGMA data_version").fetchone()[0])

    def count_rows(self) -> dict[str, int]:
        """How many rows each table holds, and the newest audit event."""
        names = [row[0] for row in self._held.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: self._held.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
        counts["audit head"] = self._held.execute("SELECT max(number) FROM audit_events").fetchone()[0]
        return counts

    def restore(self) -> None:
        """Everything as it was at the beginning."""
        self._first.backup(self._held)

    def close(self) -> None:
        """Let go of the file."""
        self._held.close()
        self._first.close()
