"""Reads MLflow's database, SQLite or PostgreSQL, with the columns that it happens to have; nothing is written."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, MetaData, Select, Table, create_engine, func, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from penstock.core.errors import InvalidInputError, UnavailableError
from penstock.sdk.mlflow_import.files import LocalArtifacts, list_folder
from penstock.sdk.mlflow_import.source import (
    DELETED_VERSION,
    RUN_NAME,
    SourceExperiment,
    SourceFile,
    SourceModel,
    SourceRun,
    SourceVersion,
    to_status,
)
from penstock.tracking.histories import History

_NEEDED = {"experiments", "runs", "metrics", "params", "tags"}
_KNOWN = [
    *_NEEDED,
    "experiment_tags",
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
]
_PAGE = 500  # runs
_FETCH = 50_000  # points
LARGEST = np.finfo(np.float64).max  # what MLflow keeps in a database for infinity


class DatabaseSource:
    """MLflow's database in one snapshot, so that an import sees one moment of it.

    Args:
        url: as SQLAlchemy writes it.
        destination: the folder behind `mlflow-artifacts:/`; None: not known.
    """

    def __init__(self, url: str, destination: Path | None = None) -> None:
        self.label = _hide_password(url)
        self._artifacts = LocalArtifacts(destination)
        self._connection = _connect(url)
        try:
            self._tables = _reflect(self._connection, self.label)
        except BaseException:
            self.close()
            raise

    def list_experiments(self) -> list[SourceExperiment]:
        """See `Source`."""
        tags = self._texts("experiment_tags", "experiment_id")
        return [
            SourceExperiment(
                id=str(row["experiment_id"]),
                name=row["name"],
                created_ms=row.get("creation_time") or 0,
                updated_ms=row.get("last_update_time") or row.get("creation_time") or 0,
                is_deleted=row.get("lifecycle_stage") == "deleted",
                tags=tags.get(row["experiment_id"], {}),
            )
            for row in self._rows(select(self._tables["experiments"]).order_by("experiment_id"))
        ]

    def count_runs(self, experiment_id: str) -> int | None:
        """See `Source`."""
        held = self._tables["runs"]
        query = select(func.count()).where(held.c.experiment_id == int(experiment_id))
        count: int = self._connection.execute(query.select_from(held)).scalar_one()
        return count

    def each_run(self, experiment_id: str) -> Iterator[SourceRun]:
        """See `Source`."""
        held = self._tables["runs"]
        query = select(held).where(held.c.experiment_id == int(experiment_id)).order_by(held.c.run_uuid).limit(_PAGE)
        last = ""
        while rows := self._rows(query.where(held.c.run_uuid > last)):
            ids = [row["run_uuid"] for row in rows]
            params, tags = self._texts("params", "run_uuid", ids), self._texts("tags", "run_uuid", ids)
            keys = self._metric_keys(ids)
            for row in rows:
                run_id = row["run_uuid"]
                yield _to_run(row, params.get(run_id, {}), tags.get(run_id, {}), keys.get(run_id, ()))
            last = ids[-1]

    def read_points(self, run: SourceRun, key: str) -> History:
        """See `Source`."""
        held = self._tables["metrics"].c
        columns = [held.timestamp, held.value, *(held[name] for name in ("step", "is_nan") if name in held)]
        found = self._connection.execute(select(*columns).where(held.run_uuid == run.id, held.key == key))
        at, steps, values = [], [], []
        for rows in found.partitions(_FETCH):
            for row in rows:
                at.append(int(row.timestamp or 0) * 1_000)
                steps.append(int(row.step) if "step" in held else 0)
                is_nan = row.value is None or ("is_nan" in held and row.is_nan)
                values.append(float("nan") if is_nan else float(row.value))
        return History(np.array(at, np.int64), np.array(steps, np.int64), to_infinity(np.array(values, np.float64)))

    def list_files(self, run: SourceRun) -> list[SourceFile]:
        """See `Source`."""
        return list_folder(self._artifacts.find_folder(run.artifact_uri))

    @contextlib.contextmanager
    def open_file(self, run: SourceRun, file: SourceFile) -> Iterator[Path]:
        """See `Source`."""
        yield self._artifacts.find_folder(run.artifact_uri) / file.path

    def list_models(self) -> list[SourceModel]:
        """See `Source`."""
        if not {"registered_models", "model_versions"} <= self._tables.keys():
            return []
        versions: dict[str, list[SourceVersion]] = {}
        tags = self._version_tags()
        for row in self._rows(select(self._tables["model_versions"]).order_by("name", "version")):
            versions.setdefault(row["name"], []).append(_to_version(row, tags.get((row["name"], row["version"]), {})))
        aliases: dict[str, dict[str, int]] = {}
        if "registered_model_aliases" in self._tables:
            for row in self._rows(select(self._tables["registered_model_aliases"])):
                aliases.setdefault(row["name"], {})[row["alias"]] = int(row["version"])
        model_tags = self._texts("registered_model_tags", "name")
        return [
            SourceModel(
                name=row["name"],
                created_ms=row.get("creation_time") or 0,
                updated_ms=row.get("last_updated_time") or 0,
                description=row.get("description") or "",
                tags=model_tags.get(row["name"], {}),
                aliases=aliases.get(row["name"], {}),
                versions=tuple(versions.get(row["name"], ())),
            )
            for row in self._rows(select(self._tables["registered_models"]).order_by("name"))
        ]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
        self._connection.engine.dispose()

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def _texts(self, table: str, owner: str, ids: Sequence[str] | None = None) -> dict[Any, dict[str, str]]:
        """Keys and values by whom they belong to."""
        texts: dict[Any, dict[str, str]] = {}
        if table in self._tables:
            held = self._tables[table].c
            query = select(held[owner].label("owner"), held.key, held.value).order_by(held.key)
            if ids is not None:
                query = query.where(held[owner].in_(ids))
            for row in self._connection.execute(query):
                texts.setdefault(row.owner, {})[row.key] = row.value or ""
        return texts

    def _version_tags(self) -> dict[tuple[str, int], dict[str, str]]:
        tags: dict[tuple[str, int], dict[str, str]] = {}
        if "model_version_tags" in self._tables:
            for row in self._rows(select(self._tables["model_version_tags"])):
                tags.setdefault((row["name"], row["version"]), {})[row["key"]] = row["value"] or ""
        return tags

    def _metric_keys(self, ids: list[str]) -> dict[str, tuple[str, ...]]:
        held = self._tables["metrics"].c
        keys: dict[str, tuple[str, ...]] = {}
        for row in self._connection.execute(select(held.run_uuid, held.key).where(held.run_uuid.in_(ids)).distinct()):
            keys[row.run_uuid] = (*keys.get(row.run_uuid, ()), row.key)
        return keys


def to_infinity(values: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float64]":
    """The same values, infinite where MLflow's database holds the largest number in its place."""
    values[np.abs(values) == LARGEST] *= np.inf
    return values


