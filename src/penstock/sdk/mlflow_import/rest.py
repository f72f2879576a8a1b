"""Reads a running MLflow server over its REST API."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from penstock.core.errors import InvalidInputError, PermissionDeniedError, UnavailableError
from penstock.sdk.mlflow_import.database import to_infinity
from penstock.sdk.mlflow_import.source import (
    RUN_NAME,
    SourceExperiment,
    SourceFile,
    SourceModel,
    SourceRun,
    SourceVersion,
    UnreadableArtifactsError,
    to_status,
)
from penstock.tracking.histories import History

_API = "/api/2.0/mlflow/"
_TIMEOUT_S = 120.0
_TRIES = 4
_PAGE = 1_000
_POINTS = 25_000
_MODELS = 100


class RestSource:
    """A server; it is asked with the credentials that MLflow's own clients take from the environment."""

    def __init__(self, url: str) -> None:
        parsed = httpx.URL(url.rstrip("/"))
        self.label = str(parsed.copy_with(username=None, password=None)) if parsed.userinfo else str(parsed)
        headers, auth = {}, None
        if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            headers["authorization"] = f"Bearer {token}"
        elif user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
            auth = httpx.BasicAuth(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
        transport = httpx.HTTPTransport(retries=_TRIES)
        self._http = httpx.Client(
            base_url=parsed, headers=headers, auth=auth, timeout=_TIMEOUT_S, transport=transport, follow_redirects=True
        )

    def list_experiments(self) -> list[SourceExperiment]:
        """See `Source`."""
        body = {"max_results": _PAGE, "view_type": "ALL"}
        return [_to_experiment(each) for each in self._pages("POST", "experiments/search", "experiments", body)]

    def count_runs(self, experiment_id: str) -> int | None:
        """See `Source`."""
        return None

    def each_run(self, experiment_id: str) -> Iterator[SourceRun]:
        """See `Source`."""
        body = {
            "experiment_ids": [experiment_id],
            "run_view_type": "ALL",
            "max_results": _PAGE,
            "order_by": ["attributes.start_time ASC"],
        }
        return (_to_run(each) for each in self._pages("POST", "runs/search", "runs", body))

    def read_points(self, run: SourceRun, key: str) -> History:
        """See `Source`."""
        asked = {"run_id": run.id, "metric_key": key, "max_results": _POINTS}
        found = list(self._pages("GET", "metrics/get-history", "metrics", asked))
        at = np.array([int(each.get("timestamp", 0)) * 1_000 for each in found], np.int64)
        steps = np.array([int(each.get("step", 0)) for each in found], np.int64)
        return History(at, steps, to_infinity(np.array([float(each["value"]) for each in found], np.float64)))

    def list_files(self, run: SourceRun) -> list[SourceFile]:
        """See `Source`."""
        found: list[SourceFile] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            asked = {"run_id": run.id} | ({"path": folder} if folder else {})
            try:
                entries = list(self._pages("GET", "artifacts/list", "files", asked))
            except (InvalidInputError, UnavailableError) as error:
                raise UnreadableArtifactsError(f"the server cannot list them: {error.message}") from error
            for entry in entries:
                if entry.get("is_dir"):
                    folders.append(entry["path"])
                else:
                    found.append(SourceFile(entry["path"], int(entry.get("file_size") or 0)))
        return sorted(found, key=lambda file: file.path)

    @contextlib.contextmanager
    def open_file(self, run: SourceRun, file: SourceFile) -> Iterator[Path]:
        """See `Source`."""
        with tempfile.TemporaryDirectory(prefix="penstock-import-") as folder:
            path = Path(folder) / "file"
            asked = {"run_uuid": run.id, "path": file.path}
            try:
                with self._http.stream("GET", "/get-artifact", params=asked) as response, path.open("wb") as target:
                    if response.is_error:
                        response.read()
                        raise self._refused(response)
                    for part in response.iter_bytes(1 << 20):
                        target.write(part)
            except httpx.TransportError as error:
                raise self._unreachable(error) from error
            yield path

    def list_models(self) -> list[SourceModel]:
        """See `Source`."""
        found = self._pages("GET", "registered-models/search", "registered_models", {"max_results": _MODELS})
        return [self._to_model(each) for each in found]

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def _to_model(self, held: dict[str, Any]) -> SourceModel:
        quoted = held["name"].replace("'", "\\'")
        asked = {"filter": f"name='{quoted}'", "max_results": _PAGE}
        versions = [_to_version(each) for each in self._pages("GET", "model-versions/search", "model_versions", asked)]
        return SourceModel(
            name=held["name"],
            created_ms=int(held.get("creation_timestamp") or 0),
            updated_ms=int(held.get("last_updated_timestamp") or 0),
            description=held.get("description") or "",
            tags=_texts(held.get("tags")),
            aliases={each["alias"]: int(each["version"]) for each in held.get("aliases", ())},
            versions=tuple(sorted(versions, key=lambda version: version.number)),
        )

    def _pages(self, method: str, path: str, field: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            answer = self._ask(method, path, asked | ({"page_token": token} if token else {}))
            yield from answer.get(field) or ()
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def _ask(self, method: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        options: dict[str, Any] = {"params": asked} if method == "GET" else {"json": asked}
        try:
            response = self._http.request(method, _API + path, **options)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise self._refused(response)
        try:
            answer = response.json()  # Python's own reader: MLflow writes NaN where JSON has none
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise InvalidInputError(
                f"{self.label} is not an MLflow server: its answer to {path} is no JSON",
                hint="name the address that MLFLOW_TRACKING_URI has",
            )
        return answer

    def _unreachable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"no MLflow server answers at {self.label}: {str(error) or type(error).__name__}",
            hint="see that it runs; then import again, which goes on where it stopped",
        )

    def _refused(self, response: httpx.Response) -> InvalidInputError | UnavailableError | PermissionDeniedError:
        told = f"{response.status_code} {response.reason_phrase}"
        with contextlib.suppress(ValueError, AttributeError):
            told = response.json().get("message") or told
        where = f"{self.label}{response.request.url.path}"
        if response.status_code in (401, 403):
            return PermissionDeniedError(
                f"{where} refuses us: {told[:500]}", hint="set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME"
            )
        if response.status_code >= 500 or response.status_code == 429:
            return UnavailableError(f"{where} failed: {told[:500]}", hint="import again, which goes on from here")
        return InvalidInputError(f"{where} answered: {told[:500]}", hint="is this an MLflow server?")


def _to_experiment(held: dict[str, Any]) -> SourceExperiment:
    created = int(held.get("creation_time") or 0)
    return SourceExperiment(
        id=str(held["experiment_id"]),
        name=held["name"],
        created_ms=created,
        updated_ms=int(held.get("last_update_time") or created),
        is_deleted=held.get("lifecycle_stage") == "deleted",
        tags=_texts(held.get("tags")),
    )


def _to_run(held: dict[str, Any]) -> SourceRun:
    info, data = held["info"], held.get("data") or {}
    tags = _texts(data.get("tags"))
    ended = info.get("end_time")
    return SourceRun(
        id=info.get("run_id") or info["run_uuid"],
        name=info.get("run_name") or tags.get(RUN_NAME) or "",
        status=to_status(info.get("status")),
        started_ms=int(info.get("start_time") or 0),
        ended_ms=None if ended is None else int(ended),
        user=info.get("user_id") or "",
        is_deleted=info.get("lifecycle_stage") == "deleted",
        deleted_ms=None,
        artifact_uri=info.get("artifact_uri") or "",
        params=_texts(data.get("params")),
        tags=tags,
        metrics=tuple(sorted({each["key"] for each in data.get("metrics") or ()})),
    )


def _to_version(held: dict[str, Any]) -> SourceVersion:
    return SourceVersion(
        number=int(held["version"]),
        is_deleted=False,
        created_ms=int(held.get("creation_timestamp") or 0),
        updated_ms=int(held.get("last_updated_timestamp") or 0),
        stage=held.get("current_stage") or "None",
        description=held.get("description") or "",
        user=held.get("user_id") or "",
        source=held.get("source") or "",
        run_id=held.get("run_id") or "",
        run_link=held.get("run_link") or "",
        tags=_texts(held.get("tags")),
    )


def _texts(pairs: list[dict[str, str]] | None) -> dict[str, str]:
    return {each["key"]: each.get("value") or "" for each in pairs or ()}
