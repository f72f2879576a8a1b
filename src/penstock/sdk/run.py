"""`penstock.start_run()`: record the params, metrics and files of one execution."""

import operator
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from penstock.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PenstockError,
    StorageFullError,
    UnavailableError,
)
from penstock.core.ids import Digest, RunId
from penstock.remote.discovery import find_server
from penstock.sdk.connect import is_url
from penstock.sdk.process import LIVING
from penstock.sdk.rendering import render_figure, render_value
from penstock.sdk.spool.held import HeldFile, hold_bytes, hold_file
from penstock.sdk.spool.sending import RunSpool
from penstock.sdk.spool.telling import tell
from penstock.sdk.system_metrics import SystemMonitor
from penstock.tracking.artifacts.paths import check_path
from penstock.tracking.deliveries.records import End, Params, Tags
from penstock.tracking.names import check_key, check_texts
from penstock.tracking.types import RunStatus

V = TypeVar("V")
WAIT_S = 10.0  # how long the end of a run waits without progress
_AT_ONCE = 5_000  # metrics of one record
_TEXTS_AT_ONCE = 100  # params or tags of one record: each may be long, and a record has to fit into a request
_STEPS = range(-(2**63), 2**63)


class ActiveRun:
    """A run that is going on; `with` ends it, as failed when an error leaves the block.

    Every call writes to a spool on this machine's disk and returns; a thread delivers it. Nothing that was logged is
    lost when the server is away or this process is killed, and everything arrives exactly once.

    Attributes:
        id: of the run; sorts by creation time.
    """

    def __init__(self, run_id: RunId, spool: RunSpool, place: str) -> None:
        self.id = run_id
        self._spool = spool
        self._place = place
        self._next_steps: dict[str, int] = {}
        self._params: dict[str, str] = {}
        self._monitor: SystemMonitor | None = None
        self._has_ended = False
        LIVING.add(self)

    @property
    def url(self) -> str:
        """The run's page; empty where no server shows it."""
        url = self._place
        if not is_url(url):
            server = None
            with suppress(UnavailableError):
                server = find_server(Path(url), wait_s=0.0)
            url = server.url if server else ""
        return f"{url}/runs/{self.id}" if url else ""

    def log(self, metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **more: Any) -> None:
        """Record metrics: `run.log(loss=0.31, accuracy=0.9, step=5)`, or `run.log({"loss": 0.31}, step=5)`.

        Args:
            metrics: by name; numbers, or what `float()` makes one of, such as scalars of numpy and torch.
            step: None: one more than the last step of these metrics, from 0 on.
            more: more metrics.

        Raises:
            InvalidInputError: a name that cannot be one, or a value that is no number.
            ConflictError: the run has ended.
        """
        given = more if metrics is None else {**metrics, **more}
        steps = self._next_steps
        at = max([steps.get(key, 0) for key in given], default=0) if step is None else step
        values = {}
        try:
            at = operator.index(at)
            for key, value in given.items():
                if key not in steps:
                    check_key(key, "metrics")
                values[key] = float(value)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _no_number(given, step) from error
        if at not in _STEPS:
            raise InvalidInputError(f"step {at} does not fit in 64 bits", field="step")
        for key in values:
            steps[key] = at + 1
        if self._has_ended:
            self._refuse()
        if len(values) <= _AT_ONCE:
            if values:
                self._spool.log(at, values)
            return
        for part in _in_parts(values, _AT_ONCE):
            self._spool.log(at, part)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record what the run was started with; a param never changes its value.

        Args:
            params: by name; a dict in it becomes params with a dot in their names.

        Raises:
            ConflictError: one has another value already, or the run has ended.
        """
        texts = check_texts(dict(_flatten(params)), "params")
        for key, text in texts.items():
            if self._params.get(key, text) != text:
                raise ConflictError(
                    f"parameter {key!r} of run {self.id} is {self._params[key]!r} and cannot become {text!r}",
                    hint="parameters never change; begin a new run, or use a tag",
                )
        self._refuse_when_ended()
        self._params |= texts
        for part in _in_parts(texts, _TEXTS_AT_ONCE):
            self._spool.append(lambda at, part=part: Params(self.id, at, part))  # type: ignore[misc]  # bound at once

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; a tag may be set again."""
        texts = check_texts({key: str(value) for key, value in tags.items()}, "tags")
        self._refuse_when_ended()
        for part in _in_parts(texts, _TEXTS_AT_ONCE):
            self._spool.append(lambda at, part=part: Tags(self.id, at, part))  # type: ignore[misc]  # bound at once

    def log_artifact(self, file: str | Path, path: str = "") -> None:
        """Keep a file, or a whole folder file by file, as it is now: it is copied to the spool before this returns.

        Args:
            file: what to keep.
            path: its name in the run; empty: the name it has.

        Raises:
            NotFoundError: there is no such file.
            ConflictError: somebody changed it meanwhile, or the run has ended.
        """
        source = Path(file)
        name = path or source.name
        if source.is_dir():
            for part in sorted(source.rglob("*")):
                if part.is_file():
                    self.log_artifact(part, f"{name}/{part.relative_to(source).as_posix()}")
            return
        check_path(name)
        if not source.exists():
            raise NotFoundError(f"there is no file {source}")
        self._refuse_when_ended()
        try:
            held, size = hold_file(self._spool.folder, source)
        except OSError as error:
            _tell_no_room(name, error)
            return
        self._spool.append(lambda at: HeldFile(self.id, at, name, Digest(held), size))

    def log_text(self, text: str, path: str) -> None:
        """Keep a text as an artifact."""
        self._log_bytes(text.encode(), path)

    def log_dict(self, value: Any, path: str) -> None:
        """Keep a dict or list as an artifact: JSON, or YAML where the path ends so."""
        self._log_bytes(render_value(value, path), path)

    def log_table(self, table: Any, path: str) -> None:
        """Keep a data frame, a dict of columns or a list of rows as an artifact: `.csv`, `.parquet` or `.json`."""
        from penstock.sdk.table_files import render_table  # its library takes longer than all that logging needs

        self._log_bytes(render_table(table, path), path)

    def log_figure(self, figure: Any, path: str) -> None:
        """Keep a figure of matplotlib or plotly as an artifact."""
        self._log_bytes(render_figure(figure, path), path)

    def flush(self, wait_s: float = WAIT_S) -> bool:
        """Wait until all that was logged so far is delivered; False when it is not after `wait_s`."""
        return self._spool.flush(wait_s)

    def end(self, status: RunStatus = RunStatus.FINISHED, *, wait_s: float = WAIT_S) -> None:
        """End the run, and wait for the delivery of what it logged.

        Args:
            status: how it went.
            wait_s: how long to wait without progress. What is left then stays in the spool, and is delivered by this
                process as long as it lives, and by the next one or `penstock sync` after that.
        """
        if self._has_ended:
            return
        self._has_ended = True
        LIVING.discard(self)
        if self._monitor is not None:
            self._monitor.stop()
        is_child = self._spool.is_forked_child
        self._spool.finish(wait_s, None if is_child else lambda at: End(self.id, at, status))

    def watch_system(self, every_s: float) -> None:
        """Record what the machine does, as metrics `system/...`, every so many seconds until the run ends."""
        self._monitor = SystemMonitor(self._spool.log, every_s)

    def forked(self) -> None:
        """This process is a forked child now; it logs to the same run, and does not end it."""
        self._monitor = None
        self._spool.forked()

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

    def _log_bytes(self, content: bytes, path: str) -> None:
        check_path(path)
        self._refuse_when_ended()
        try:
            held = hold_bytes(self._spool.folder, content)
        except OSError as error:
            _tell_no_room(path, error)
            return
        self._spool.append(lambda at: HeldFile(self.id, at, path, Digest(held), len(content)))

    def _refuse_when_ended(self) -> None:
        if self._has_ended:
            self._refuse()

    def _refuse(self) -> None:
        raise ConflictError(f"run {self.id} has ended", hint="go on with it: penstock.start_run(run_id=...)")


def _in_parts(values: dict[str, V], size: int) -> Iterator[dict[str, V]]:
    items = list(values.items())
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])


def _flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{name}.")
        else:
            yield name, str(value)


def _no_number(given: Mapping[str, Any], step: object) -> PenstockError:
    for key, value in given.items():
        try:
            check_key(key, "metrics")
            float(value)
        except (TypeError, ValueError, AttributeError, OverflowError):
            return InvalidInputError(
                f"metric {key!r} is {str(value)[:80]!r}, a {type(value).__name__}, and has to be a number",
                field=f"metrics[{key!r}]",
            )
    return InvalidInputError(f"step {step!r} is no whole number", field="step")


def _tell_no_room(path: str, error: OSError) -> None:
    """Training goes on without the file."""
    full = StorageFullError(f"artifact {path!r} is not kept: the spool cannot be written ({error.strerror or error})")
    tell(f"{full.message}")
