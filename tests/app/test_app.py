"""The app builds every service on one database, whose migrated schema is what all nouns declare together."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

import penstock.storage.commit_marks  # noqa: F401 - joins the metadata, as it does on PostgreSQL
from penstock.app.app import open_app
from penstock.catalogue.services import ROUTES, Services
from penstock.core.config import Config
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.identity import Actor, Role
from penstock.storage.columns import metadata
from penstock.storage.database import Database


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(home=tmp_path / "home")


@pytest.fixture
def services(config: Config) -> Iterator[Services]:
    opened = open_app(config, actor=Actor("ada", Role.ADMIN))
    yield opened
    opened.close()


def database_of(services: Services) -> Database:
    return services.tracking.db


@pytest.mark.filterwarnings("ignore:(Skipped unsupported reflection of|autogenerate skipping).*expression-based index")
def test_the_migrated_schema_is_what_all_nouns_declare(services: Services) -> None:
    names = set(inspect(database_of(services).engine).get_table_names()) | _own_tables()
    with database_of(services).engine.connect() as connection:
        settings = {"include_name": lambda name, kind, parents: kind != "table" or name in names}
        context = MigrationContext.configure(connection, opts=settings)
        differences = [change for change in compare_metadata(context, metadata) if _is_ours(change)]
    assert differences == [], "run scripts/make_migration.py"


def _own_tables() -> set[str]:
    """The tables of this package; other tests may have added theirs to the metadata."""
    source = Path(__import__("penstock").__file__).parent
    text = "\n".join(path.read_text() for path in source.glob("*/tables.py"))
    text += "\n".join(path.read_text() for path in source.glob("storage/*.py"))
    return {name for name in metadata.tables if f'"{name}"' in text}


def _is_ours(change: Any) -> bool:
    return not (isinstance(change, tuple) and change[0] == "add_table" and change[1].name not in _own_tables())


def test_every_service_is_built_on_the_same_database(services: Services) -> None:
    databases = {id(getattr(services, name).db) for name in ROUTES}
    assert len(databases) == 1
    assert all(getattr(services, name).noun for name in ROUTES)


def test_every_field_of_services_is_filled(services: Services) -> None:
    assert all(getattr(services, field.name) is not None for field in dataclasses.fields(services))


def test_an_opened_home_holds_database_objects_and_audit(services: Services, config: Config) -> None:
    services.experiments.create_experiment("shop")
    services.objects.put_bytes(b"kept")
    assert {path.name for path in config.home.iterdir()} >= {"penstock.db", "objects", "audit"}
    assert [event.actor for event in services.governance.list_events()] == ["ada"]
    assert services.governance.verify_audit().is_whole


def test_two_processes_may_open_a_home_at_once(services: Services, config: Config) -> None:
    second = open_app(config, actor=Actor("bob", Role.ADMIN))
    services.experiments.create_experiment("first")
    second.experiments.create_experiment("second")
    services.experiments.create_experiment("third")
    assert [event.actor for event in services.governance.list_events()] == ["ada", "bob", "ada"]
    assert services.governance.verify_audit().is_whole
    second.close()


def test_a_home_of_a_newer_penstock_is_refused(services: Services, config: Config) -> None:
    with database_of(services).engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConflictError, match="newer"):
        open_app(config)


@pytest.mark.parametrize("url", ["nonsense", "mysql+nothing://x"])
def test_a_database_that_cannot_be_opened_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="database"):
        open_app(Config(home=tmp_path / "home", database=url))


def test_an_object_store_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="gopher"):
        open_app(Config(home=tmp_path / "home", objects="gopher://there"))
