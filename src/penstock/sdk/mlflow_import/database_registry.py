"""Reads the registry in MLflow's database."""

from typing import Any

from penstock.sdk.mlflow_import.source import DELETED_VERSION, SourceModel, SourceVersion
from penstock.sdk.mlflow_import.tables import Tables


def list_models(tables: Tables) -> list[SourceModel]:
    """Every registered model with its versions; none where the database has no registry."""
    if "registered_models" not in tables or "model_versions" not in tables:
        return []
    models = [row for row in tables.rows(tables.select("registered_models")) if tables.is_ours(row)]
    names = [row["name"] for row in models]
    tags = tables.texts_of("registered_model_tags", "name", names)
    aliases: dict[str, dict[str, int]] = {}
    for row in filter(tables.is_ours, tables.rows_of("registered_model_aliases", "name", names)):
        aliases.setdefault(row["name"], {})[row["alias"]] = int(row["version"])
    versions = _list_versions(tables, names)
    return [
        SourceModel(
            name=row["name"],
            created_ms=row.get("creation_time") or 0,
            updated_ms=row.get("last_updated_time") or 0,
            description=row.get("description") or "",
            tags=tags.get(row["name"], {}),
            aliases=aliases.get(row["name"], {}),
            versions=tuple(sorted(versions.get(row["name"], ()), key=lambda version: version.number)),
        )
        for row in sorted(models, key=lambda row: str(row["name"]))
    ]


def _list_versions(tables: Tables, names: list[str]) -> dict[str, list[SourceVersion]]:
    tags: dict[tuple[str, int], dict[str, str]] = {}
    for row in filter(tables.is_ours, tables.rows_of("model_version_tags", "name", names)):
        tags.setdefault((row["name"], row["version"]), {})[row["key"]] = row["value"] or ""
    versions: dict[str, list[SourceVersion]] = {}
    for row in filter(tables.is_ours, tables.rows_of("model_versions", "name", names)):
        version = _to_version(row, tags.get((row["name"], row["version"]), {}))
        versions.setdefault(row["name"], []).append(version)
    return versions


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
