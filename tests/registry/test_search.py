"""Searches of models and versions: what they find, and that they stay quick in a large registry."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, insert
from sqlalchemy.dialects import sqlite

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import InvalidInputError
from penstock.core.ids import RunId
from penstock.registry import search
from penstock.registry.service import RegistryService
from penstock.registry.tables import model_tags, model_version_tags, model_versions, models
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
PROMPT = {search.PROMPT_TAG: "true"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT)


@pytest.fixture
def db(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    db = open_database(tmp_path, clock)
    yield db
    db.close()


@pytest.fixture
def registry(db: Database, clock: ManualClock) -> RegistryService:
    registry = RegistryService(db)
    registry.create_model("Churn", tags={"team": "risk", "long": "x" * 200 + "a"})
    registry.create_model("churn eu", tags={"team": "Growth", "long": "x" * 200 + "b"})
    registry.create_model("fraud_x", tags={"team": "50% [risk]*"})
    registry.create_model("greet", tags=PROMPT)
    for number, name in enumerate(("Churn", "Churn", "churn eu", "fraud_x", "greet"), 1):
        clock.advance(seconds=1)
        run = RunId(f"run-{number}") if number % 2 else None
        registry.add_version(name, f"s3://bucket/{number}", run_id=run, tags={"n": str(number)})
    registry.add_version("greet", "dummy-source", tags=PROMPT)
    return registry


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["Churn", "churn eu", "fraud_x"]),
        ("name = 'Churn'", ["Churn"]),
        ("name != 'Churn'", ["churn eu", "fraud_x"]),
        ("name LIKE 'churn%'", ["churn eu"]),
        ("name ILIKE 'CHURN%'", ["Churn", "churn eu"]),
        ("name LIKE 'fraud_x'", ["fraud_x"]),
        ("name IN ('Churn', 'fraud_x', 'none')", ["Churn", "fraud_x"]),
        ("name NOT IN ('Churn', 'fraud_x')", ["churn eu"]),
        ("tags.team = 'risk'", ["Churn"]),
        ("tag.team != 'risk'", ["churn eu", "fraud_x"]),
        ("tags.team ILIKE 'g%'", ["churn eu"]),
        ("tags.team LIKE '%[risk]*'", ["fraud_x"]),
        ("tags.team LIKE 'risk*'", []),
        (f"tags.long = '{'x' * 200}a'", ["Churn"]),
        (f"tags.long = '{'x' * 200}'", []),
        ("tags.team = 'risk' AND name = 'churn eu'", []),
        (f"tags.`{search.PROMPT_TAG}` = 'true'", ["greet"]),
        (f"tags.`{search.PROMPT_TAG}` != 'false'", ["greet"]),
        (f"tags.`{search.PROMPT_TAG}` != 'true'", ["Churn", "churn eu", "fraud_x"]),
        (f"tags.`{search.PROMPT_TAG}` = 'false'", ["Churn", "churn eu", "fraud_x"]),
    ],
)
def test_models_are_found(registry: RegistryService, text: str, names: list[str]) -> None:
    assert [model.name for model in registry.search_models(text).models] == names


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("", [4, 3, 2, 1]),
        ("name = 'Churn'", [2, 1]),
        ("version_number > 1", [2]),
        ("version_number = '2'", [2]),
        ("version_number <= 1.5", [4, 3, 1]),
        ("version_number < 99999999999999999999999", [4, 3, 2, 1]),
        ("run_id = 'run-3'", [3]),
        ("run_id = ''", [4, 2]),
        ("run_id != 'run-3'", [4, 2, 1]),
        ("run_id IN ('run-1', 'run-3')", [3, 1]),
        ("source_path LIKE 's3://bucket/%'", [4, 3, 2, 1]),
        ("source_path = 's3://bucket/2'", [2]),
        ("tags.n = '4'", [4]),
        ("tags.n != '4' AND name ILIKE 'churn%'", [3, 2, 1]),
        ("name = 'none'", []),
    ],
)
def test_versions_are_found(registry: RegistryService, text: str, sources: list[int]) -> None:
    found = registry.search_versions(text).versions
    assert [int(version.source.removeprefix("s3://bucket/")) for version in found] == sources


@pytest.mark.parametrize(
    ("order", "sources"),
    [
        (("name ASC", "version_number ASC"), [1, 2, 3, 4]),
        (("name DESC",), [4, 3, 2, 1]),
        (("creation_timestamp ASC",), [1, 2, 3, 4]),
        (("version_number DESC", "name DESC"), [2, 4, 3, 1]),
    ],
)
def test_versions_come_in_the_order_that_was_asked_for(
    registry: RegistryService, order: tuple[str, ...], sources: list[int]
) -> None:
    found = registry.search_versions(order_by=order).versions
    assert [int(version.source[-1]) for version in found] == sources


def test_pages_join_to_the_whole(registry: RegistryService) -> None:
    found, token = [], ""
    while True:
        page = registry.search_versions(limit=2, page_token=token, order_by=("name",))
        found += [version.uri for version in page.versions]
        token = page.next_page_token
        if not token:
            break
    assert found == [version.uri for version in registry.search_versions(order_by=("name",)).versions]
    assert registry.search_models(limit=3).next_page_token == ""  # there is no more


@pytest.mark.parametrize("token", ["bogus", "eyJvZmZzZXQiOi0xfQ==", "e30=", "W10=", "é", "eyJvZmZzZXQiOjFlOTl9"])
def test_a_token_of_no_page_is_refused(registry: RegistryService, token: str) -> None:
    with pytest.raises(InvalidInputError, match="page token"):
        registry.search_models(page_token=token)


@pytest.mark.parametrize("text", ["nom = 'x'", "tags.x > 'a'", "name > 'a'", "metrics.a = 1", "version_number = 'x'"])
def test_what_cannot_be_asked_is_refused(registry: RegistryService, text: str) -> None:
    with pytest.raises(InvalidInputError):
        registry.search_versions(text)


def test_a_moment_orders_but_does_not_narrow(registry: RegistryService) -> None:
    with pytest.raises(InvalidInputError, match="ordered by 'creation_timestamp', but not searched by it"):
        registry.search_versions("creation_timestamp > 5")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """2,000 models with 10 versions each: enough for the planner to show what it does with more."""
    db = open_database(tmp_path_factory.mktemp("large"), ManualClock(MOMENT))
    db.write(_fill)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    yield db
    db.close()


def _fill(tx: Transaction) -> None:
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in (models, model_tags, model_versions)}
    tags: list[dict[str, Any]] = []
    for number in range(2_000):
        key, at = f"model-{number:05}", MOMENT + timedelta(minutes=number)
        common = {"created_at": at, "created_by": "ada", "updated_at": at, "description": ""}
        rows[models].append(common | {"key": key, "name": key, "latest_version": 10})
        for tag, value in (("team", str(number % 100)), ("owner", str(number))):
            rows[model_tags].append({"model": key, "key": tag, "value": value, "start": value})
        for version in range(1, 11):
            texts = dict.fromkeys(("flavor", "label", "location", "run_link", "logged_model_id"), "")
            facts = {
                "model": key,
                "version": version,
                "source": f"s3://b/{key}/{version}",
                "run_id": f"{key}-{version}",
            }
            kept = {"signature": {}, "classes": [], "status": "ready", "stage": "None"}
            rows[model_versions].append(common | texts | facts | kept)
            tags.append({"model": key, "version": version, "key": "n", "value": f"{number}-{version}", "start": ""})
    for tag in tags:
        tag["start"] = tag["value"]
    for table, many in rows.items():
        tx.execute(insert(table), many)
    tx.execute(insert(model_version_tags), tags)


def _plan(db: Database, query: Select[Any]) -> str:
    """What SQLite does for one page of a search."""
    compiled = search.page_of(query, 100, "").compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}".replace("%", "%%")).all()
    return "\n".join(row[3] for row in rows)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("text", "order", "index"),
    [
        ("", (), "ix_models_live_name"),
        ("name = 'model-00007'", (), "ix_models_live_name"),
        ("name IN ('model-00007', 'model-00008')", (), "ix_models_live_name"),
        ("tags.owner = '7'", (), "ix_model_tags_key_start"),
        ("", ("last_updated_timestamp DESC",), "ix_models_updated_at"),
    ],
)
def test_a_search_of_models_reads_an_index(large: Database, text: str, order: tuple[str, ...], index: str) -> None:
    plan = _plan(large, search.select_models(text, order))
    assert index in plan
    assert not re.search(r"^SCAN (models|model_tags)$", plan, re.MULTILINE)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("text", "order", "index"),
    [
        ("", (), "ix_model_versions_updated_at"),
        ("name = 'model-00007'", (), "ix_models_live_name"),
        ("name = 'model-00007' AND version_number = 3", (), "ix_models_live_name"),
        ("run_id = 'model-00007-1'", (), "ix_model_versions_run_id"),
        ("source_path = 's3://b/model-00007/1'", (), "ix_model_versions_source"),
        ("tags.n = '7-1'", (), "ix_model_version_tags_key_start"),
        ("", ("name ASC",), "ix_models_live_name"),
        ("", ("creation_timestamp DESC",), "ix_model_versions_created_at"),
    ],
)
def test_a_search_of_versions_reads_an_index(large: Database, text: str, order: tuple[str, ...], index: str) -> None:
    plan = _plan(large, search.select_found_versions(text, order))
    assert index in plan
    assert not re.search(r"^SCAN (models|model_versions|model_version_tags)$", plan, re.MULTILINE)
