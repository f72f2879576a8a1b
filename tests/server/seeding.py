"""Fills a whole penstock with the story of a small shop, through the services themselves.

A first release; two seasons in which tastes change; a retraining that is promoted, one that is refused, and one whose
canary is under way. What the monitor would have computed is written down; all decisions are those of the real loop.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import structs

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core import codec
from penstock.core.clock import ManualClock
from penstock.core.config import Config
from penstock.core.identity import Actor, Role
from penstock.core.ids import Digest, PredictionId, RunId, SegmentId, new_id
from penstock.core.project.parse import parse_project
from penstock.core.project.types import Project
from penstock.datasets.ingest import add_version
from penstock.datasets.types import DatasetChecksError
from penstock.evaluation.types import seal
from penstock.loop.probing.prober import Prober
from penstock.loop.rollouts import RolloutWatch
from penstock.loop.steps import EpisodeSteps
from penstock.loop.triggers import Facts, Firing, choose_trigger
from penstock.loop.types import Episode, Look
from penstock.monitoring.alarms import find_alarms
from penstock.monitoring.incidents.sources import AlertSource
from penstock.monitoring.reading import PredictionReader
from penstock.monitoring.references import References
from penstock.monitoring.sketches import encode_sketch, sketch_frame
from penstock.monitoring.types import ColumnDrift, LossEvidence, Performance, RevisionFigures, SegmentDrift, Window
from penstock.pipelines.evaluate_step import ExamSettings, evaluate_candidate
from penstock.pipelines.keys import KeyParts
from penstock.pipelines.types import CandidateRecord, PipelineRun, StepRun, StepStatus
from penstock.pipelines.values.types import StoredValue
from penstock.predictions.dropping import drop_inputs
from penstock.predictions.frames import unpack_json
from penstock.predictions.segment_file import describe_segment, encode_rows
from penstock.predictions.types import Outcome, PredictionRow
from penstock.registry.format.ranking import RankingModel
from penstock.registry.types import CHAMPION
from penstock.serving.types import GatewayReport
from penstock.storage.columns import to_microseconds
from penstock.tracking.types import Metric, RunSource, RunStatus
from server.customers import INPUTS, PROJECT, START, WEEK, Customers, learn

ACTOR = Actor("ada", Role.ADMIN)
CONTROLLER = "server-1"
WEEKS = 20
DRIFT_WEEK, DECAY_WEEK, CANARY_WEEK = 9, 14, 18
MOST_STEPS = 30  # of an episode
STEPS = ("label", "split", "compare", "fit", "evaluate")


@dataclass
class Shop:
    """A penstock with a story in it, on a clock that stands where the story ends."""

    services: Services
    project: Project
    config: Config
    clock: ManualClock
    customers: Customers = field(default_factory=Customers)
    visits: list[pl.DataFrame] = field(default_factory=list)
    models: dict[Digest, RankingModel] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.project.name

    def move_to(self, moment: datetime) -> None:
        """Set the clock, which never goes back."""
        self.clock.advance(seconds=max((moment - self.clock.now()).total_seconds(), 1.0))


@contextlib.contextmanager
def open_shop(folder: Path, *, is_seeded: bool = True, now: datetime = START) -> Iterator[Shop]:
    """The shop in a folder: with its story, told here, or as it lies there; where nothing lies, it is empty."""
    project = parse_project(PROJECT, root=folder)
    config = Config(home=folder / ".penstock")
    clock = ManualClock(now)
    services = open_app(config, clock=clock, actor=ACTOR)
    try:
        shop = Shop(services, project, config, clock)
        if is_seeded:
            _tell_story(shop)
        yield shop
    finally:
        services.close()


def _tell_story(shop: Shop) -> None:
    shop.customers.write_catalogue(shop.project.root / "data/catalogue.csv")
    for week in range(WEEKS):
        shop.visits.append(shop.customers.visits(week, 160))
        if week == 3:
            _refuse_bad_data(shop)
        _write_week(shop, week)
        if week == 0:
            _try_by_hand(shop)
            shop.services.loop.open_episode(shop.name, "the first release")
            _walk(shop, learn(shop.visits[0]), week)
        _serve(shop, shop.visits[week])
        _watch(shop, week)
        _call(shop)
        if week in (DRIFT_WEEK, DECAY_WEEK, CANARY_WEEK):
            _respond(shop, week)
    _let_inputs_go(shop)
    _look(shop)


def _write_week(shop: Shop, week: int) -> None:
    shop.customers.write_events(_events(shop), week, shop.visits[week], kinds=("view", "view", "cart", "buy"))
    shop.move_to(START + WEEK * week + timedelta(hours=6))


def _events(shop: Shop) -> Path:
    return shop.project.root / "data/events"


def _refuse_bad_data(shop: Shop) -> None:
    """A file with a kind of event that nobody knows is kept out, and then taken away again."""
    shop.customers.write_events(_events(shop), 3, shop.visits[3], kinds=("view", "veiw"))
    with contextlib.suppress(DatasetChecksError):
        _ingest(shop, "events")


def _ingest(shop: Shop, dataset: str) -> object:
    section = shop.project.data[dataset]
    now = shop.clock.now()
    return add_version(shop.services.datasets, shop.services.objects, dataset, section, shop.project.root, now=now)


def _try_by_hand(shop: Shop) -> None:
    """A run of somebody's own, with a curve, and one that came to nothing."""
    tracking, objects = shop.services.tracking, shop.services.objects
    notes = objects.put_bytes(b"similar items first, then what is popular")
    source = RunSource(
        git_commit="4f0c1a9b7d2e6f3a8c5b1d0e9f7a6c4b2d8e1f30", seed=7, command="python try.py", host="ada-laptop"
    )
    for name, rate in (("item-item", 0.1), ("factorisation", 0.3)):
        run = tracking.create_run("try-outs", name, tags={"team": "shop"}, source=source)
        tracking.log_batch(run.id, params={"rate": str(rate), "neighbours": "20"})
        points = [
            Metric(key, value, step, shop.clock.now() + timedelta(seconds=step))
            for step in range(30)
            for key, value in (("loss", 0.4 + rate * 2**-step), ("recall_at_20", 0.5 - rate * 0.8**step))
        ]
        tracking.log_batch(run.id, points)
        shop.services.artifacts.log_artifact(run.id, "notes/idea.txt", notes, 41)
        shop.clock.advance(minutes=3)
        tracking.end_run(run.id)
    failed = tracking.create_run("try-outs", "too many neighbours", source=source)
    tracking.end_run(failed.id, RunStatus.FAILED)


