"""Reads the registry in an `mlruns` folder."""

from pathlib import Path

from penstock.sdk.mlflow_import.folder_parts import each_file, each_with_meta, read_all, read_meta, read_texts
from penstock.sdk.mlflow_import.source import DELETED_VERSION, SourceModel, SourceVersion


def list_models(folder: Path, problems: list[str]) -> list[SourceModel]:
    """Every registered model with its versions; what cannot be read is added to the problems."""

    def read(home: Path) -> SourceModel:
        held = read_meta(home)
        homes = (each for each in each_with_meta(home) if each.name.startswith("version-"))
        versions = read_all(homes, _read_version, problems)
        return SourceModel(
            name=str(held.get("name", home.name)),
            created_ms=int(held.get("creation_timestamp") or 0),
            updated_ms=int(held.get("last_updated_timestamp") or 0),
            description=str(held.get("description") or ""),
            tags=read_texts(home / "tags"),
            aliases={alias: int(path.read_text()) for alias, path in each_file(home / "aliases")},
            versions=tuple(sorted(versions, key=lambda version: version.number)),
        )

    return list(read_all(each_with_meta(folder), read, problems))


def _read_version(home: Path) -> SourceVersion:
    held = read_meta(home)
    return SourceVersion(
        number=int(held["version"]),
        is_deleted=held.get("current_stage") == DELETED_VERSION,
        created_ms=int(held.get("creation_timestamp") or 0),
        updated_ms=int(held.get("last_updated_timestamp") or 0),
        stage=str(held.get("current_stage") or "None"),
        description=str(held.get("description") or ""),
        user=str(held.get("user_id") or ""),
        source=str(held.get("source") or ""),
        run_id=str(held.get("run_id") or ""),
        run_link=str(held.get("run_link") or ""),
        tags=read_texts(home / "tags"),
    )
