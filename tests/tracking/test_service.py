"""The verbs of tracking on a real database."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import open_database
from penstock.core import codec
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.events import Edge, Entry
from penstock.core.ids import Digest, Ref, RunId
from penstock.storage.database import Database
from penstock.tracking.api import ROUTES
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.service import TrackingService
from penstock.tracking.tables import from_sortable, to_sortable
from penstock.tracking.types import Comparison, Metric, RunSource, RunStatus

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = Digest("a" * 64)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT)


@pytest.fixture
def db(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    db = open_database(tmp_path, clock)
    yield db
    db.close()


@pytest.fixture
def tracking(db: Database) -> TrackingService:
    return TrackingService(db)


@pytest.fixture
def experiments(db: Database) -> ExperimentService:
    return ExperimentService(db)


def test_a_run_remembers_what_was_logged_to_it(tracking: TrackingService) -> None:
    source = RunSource(git_commit="c0ffee", seed=7, command="python train.py", host="mill")
    run = tracking.create_run("churn", "first", tags={"stage": "trial"}, source=source)
    tracking.log_batch(run.id, [Metric("auc", 0.7, 1), Metric("auc", 0.8, 2)], {"depth": "3"}, {"stage": "final"})
    held = tracking.get_run(run.id)
    assert held.source == source
    assert held.params == {"depth": "3"}
    assert held.tags == {"stage": "final"}
    assert held.metrics == {"auc": Metric("auc", 0.8, 2, MOMENT)}
    assert held.created_by == "tester"


def test_the_latest_metric_is_the_greatest_step_not_the_last_write(tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    tracking.log_batch(run.id, [Metric("loss", 0.1, 9)])
    tracking.log_batch(run.id, [Metric("loss", 0.5, 3)])
    assert tracking.get_run(run.id).metrics["loss"].step == 9
    assert [point.step for point in tracking.metric_history(run.id, "loss").points] == [3, 9]


def test_the_same_batch_twice_is_stored_once(tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    batch = [Metric("loss", 0.5, 1, MOMENT), Metric("loss", math.nan, 2, MOMENT)]
    for _ in range(2):
        tracking.log_batch(run.id, batch, {"depth": "3"})
    assert len(tracking.metric_history(run.id, "loss").points) == 2


def test_two_values_of_one_step_and_moment_are_both_kept(tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    tracking.log_batch(run.id, [Metric("loss", 0.5), Metric("loss", 0.25)])
    assert [point.value for point in tracking.metric_history(run.id, "loss").points] == [0.25, 0.5]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308])
def test_any_float_comes_back_as_it_was_given_through_json_too(tracking: TrackingService, value: float) -> None:
    run = tracking.create_run("churn")
    tracking.log_batch(run.id, [Metric("loss", value)])
    answer = codec.decode(codec.encode(tracking.get_run(run.id)), type(run))
    number = answer.metrics["loss"].number
    assert math.copysign(1, number) == math.copysign(1, value) or math.isnan(value)
    assert number == value or (math.isnan(number) and math.isnan(value))


@given(values=st.lists(st.floats(allow_nan=False), min_size=2, max_size=2))
def test_stored_floats_sort_as_floats_do(values: list[float]) -> None:
    first, second = values
    assert [from_sortable(to_sortable(value)) for value in values] == values
    if first < second:
        assert to_sortable(first) < to_sortable(second) < to_sortable(math.nan)


def test_a_parameter_may_be_repeated_but_not_changed(tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    tracking.log_batch(run.id, params={"depth": "3"})
    tracking.log_batch(run.id, params={"depth": "3", "rate": "0.1"})
    with pytest.raises(ConflictError, match=r"'depth'.*'3'.*'4'"):
        tracking.log_batch(run.id, params={"depth": "4"})


def test_a_refused_batch_leaves_nothing_behind(tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    tracking.log_batch(run.id, params={"depth": "3"})
    with pytest.raises(ConflictError):
        tracking.log_batch(run.id, [Metric("loss", 1.0)], {"new": "1", "depth": "4"}, {"tag": "x"})
    held = tracking.get_run(run.id)
    assert (held.metrics, held.params, held.tags) == ({}, {"depth": "3"}, {})


def test_a_run_that_does_not_exist_is_named(tracking: TrackingService) -> None:
    for call in (
        tracking.get_run,
        tracking.log_batch,
        tracking.end_run,
        lambda run: tracking.append_metrics(run, []).result(),
    ):
        with pytest.raises(NotFoundError, match="nowhere"):
            call(RunId("nowhere"))


def test_nothing_can_be_logged_after_the_end_until_the_run_is_resumed(tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    tracking.end_run(run.id)
    with pytest.raises(ConflictError, match="sealed"):
        tracking.log_batch(run.id, [Metric("loss", 1.0)])
    with pytest.raises(ConflictError, match="sealed"):
        tracking.append_metrics(run.id, [Metric("loss", 1.0)]).result()
    tracking.resume_run(run.id)
    tracking.log_batch(run.id, [Metric("loss", 1.0)])


def test_the_end_of_a_run_is_final_and_can_be_repeated(tracking: TrackingService, clock: ManualClock) -> None:
    run = tracking.create_run("churn")
    clock.advance(hours=1)
    ended = tracking.end_run(run.id, RunStatus.FAILED)
    clock.advance(hours=1)
    assert tracking.end_run(run.id, RunStatus.FAILED).ended_at == ended.ended_at
    with pytest.raises(ConflictError, match="failed"):
        tracking.end_run(run.id, RunStatus.FINISHED)
    with pytest.raises(InvalidInputError):
        tracking.end_run(run.id, RunStatus.RUNNING)


def test_a_scheduled_run_starts_when_it_is_told_to(tracking: TrackingService, clock: ManualClock) -> None:
    run = tracking.create_run("churn", is_scheduled=True)
    assert run.status is RunStatus.SCHEDULED
    clock.advance(minutes=5)
    started = tracking.start_run(run.id)
    assert (started.status, started.started_at) == (RunStatus.RUNNING, clock.now())


def test_a_run_learns_its_source_from_whoever_starts_it(tracking: TrackingService) -> None:
    run = tracking.create_run("churn", is_scheduled=True)
    tracking.start_run(run.id, RunSource(git_commit="abc", environment_lock=Digest("1" * 64)))
    assert tracking.get_run(run.id).source.git_commit == "abc"


def test_the_audit_entry_of_an_end_seals_every_point(tracking: TrackingService, entries: list[Entry]) -> None:
    digests = []
    for value in (0.5, 0.5, 0.25):
        run = tracking.create_run("churn")
        tracking.log_batch(run.id, [Metric("loss", 1.0, 1), Metric("loss", value, 2)])
        tracking.end_run(run.id)
        sealed = entries[-1]
        assert (sealed.action, sealed.subject) == ("tracking.end_run", run.ref)
        assert sealed.detail["points"] == 2
        digests.append(sealed.detail["metrics"])
    assert digests[0] == digests[1] != digests[2]


def test_many_threads_append_points_and_none_is_lost(tracking: TrackingService) -> None:
    run = tracking.create_run("churn")

    def append(worker: int) -> None:
        done = [tracking.append_metrics(run.id, [Metric(f"m{worker}", step, step)]) for step in range(100)]
        assert [future.result() for future in done] == [None] * 100

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(8)))
    held = tracking.get_run(run.id)
    assert {key: metric.step for key, metric in held.metrics.items()} == {f"m{worker}": 99 for worker in range(8)}
    assert len(tracking.metric_history(run.id, "m3").points) == 100


def test_history_can_be_read_in_pages(tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    tracking.log_batch(run.id, [Metric("loss", value, 0) for value in (math.nan, *range(10))])
    seen, after = [], ""
    while True:
        page = tracking.metric_history(run.id, "loss", limit=4, after=after)
        seen += [point.value for point in page.points]
        after = page.next
        if not after:
            break
    assert seen == [*range(10), "NaN"]


def _read_all(tracking: TrackingService, order_by: str) -> list[str]:
    names: list[str] = []
    after = None
    while page := tracking.list_runs("churn", limit=2, after=after, order_by=order_by):
        names += [run.name for run in page]
        after = page[-1].id
    return names


def test_runs_are_paged_in_any_order_with_missing_and_nan_last(tracking: TrackingService, clock: ManualClock) -> None:
    for name, auc in (("b", 0.7), ("e", None), ("a", 0.9), ("d", math.nan), ("c", -0.2)):
        clock.advance(seconds=1)
        run = tracking.create_run("churn", name)
        tracking.log_batch(run.id, [] if auc is None else [Metric("auc", auc)])
    tracking.create_run("other", "elsewhere")
    assert _read_all(tracking, "-started_at") == ["c", "d", "a", "e", "b"]
    assert _read_all(tracking, "name") == ["a", "b", "c", "d", "e"]
    assert _read_all(tracking, "-metrics.auc") == ["a", "b", "c", "d", "e"]
    assert _read_all(tracking, "metrics.auc") == ["c", "b", "a", "d", "e"]
    with pytest.raises(InvalidInputError, match=r"metrics\.KEY"):
        tracking.list_runs(order_by="params.depth")


def test_runs_can_be_listed_by_status_and_parent(tracking: TrackingService, experiments: ExperimentService) -> None:
    parent = tracking.create_run("churn", "parent")
    child = tracking.create_run("churn", "child", parent=parent.id)
    tracking.end_run(child.id)
    assert [run.name for run in tracking.list_runs(status=RunStatus.FINISHED)] == ["child"]
    assert [run.name for run in tracking.list_runs(parent=parent.id)] == ["child"]
    assert experiments.count_runs() == {"churn": 2}


def test_an_unknown_experiment_is_named_and_a_known_one_cannot_be_made_twice(
    tracking: TrackingService, experiments: ExperimentService
) -> None:
    with pytest.raises(NotFoundError, match="'churm'"):
        tracking.list_runs("churm")
    made = experiments.create_experiment("churn")
    assert experiments.get_experiment("churn") == made
    with pytest.raises(ConflictError):
        experiments.create_experiment("churn")
    assert experiments.list_experiments() == [made]


def test_a_caller_that_chose_the_id_may_repeat_itself(tracking: TrackingService, entries: list[Entry]) -> None:
    first = tracking.create_run("churn", run_id=RunId("mine"))
    assert tracking.create_run("churn", run_id=RunId("mine")) == first
    assert [entry.action for entry in entries].count("tracking.create_run") == 1
    with pytest.raises(ConflictError, match="churn"):
        tracking.create_run("other", run_id=RunId("mine"))


@pytest.mark.parametrize(
    ("batch", "field"),
    [
        ({"metrics": [Metric("", 1.0)]}, "metrics[0].key"),
        ({"metrics": [Metric("ok", 1.0), Metric("m", 1.0, 2**63)]}, "metrics[1].step"),
        ({"params": {"k" * 251: "v"}}, "params"),
        ({"params": {"k": "v" * 100_001}}, "params['k']"),
        ({"tags": {"k": "a\x00b"}}, "tags['k']"),
        ({"tags": {"k": "\ud800"}}, "tags['k']"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_field(tracking: TrackingService, batch: dict, field: str) -> None:
    run = tracking.create_run("churn")
    with pytest.raises(InvalidInputError) as refusal:
        tracking.log_batch(run.id, **batch)
    assert refusal.value.field == field


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=200))
def test_texts_survive_unchanged(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    tracking = _shared(tmp_path_factory)
    run = tracking.create_run("texts")
    tracking.log_batch(run.id, params={"p": text}, tags={"t": text})
    held = tracking.get_run(run.id)
    assert (held.params, held.tags) == ({"p": text}, {"t": text})


def _shared(tmp_path_factory: pytest.TempPathFactory) -> TrackingService:
    if not _SHARED:
        _SHARED.append(TrackingService(open_database(tmp_path_factory.mktemp("texts"))))
    return _SHARED[0]


_SHARED: list[TrackingService] = []


def test_an_input_becomes_a_lineage_edge(tracking: TrackingService, edges: list[Edge]) -> None:
    run = tracking.create_run("churn")
    source = Ref("dataset-version", "events/2")
    tracking.log_input(run.id, source)
    tracking.log_input(run.id, source)
    assert edges == [Edge(source, run.ref, "read")]
    assert tracking.get_run(run.id).inputs == (source,)


def test_runs_are_compared_side_by_side(tracking: TrackingService) -> None:
    runs = [tracking.create_run("churn", name) for name in ("a", "b")]
    tracking.log_batch(runs[0].id, [Metric("auc", 0.7), Metric("loss", math.nan)], {"depth": "3", "rate": "1"})
    tracking.log_batch(runs[1].id, [Metric("auc", 0.7)], {"depth": "4", "rate": "1"})
    found = tracking.compare_runs([run.id for run in runs])
    assert [(row.key, row.values, row.differs) for row in found.params] == [
        ("depth", ("3", "4"), True),
        ("rate", ("1", "1"), False),
    ]
    assert [(row.key, row.values, row.differs) for row in found.metrics] == [
        ("auc", (0.7, 0.7), False),
        ("loss", ("NaN", None), True),
    ]
    assert codec.decode(codec.encode(found), Comparison) == found


def test_every_route_can_decode_its_arguments() -> None:
    for route in ROUTES:
        names = set(route.verb.arguments.__struct_fields__)  # type: ignore[attr-defined]
        assert set(route.path_parameters) <= names, route.path


def test_a_batch_over_the_wire_means_the_same(tracking: TrackingService, db: Database) -> None:
    run = tracking.create_run("churn")
    verb = TrackingService.log_batch
    body = (
        f'{{"run_id": "{run.id}", "metrics": [{{"key": "loss", "value": "NaN", "step": 2}}], "params": {{"a": "1"}}}}'
    )
    tracking.log_batch.run_as(db.actor, codec.decode(body, verb.arguments), key="once").result()
    assert math.isnan(tracking.get_run(run.id).metrics["loss"].number)