def _respond(shop: Shop, week: int) -> None:
    """What the controller does once an alert is open: an episode, from the decision to its end or to a canary."""
    loop = shop.services.loop
    alerts = shop.services.monitoring.list_alerts(shop.name, "open")
    now = shop.services.predictions.watermark(shop.name) or shop.clock.now()
    firing = choose_trigger(shop.project.retrain, Facts(now=now, has_champion=True, alerts=alerts))
    assert isinstance(firing, Firing), firing
    loop.respond(shop.name, firing, _fence(shop))
    few = 12 if week == DECAY_WEEK else None  # an unlucky retraining that saw next to nothing
    _walk(shop, learn(pl.concat(shop.visits[week : week + 1])[:few]), week)


def _walk(shop: Shop, model: RankingModel, week: int) -> None:
    """Take the steps of the open episode; its run is trained and its canary gets traffic in between."""
    own = shop.services, shop.project
    steps = EpisodeSteps(*own, RolloutWatch(*own), Prober(*own))
    for _ in range(MOST_STEPS):
        episode = shop.services.loop.find_open_episode(shop.name)
        if episode is None:
            return
        shop.clock.advance(seconds=20)
        waiting = steps.take(episode, shop.services.loop.read_seen(), _fence(shop))
        if waiting is not None and episode.state == "training":
            _train(shop, episode, model, week)
        elif waiting is not None and _is_enough(shop, episode, week):
            return
        elif waiting is not None:
            shop.clock.advance(hours=2)
            _serve(shop, shop.customers.visits(week, 900))
    raise AssertionError(f"an episode of the story did not end: {waiting}")


def _is_enough(shop: Shop, episode: Episode, week: int) -> bool:
    """The story ends with a canary at its second step."""
    rollout = shop.services.serving.get_rollout(episode.rollout_id) if episode.rollout_id else None
    return week == CANARY_WEEK and rollout is not None and rollout.step == 1


def _fence(shop: Shop) -> int:
    lease = shop.services.loop.hold_lease(shop.name, CONTROLLER, 10.0)
    assert lease is not None
    return lease.fence


def _train(shop: Shop, episode: Episode, model: RankingModel, week: int) -> None:
    """What a worker does with a run, but for the child processes."""
    pipelines, objects = shop.services.pipelines, shop.services.objects
    run = pipelines.claim_run(shop.name, "worker-1", 60.0)
    assert run is not None and run.id == episode.run_id
    for dataset in shop.project.data:
        _ingest(shop, dataset)
    refs = [shop.services.datasets.get_version(dataset).ref for dataset in shop.project.data]
    lock = objects.put_bytes(b"polars==1.35.1\nnumpy==2.3.4\n")
    source = RunSource(
        git_commit="91b3e07c5a4d2f8e6b0c9d7a1f3e5b8c2d4a6f90", environment_lock=lock, seed=0, command="penstock worker"
    )
    pipelines.begin_run(run.id, run.fence, source, dict(shop.project.pipeline.params), refs)
    for number, name in enumerate(STEPS, 1):
        _record_step(shop, run, number, name)
    pipelines.finish_run(run.id, run.fence, _examine(shop, run, model, week))


