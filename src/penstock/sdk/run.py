"""`penstock.start_run()`: record the params, metrics and files of one execution."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from penstock.catalogue.services import Services
from penstock.core.errors import InvalidInputError
from penstock.core.ids import RunId
from penstock.sdk.connect import connect
from penstock.tracking.capture import capture_source
from penstock.tracking.types import Metric, RunStatus


class ActiveRun:
    """A run that is going on; `with` ends it, as failed when an error leaves the block.

    Attributes:
        id: of the run; sorts by creation time.
    """

    def __init__(self, services: Services, run_id: RunId, *, owns_services: bool) -> None:
        self.id = run_id
        self._services = services
        self._owns_services = owns_services

    def log(self, *, step: int = 0, **metrics: float) -> None:
        """Record metrics: `run.log(loss=0.31, accuracy=0.9, step=5)`."""
        self._services.tracking.log_batch(self.id, metrics=[Metric(k, float(v), step) for k, v in metrics.items()])

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record what the run was started with; a param never changes its value."""
        self._services.tracking.log_batch(self.id, params={key: str(value) for key, value in params.items()})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; a tag may be set again."""
        self._services.tracking.log_batch(self.id, tags=dict(tags))

    def log_artifact(self, file: str | Path, path: str = "") -> None:
        """Keep a file, or a whole folder file by file.

        Args:
            file: what to keep.
            path: its name in the run; empty: the name it has.

        Raises:
            NotFoundError: there is no such file.
        """
        source = Path(file)
        name = path or source.name
        if source.is_dir():
            for part in sorted(source.rglob("*")):
                if part.is_file():
                    self.log_artifact(part, f"{name}/{part.relative_to(source).as_posix()}")
            return
        digest = self._services.objects.put_file(source)
        self._services.tracking.log_artifact(self.id, name, digest, source.stat().st_size)

    def end(self, status: RunStatus = RunStatus.FINISHED) -> None:
        """End the run."""
        self._services.tracking.end_run(self.id, status)
        if self._owns_services:
            self._services.close()

    def __enter__(self) -> "ActiveRun":
        """The run itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run as it went."""
        if kind is None or (isinstance(error, SystemExit) and not error.code):
            self.end()
        else:
            self.end(RunStatus.KILLED if issubclass(kind, KeyboardInterrupt) else RunStatus.FAILED)


def start_run(
    experiment: str = "default",
    *,
    name: str = "",
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    seed: int | None = None,
    services: Services | None = None,
) -> ActiveRun:
    """Start a run; the Git commit, uncommitted changes, environment and seed are recorded with it.

    Args:
        experiment: the collection it belongs to; made if absent.
        name: for people; empty: none.
        params: what it is started with.
        tags: free labels.
        seed: of the random numbers, when one was set.
        services: where to record; None: `penstock.connect()`.

    Raises:
        InvalidInputError: the experiment's name cannot be one.
    """
    if not experiment:
        raise InvalidInputError("an experiment needs a name", field="experiment")
    opened = services or connect()
    source = capture_source(Path.cwd(), seed=seed, keep=opened.objects.put_bytes)
    run = opened.tracking.create_run(experiment, name=name, tags=dict(tags or {}), source=source)
    active = ActiveRun(opened, run.id, owns_services=services is None)
    if params:
        active.log_params(params)
    return active