def _to_run(row: dict[str, Any], params: dict[str, str], tags: dict[str, str], keys: tuple[str, ...]) -> SourceRun:
    return SourceRun(
        id=row["run_uuid"],
        name=row.get("name") or tags.get(RUN_NAME) or "",
        status=to_status(row.get("status")),
        started_ms=row.get("start_time") or 0,
        ended_ms=row.get("end_time"),
        user=row.get("user_id") or "",
        is_deleted=row.get("lifecycle_stage") == "deleted",
        deleted_ms=row.get("deleted_time"),
        artifact_uri=row.get("artifact_uri") or "",
        params=params,
        tags=tags,
        metrics=tuple(sorted(keys)),
    )


def _to_version(row: dict[str, Any], tags: dict[str, str]) -> SourceVersion:
    return SourceVersion(
        number=row["version"],
        is_deleted=row.get("current_stage") == DELETED_VERSION,
        created_ms=row.get("creation_time") or 0,
        updated_ms=row.get("last_updated_time") or 0,
        stage=row.get("current_stage") or "None",
        description=row.get("description") or "",
        user=row.get("user_id") or "",
        source=row.get("source") or "",
        run_id=row.get("run_id") or "",
        run_link=row.get("run_link") or "",
        tags=tags,
    )


def _connect(url: str) -> Connection:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInputError(
            "this is no database URL", hint="write sqlite:///mlflow.db or postgresql://user:password@host/name"
        ) from error
    name = parsed.get_backend_name()
    if name == "sqlite":
        path = Path(parsed.database or "").absolute()
        if not path.is_file():
            raise InvalidInputError(f"there is no database {path}")
        parsed = parsed.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})
    elif name == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    else:
        raise InvalidInputError(
            f"databases of the kind {name!r} cannot be read directly", hint="import from the URL of the MLflow server"
        )
    try:
        engine = create_engine(parsed)
        if name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return engine.connect()
    except (ImportError, NoSuchModuleError) as error:
        raise InvalidInputError(
            "PostgreSQL cannot be read without its driver", hint="pip install 'penstock[postgres]'"
        ) from error
    except DatabaseError as error:
        raise UnavailableError(f"the database {_hide_password(url)} cannot be opened: {error.orig}") from error


def _reflect(connection: Connection, label: str) -> dict[str, Table]:
    """The tables that are there, with whatever columns they have."""
    try:
        present = set(inspect(connection).get_table_names())
        missing = sorted(_NEEDED - present)
        if missing:
            raise InvalidInputError(
                f"{label} is not a database of MLflow: it has no table {missing[0]!r}",
                hint="name the database that --backend-store-uri of the MLflow server names",
            )
        tables = MetaData()
        tables.reflect(connection, only=[name for name in _KNOWN if name in present], resolve_fks=False)
    except DatabaseError as error:
        raise InvalidInputError(f"{label} is not a database of MLflow: {error.orig}") from error
    return dict(tables.tables)


def _hide_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "the database"