def _record_step(shop: Shop, run: PipelineRun, number: int, name: str) -> None:
    is_cached = name == "label" and run.episode is not None and run.requested_at > START + WEEK
    digest = shop.services.objects.put_bytes(f"{run.id} {name}".encode())
    parts = KeyParts(
        function=f"pipeline:{name}", code={name: digest}, params={}, inputs={}, environment="3.11", seed=number
    )
    began = shop.clock.now()
    shop.clock.advance(seconds=0.0 if is_cached else 3.0 * number)
    step = StepRun(
        run_id=run.id,
        name=name,
        number=number,
        status=StepStatus.CACHED if is_cached else StepStatus.FINISHED,
        attempt=0 if is_cached else 1,
        key=parts.key,
        parts=parts,
        output=StoredValue(kind="plain", digest=digest, about=f"{160 * number} rows, {number} columns"),
        message="an equal step was run before" if is_cached else "",
        started_at=began,
        ended_at=shop.clock.now(),
    )
    shop.services.pipelines.record_step(run.fence, step)


def _examine(shop: Shop, run: PipelineRun, model: RankingModel, week: int) -> CandidateRecord:
    services, objects = shop.services, shop.services.objects
    alias = services.registry.find_alias(shop.name, CHAMPION)
    champion = services.registry.get_version(shop.name, alias.version) if alias else None
    past = shop.visits[week].select(*INPUTS, "relevant")
    settings = ExamSettings(
        task="ranking",
        label="relevant",
        metrics=("recall_at_20", "precision_at_10"),
        primary="recall_at_20",
        gates=shop.project.gates,
        slices=("new_user", "aisle"),
        cluster="user",
    )
    test = shop.customers.visits(week, 300).drop("at")
    found = evaluate_candidate(
        objects, model, test, past, codec.to_builtins(settings), champion.tree if champion else ""
    )
    shop.models[found.model] = model
    report = services.evaluation.record_report(seal(structs.replace(found.report, run_id=run.id)))
    beside = found.champion_report
    if beside is not None and champion is not None:
        beside = services.evaluation.record_report(seal(structs.replace(beside, run_id=champion.run_id or "")))
    points = [Metric(each.name, each.value, at=shop.clock.now()) for each in report.metrics if each.value is not None]
    services.tracking.log_batch(RunId(run.id), points)
    return CandidateRecord(
        model=found.model,
        info=found.info,
        test=found.test,
        reference=found.reference,
        label="relevant",
        report_id=report.id,
        champion=f"{shop.name}/{champion.version}" if champion else "",
        champion_report_id=beside.id if beside else None,
    )


def _serve(shop: Shop, visits: pl.DataFrame) -> None:
    """Answer visits as a gateway does, and tell what came of them."""
    route = shop.services.serving.routing().deployments[0]
    rng = np.random.default_rng(len(visits) + len(shop.visits))
    outcomes: list[tuple[int, list[str], datetime]] = []
    rows: list[PredictionRow] = []
    for number, visit in enumerate(visits.to_dicts()):
        is_tried = route.candidate is not None and hash_share(visit["user"]) < route.share
        revision = route.candidate if is_tried and route.candidate else route.stable
        items, scores = shop.models[revision.tree].suggest(visit["recent"].split())
        is_error = number % 397 == 5
        rows.append(
            PredictionRow(
                to_microseconds(visit["at"]),
                revision.number,
                visit["user"],
                codec.encode_text({name: visit[name] for name in INPUTS}),
                codec.encode_text({"items": items[:10], "scores": scores[:10]}),
                int(rng.gamma(4.0, 900.0)),
                "fallback" if is_error else "ok",
                (route.share if is_tried else 1 - route.share) if route.candidate else 1.0,
            )
        )
        wanted = [item for item in visit["relevant"] if item in items[:10]]
        if rng.random() < 0.9:
            outcomes.append((number, wanted, visit["at"] + timedelta(hours=1)))
    segment = describe_segment(SegmentId(new_id()), shop.name, rows)
    digest = shop.services.objects.put_bytes(encode_rows(rows))
    shop.services.predictions.add_segment(structs.replace(segment, digest=digest))
    told = [Outcome(prediction_id=PredictionId(f"{segment.id}-{n}"), value=value, at=at) for n, value, at in outcomes]
    shop.services.predictions.add_outcomes(told)


def hash_share(user: str) -> float:
    """Where in 0 to 1 a customer lies."""
    return int(user[1:]) * 37 % 900 / 900


def _let_inputs_go(shop: Shop) -> None:
    """Of the first day, as `monitor.keep_inputs` does."""
    first = shop.services.predictions.list_segments(shop.name, limit=1)[0]
    drop_inputs(shop.services.predictions, shop.services.objects, first, [])


