"""Reads a running MLflow server over its REST API."""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.core.errors import InvalidInputError, NotFoundError, UnavailableError
from penstock.sdk.mlflow_import.points import to_history, to_infinity
from penstock.sdk.mlflow_import.rest_client import RestClient
from penstock.sdk.mlflow_import.rest_records import (
    PROMPT,
    read_experiment,
    read_logged_model,
    read_model,
    read_run,
    read_version,
)
from penstock.sdk.mlflow_import.source import (
    SourceExperiment,
    SourceFile,
    SourceLoggedModel,
    SourceModel,
    SourceOwner,
    SourceRun,
    UnreadableArtifactsError,
)
from penstock.tracking.histories import History

_PAGE = 1_000
_POINTS = 25_000
_MODELS = 100
_TRACES = 500
_LOGGED_MODELS = 50
_SEARCH_TRACES = "/api/3.0/mlflow/traces/search"


class RestSource:
    """A server. What it deleted for good, and logged models that were deleted, it does not tell of."""

    def __init__(self, url: str) -> None:
        self.problems: list[str] = []
        self._client = RestClient(url)
        self.label = self._client.label
        self._experiments: list[str] = []  # ids
        self._metrics: dict[str, list[str]] = {}  # keys, by the run that was read last

    def list_experiments(self) -> list[SourceExperiment]:
        """See `Source`."""
        body = {"max_results": _PAGE, "view_type": "ALL"}
        found = self._client.pages("POST", "experiments/search", "experiments", body)
        experiments = [read_experiment(each) for each in found]
        self._experiments = [experiment.id for experiment in experiments]
        return experiments

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
        for found in self._client.pages("POST", "runs/search", "runs", body):
            info = found["info"]  # what is found leaves out which models a run read
            held = self._client.ask("GET", "runs/get", {"run_id": info.get("run_id") or info["run_uuid"]})["run"]
            run = read_run(held)
            metrics = (held.get("data") or {}).get("metrics") or ()
            self._metrics = {run.id: sorted({each["key"] for each in metrics})}
            yield run

    def read_points(self, run: SourceRun) -> Iterator[tuple[str, History]]:
        """See `Source`."""
        for key in self._metrics[run.id]:
            asked = {"run_id": run.id, "metric_key": key, "max_results": _POINTS}
            found = list(self._client.pages("GET", "metrics/get-history", "metrics", asked))
            at_ms = [int(each.get("timestamp", 0)) for each in found]
            steps = [int(each.get("step", 0)) for each in found]
            history = to_history(f"metric {key!r}", at_ms, steps, [float(each["value"]) for each in found])
            to_infinity(history.values)
            yield key, history

    def each_logged_model(self, experiment_id: str) -> Iterator[SourceLoggedModel]:
        """See `Source`."""
        body = {"experiment_ids": [experiment_id], "max_results": _LOGGED_MODELS}
        try:
            for held in self._client.pages("POST", "logged-models/search", "models", body):
                yield read_logged_model(held)
        except NotFoundError:
            return  # servers before 3.0 have none

    def list_files(self, owner: SourceOwner) -> list[SourceFile]:
        """See `Source`."""
        found: list[SourceFile] = []
        folders = [""]
        while folders:
            try:
                entries = self._list_folder(owner, folders.pop())
            except (InvalidInputError, NotFoundError, UnavailableError) as error:
                raise UnreadableArtifactsError(f"the server cannot list them: {error.message}") from error
            for entry in entries:
                if entry.get("is_dir"):
                    folders.append(entry["path"])
                else:
                    found.append(SourceFile(entry["path"], int(entry.get("file_size") or 0)))
        return sorted(found, key=lambda file: file.path)

    @contextlib.contextmanager
    def open_file(self, owner: SourceOwner, file: SourceFile) -> Iterator[Path]:
        """See `Source`."""
        if isinstance(owner, SourceRun):
            path, asked = "/get-artifact", {"run_uuid": owner.id, "path": file.path}
        else:
            path = f"/ajax-api/2.0/mlflow/logged-models/{owner.id}/artifacts/files"
            asked = {"artifact_file_path": file.path}
        with tempfile.TemporaryDirectory(prefix="penstock-import-") as folder:
            target = Path(folder) / "file"
            self._client.download(path, asked, target)
            yield target

    def list_models(self) -> list[SourceModel]:
        """See `Source`. Searches leave prompts out unless they are asked for."""
        found: dict[str, SourceModel] = {}
        for filter in ("", f"tags.`{PROMPT}` = 'true'"):
            asked = {"max_results": _MODELS} | ({"filter": filter} if filter else {})
            for held in self._client.pages("GET", "registered-models/search", "registered_models", asked):
                found.setdefault(held["name"], self._read_model(held))
        return [found[name] for name in sorted(found)]

    def count_others(self) -> dict[str, int]:
        """See `Source`."""
        counts: Counter[str] = Counter()
        for experiment_id in self._experiments:
            place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
            body = {"locations": [place], "max_results": _TRACES}
            with contextlib.suppress(NotFoundError, InvalidInputError):  # servers before 3.0 cannot be asked
                counts["traces"] += sum(1 for _ in self._client.pages("POST", _SEARCH_TRACES, "traces", body))
        return {name: count for name, count in counts.items() if count}

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _list_folder(self, owner: SourceOwner, folder: str) -> list[dict[str, Any]]:
        if isinstance(owner, SourceRun):
            path, asked = "artifacts/list", {"run_id": owner.id} | ({"path": folder} if folder else {})
        else:
            path = f"logged-models/{owner.id}/artifacts/directories"
            asked = {"artifact_directory_path": folder} if folder else {}
        return list(self._client.pages("GET", path, "files", asked))

    def _read_model(self, held: dict[str, Any]) -> SourceModel:
        name = held["name"]
        quote = '"' if "'" in name else "'"
        asked = f"name={quote}{name}{quote}"
        if any(tag["key"] == PROMPT for tag in held.get("tags") or ()):
            asked += f" AND tags.`{PROMPT}` = 'true'"
        versions = self._client.pages(
            "GET", "model-versions/search", "model_versions", {"filter": asked, "max_results": _PAGE}
        )
        return read_model(held, [read_version(each) for each in versions])
