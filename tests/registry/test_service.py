"""The verbs of the registry on a real database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from factories import open_database
from penstock.core import codec
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.events import Edge, Entry
from penstock.core.ids import Digest, Ref, RunId
from penstock.registry.api import ROUTES
from penstock.registry.format.types import Column, ModelInfo, Signature
from penstock.registry.names import VersionName, parse_version_name
from penstock.registry.service import RegistryService
from penstock.registry.types import ModelVersion, VersionStatus
from penstock.storage.database import Database
from penstock.storage.references import list_kept

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = Signature((Column("age", "long"),), (Column("prediction", "boolean"), Column("score", "double")))
INFO = ModelInfo(flavor="sklearn", task="binary", signature=SIGNATURE, classes=(False, True), label="churned")
RUN = RunId("run-1")


def _tree(number: int) -> Digest:
    return Digest(f"{number:064x}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT)


@pytest.fixture
def db(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    db = open_database(tmp_path, clock)
    yield db
    db.close()


@pytest.fixture
def registry(db: Database) -> RegistryService:
    return RegistryService(db)


def _register(registry: RegistryService, count: int = 1, model: str = "churn") -> list[ModelVersion]:
    return [registry.register(model, RUN, _tree(number), INFO) for number in range(1, count + 1)]


def test_a_version_keeps_what_it_was_registered_with(registry: RegistryService, db: Database) -> None:
    made = registry.register("churn", RUN, _tree(1), INFO, reference=_tree(2), tags={"who": "me"})
    assert registry.get_version("churn", 1) == made
    assert (made.version, made.classes, made.signature, made.tags) == (1, (False, True), SIGNATURE, {"who": "me"})
    assert (made.uri, made.ref) == ("models:/churn/1", Ref("model-version", "churn/1"))
    assert db.read(list_kept) == [(made.ref, _tree(1)), (made.ref, _tree(2))]
    assert codec.decode(codec.encode(made), ModelVersion) == made


def test_a_run_leads_to_the_version_it_made(registry: RegistryService, edges: list[Edge]) -> None:
    (made,) = _register(registry)
    assert edges == [Edge(Ref("run", RUN), made.ref, "produced")]
    assert registry.list_versions_of_run(RUN) == [made]


def test_the_same_directory_of_the_same_run_is_registered_once(registry: RegistryService, entries: list[Entry]) -> None:
    first = registry.register("churn", RUN, _tree(1), INFO)
    assert registry.register("churn", RUN, _tree(1), INFO) == first
    assert [entry.action for entry in entries] == ["registry.register"]
    assert registry.register("churn", RunId("run-2"), _tree(1), INFO).version == 2
    assert registry.register("churn", None, _tree(1), INFO).version == 3
    assert registry.register("churn", None, _tree(1), INFO).version == 3


def test_sixteen_threads_number_versions_without_holes_or_doubles(registry: RegistryService) -> None:
    def register(worker: int) -> list[int]:
        made = [registry.register("churn", RUN, _tree(worker * 100 + number), INFO) for number in range(10)]
        return [version.version for version in made]

    with ThreadPoolExecutor(16) as pool:
        numbers = [number for batch in pool.map(register, range(16)) for number in batch]
    assert sorted(numbers) == list(range(1, 161))
    assert registry.get_model("churn").latest_version == 160


def test_two_processes_on_one_file_number_versions_without_holes_or_doubles(tmp_path: Path) -> None:
    databases = [open_database(tmp_path) for _ in range(3)]
    services = [RegistryService(db) for db in databases]

    def register(worker: int) -> list[int]:
        made = [services[worker].register("churn", RUN, _tree(worker * 100 + number), INFO) for number in range(10)]
        return [version.version for version in made]

    with ThreadPoolExecutor(3) as pool:
        numbers = [number for batch in pool.map(register, range(3)) for number in batch]
    assert sorted(numbers) == list(range(1, 31))
    for db in databases:
        db.close()


def test_a_failed_registration_takes_no_number(registry: RegistryService) -> None:
    with pytest.raises(InvalidInputError):
        registry.register("churn", RUN, _tree(1), INFO, tags={"": "empty key"})
    assert registry.list_models() == []
    assert _register(registry)[0].version == 1


def test_an_alias_moves_and_its_history_says_who_when_and_why(
    registry: RegistryService, clock: ManualClock, entries: list[Entry]
) -> None:
    _register(registry, 2)
    registry.move_alias("churn", "champion", 1, "first release")
    clock.advance(days=1)
    moved = registry.move_alias("churn", "champion", 2, "better")
    assert moved.version == 2
    history = registry.alias_history("churn", "champion")
    assert [(move.number, move.before, move.after, move.reason) for move in history] == [
        (2, 1, 2, "better"),
        (1, None, 1, "first release"),
    ]
    assert (history[0].actor, history[0].at) == ("tester", MOMENT + timedelta(days=1))
    assert (entries[-1].action, entries[-1].subject) == ("registry.move_alias", Ref("model-version", "churn/2"))
    assert entries[-1].detail == {"alias": "champion", "before": 1, "after": 2, "reason": "better", "evidence": []}


def test_the_version_behind_an_alias_at_any_past_moment_is_known(registry: RegistryService, clock: ManualClock) -> None:
    _register(registry, 2)
    for version in (1, 2):
        clock.advance(days=1)
        registry.move_alias("churn", "champion", version)
    clock.advance(days=1)
    registry.remove_alias("churn", "champion", "retired")
    found = [registry.alias_at("churn", "champion", MOMENT + timedelta(days=days)) for days in (0.5, 1, 1.5, 2.5, 3.5)]
    assert [version and version.version for version in found] == [None, 1, 1, 2, None]
    assert registry.alias_at("churn", "champion", datetime(2026, 1, 2, 1)) == found[1]  # without a zone: UTC


def test_moving_an_alias_to_where_it_is_changes_nothing(registry: RegistryService, entries: list[Entry]) -> None:
    _register(registry)
    for _ in range(2):
        registry.move_alias("churn", "champion", 1)
    assert len(registry.alias_history("churn")) == 1
    assert [entry.action for entry in entries].count("registry.move_alias") == 1


def test_concurrent_moves_leave_one_holder_and_an_unbroken_history(registry: RegistryService) -> None:
    _register(registry, 8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda version: registry.move_alias("churn", "champion", version), range(1, 9)))
    history = registry.alias_history("churn", "champion")[::-1]
    assert [move.number for move in sorted(history, key=lambda move: move.number)] == list(range(1, 9))
    by_number = {move.number: move for move in history}
    for number in range(2, 9):
        assert by_number[number].before == by_number[number - 1].after
    assert registry.resolve("champion", "churn").version == by_number[8].after


@pytest.mark.parametrize("alias", ["V3", "v3", "Latest", "latest", "", "a b", "a/b"])
def test_an_alias_that_reads_like_something_else_is_refused(registry: RegistryService, alias: str) -> None:
    _register(registry)
    with pytest.raises(InvalidInputError):
        registry.move_alias("churn", alias, 1)


def test_a_version_is_found_by_every_name_it_has(registry: RegistryService) -> None:
    _register(registry, 3)
    registry.move_alias("churn", "champion", 2)
    found = {name: registry.resolve(name).version for name in ("models:/churn@champion", "models:/churn/2")}
    assert set(found.values()) == {2}
    assert registry.resolve("champion", "churn").version == registry.resolve("2", "churn").version == 2
    assert registry.resolve("models:/churn/latest").version == registry.resolve("models:/churn").version == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("models:/chum@champion", "no model 'chum'"),
        ("models:/churn@prod", "no alias 'prod'; its aliases: champion"),
        ("models:/churn/9", "no version 9; its newest is 1"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(registry: RegistryService, name: str, said: str) -> None:
    _register(registry)
    registry.move_alias("churn", "champion", 1)
    with pytest.raises(NotFoundError, match=said):
        registry.resolve(name)


@pytest.mark.parametrize("name", ["", "champion", "models:/", "models:/a/b", "models:/a/-1", "x:/a"])
def test_a_name_that_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="models:/churn@champion"):
        parse_version_name(name)


def test_names_are_parsed() -> None:
    assert parse_version_name("models:/a@b") == VersionName("a", alias="b")
    assert parse_version_name("models:/a b@home@b") == VersionName("a b@home", alias="b")
    assert parse_version_name("models:/a@home/2") == VersionName("a@home", 2)
    assert parse_version_name("@b", "a") == VersionName("a", alias="b")
    assert parse_version_name("latest", "a") == VersionName("a")


def test_an_archived_version_gets_no_alias_and_a_used_one_is_not_archived(registry: RegistryService) -> None:
    _register(registry, 2)
    registry.move_alias("churn", "champion", 1)
    with pytest.raises(ConflictError, match="'champion'"):
        registry.set_status("churn", 1, VersionStatus.ARCHIVED)
    assert registry.set_status("churn", 2, VersionStatus.ARCHIVED).status is VersionStatus.ARCHIVED
    with pytest.raises(ConflictError, match="archived"):
        registry.move_alias("churn", "champion", 2)
    assert [version.version for version in registry.list_versions("churn", status=VersionStatus.READY)] == [1]


def test_versions_are_listed_newest_first_and_by_page(registry: RegistryService) -> None:
    _register(registry, 5)
    assert [version.version for version in registry.list_versions("churn", limit=2)] == [5, 4]
    assert [version.version for version in registry.list_versions("churn", limit=2, before=4)] == [3, 2]


def test_models_are_listed_by_name(registry: RegistryService) -> None:
    for model in ("b", "a", "c"):
        _register(registry, 1, model)
    assert [model.name for model in registry.list_models(limit=2)] == ["a", "b"]
    assert [model.name for model in registry.list_models(after="b")] == ["c"]


def test_tags_can_be_added_and_changed(registry: RegistryService) -> None:
    registry.register("churn", RUN, _tree(1), INFO, tags={"a": "1", "b": "2"})
    assert registry.set_tags("churn", 1, {"b": "3", "c": "4"}).tags == {"a": "1", "b": "3", "c": "4"}
    assert registry.get_version("churn", 1).tags == {"a": "1", "b": "3", "c": "4"}


def test_a_model_name_that_could_be_misread_is_refused(registry: RegistryService) -> None:
    with pytest.raises(InvalidInputError, match="'a@b'"):
        _register(registry, 1, "a@b")


def test_every_route_can_decode_its_arguments() -> None:
    for route in ROUTES:
        names = set(route.verb.arguments.__struct_fields__)  # type: ignore[attr-defined]
        assert set(route.path_parameters) <= names, route.path