def _watch(shop: Shop, week: int) -> None:
    """Write down the window of a week, and open the alerts that it calls for."""
    monitoring = shop.services.monitoring
    shop.move_to(START + WEEK * (week + 1))
    window = _window(shop, week)
    monitoring.record_window(window)
    windows = monitoring.list_windows(shop.name)
    alerts = monitoring.list_alerts(shop.name)
    for alarm in find_alarms(shop.project, windows, window.version, alerts):
        monitoring.open_alert(alarm.window, alarm.kind, alarm.summary, alarm.evidence)


def _call(shop: Shop) -> None:
    """Bring incidents to what alerts say now."""
    incidents = shop.services.incidents
    lease = incidents.hold_lease(shop.name, CONTROLLER, 10.0)
    assert lease is not None
    incidents.apply_signals(shop.name, AlertSource(shop.services.monitoring, incidents, shop.name)(), lease.fence)


def _window(shop: Shop, week: int) -> Window:
    rng = np.random.default_rng(week)
    stable = shop.services.serving.routing().deployments[0].stable
    has_drifted, is_decayed = week in (DRIFT_WEEK, CANARY_WEEK), week == DECAY_WEEK
    value = 0.19 + 0.008 * rng.standard_normal() - (0.06 if has_drifted else 0.085 if is_decayed else 0.0)
    figures = Performance(metric="precision_at_10", value=value, low=value - 0.017, high=value + 0.017, rows=144)
    losses = shop.services.objects.put_bytes(np.full(8, 1 - value, "<f4").tobytes())
    return Window(
        deployment=shop.name,
        start=START + WEEK * week,
        end=START + WEEK * (week + 1),
        rows=160,
        outcomes=144,
        version=stable.version,
        number=week + 1,
        level=0.004,
        drift=[
            _drift(name, rng, has_drifted=has_drifted and name != "new_user")
            for name in ("aisle", "recent", "new_user")
        ],
        performance=figures,
        below_bar=False,
        loss=LossEvidence(
            mean_loss=1 - value,
            groups=120,
            losses=losses,
            tolerated=0.84,
            evidence=1.3 if is_decayed else 0.2,
            lost=is_decayed,
        ),
        revisions=[RevisionFigures(revision=stable.number, rows=160, latency_p99_ms=9.1, performance=figures)],
        sketches=_sketch(shop, START + WEEK * week, stable.version),
        segment_notes=["no segments by city: it is not among the inputs that are logged"],
    )


def _sketch(shop: Shop, start: datetime, version: int) -> Digest:
    """Keep what the requests of a week held, and the reference of the version they are held against."""
    services = shop.services
    reader = PredictionReader(services.predictions, services.objects, shop.name)
    rows = reader.read_rows(reader.list_segments(start=start, end=start + WEEK))
    References(services.monitoring, services.objects, shop.project).find_sketch(
        services.registry.get_version(shop.name, version)
    )
    inputs = unpack_json(rows.filter(pl.col("at") >= start, pl.col("at") < start + WEEK), "inputs")
    return services.objects.put_bytes(encode_sketch(sketch_frame(inputs)))


AMONG_THE_NEW = SegmentDrift(segment="new_user=1", rows=40, distance=0.52, p_value=1e-7, level=0.0002, drifted=True)


def _drift(column: str, rng: np.random.Generator, *, has_drifted: bool) -> ColumnDrift:
    p_value = float(rng.random() * 1e-9) if has_drifted else float(rng.uniform(0.006, 1.0) ** 1.5)
    return ColumnDrift(
        column=column,
        test="chi2",
        statistic=float(rng.gamma(4.0)),
        distance=0.41 if has_drifted else 0.05,
        p_value=p_value,
        level=0.0013,
        drifted=has_drifted,
        new_share=0.08 if has_drifted and column == "recent" else 0.0,
        rows=160,
        segments=[AMONG_THE_NEW] if has_drifted and column == "recent" else [],
    )


def _look(shop: Shop) -> None:
    """Some more visits; a controller has seen everything there is, and a gateway has loaded what it should."""
    services = shop.services
    _serve(shop, shop.customers.visits(WEEKS - 1, 60))
    shop.clock.advance(minutes=2)
    routing = services.serving.routing()
    report = GatewayReport(
        gateway="gateway-1", routing=routing.number, revisions={shop.name: [2, 3]}, at=shop.clock.now()
    )
    services.serving.report_gateway(report)
    told = "rollout at 25%: 12 of 40 requests of this step were seen"
    look = Look(project=shop.name, seen=services.loop.read_seen(), settled=False, waiting_for=told, at=shop.clock.now())
    services.loop.record_look(look, _fence(shop))
