"""A model in a process of its own, behind the same methods as a model in this one."""

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
from msgspec import Struct
from numpy.typing import NDArray

from penstock.compute.sandbox.own_code import run_module
from penstock.compute.sandbox.sandbox import SandboxedProcess, start_in_sandbox
from penstock.compute.sandbox.types import Limits, SandboxPlan
from penstock.core import codec
from penstock.core.errors import InvalidInputError, PenstockError, UnavailableError, error_from_code
from penstock.core.ids import new_id
from penstock.core.project.types import Task
from penstock.registry.format.types import Label, ModelInfo, Signature
from penstock.registry.runner import wire
from penstock.registry.runner.ready import Ready
from penstock.registry.runner.wire import BadAnswerError, Kind, Message, Problem

if TYPE_CHECKING:  # slow to load, and not every gateway has such a model
    import polars as pl

log = logging.getLogger(__name__)

_MESSAGE_LENGTH = 2_000  # of what a model says about its errors
_LOG_TAIL_BYTES = 2_000


class ModelDiedError(PenstockError):
    """The process of the model ended, was ended, or made no sense; the next call may find a new one."""


class ModelRaisedError(PenstockError):
    """The model's own code raised; its process goes on."""


class RunnerSettings(Struct, frozen=True, kw_only=True):
    """How the processes of models are run.

    Attributes:
        folder: where each gets a private folder.
        environments: where environments of packages are kept.
        forbidden: files that no model may read; a process that could is not started.
        limits: what each may use up.
        load_s: how long loading may take.
        predict_s: how long an answer may take, and how long a call waits for its turn.
        answer_bytes: how large an answer may be.
        first_pause_s: how long a process that died stays away; each further time twice as long, up to `last_pause_s`.
        last_pause_s: the longest of these pauses.
    """

    folder: Path
    environments: Path
    forbidden: tuple[Path, ...] = ()
    limits: Limits = Limits()
    load_s: float = 120.0
    predict_s: float = 10.0
    answer_bytes: int = 64 * 1024 * 1024
    first_pause_s: float = 0.2
    last_pause_s: float = 30.0


class ModelProcess:
    """A model in a sandboxed process, which is started anew when it dies. Safe to use from several threads.

    Calls take turns. A call that the process dies under, or that takes too long, raises `ModelDiedError`; so do calls
    until the next process is ready.

    Args:
        folder: the model directory.
        settings: how it is run.
        python: the interpreter of its environment; None: this one.
        loader: a function `module:name` that loads the directory; empty: `load_model`, which may execute its code.
        paths: folders of modules that it may import besides.
        check: raises where the model may not be started any more; called before it is started again.

    Raises:
        SandboxMissingError: this system offers no sandbox.
        ModelDiedError: it died while it was loaded.
        PenstockError: it cannot be loaded; as `load_model` says.
    """

    def __init__(
        self,
        folder: Path,
        settings: RunnerSettings,
        *,
        python: Path | None = None,
        loader: str = "",
        paths: tuple[Path, ...] = (),
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder = folder.resolve()
        self._check = check
        self._settings = settings
        self._work = settings.folder / f"{os.getpid()}-{new_id()}"
        self._plan = _plan(folder, settings, self._work, python or Path(sys.executable), loader, paths)
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._ready = threading.Event()
        self._running: SandboxedProcess | None = None  # that takes calls
        self._newest: SandboxedProcess | None = None  # that was started; its model may not be loaded yet
        self._died_of = ""
        _sweep(settings.folder)
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self._work, ignore_errors=True)
            raise
        self._keeper = threading.Thread(target=self._keep, name=f"model-{folder.name}", daemon=True)
        self._keeper.start()

    @property
    def task(self) -> Task:
        """What the model is for."""
        return self.info.task

    @property
    def signature(self) -> Signature:
        """The columns it takes and gives."""
        return self.info.signature

    @property
    def classes(self) -> tuple[Label, ...]:
        """The classes of a classifier."""
        return self.info.classes

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        running = self._running
        return None if running is None else running.pid

    def wait_until_ready(self, timeout_s: float) -> bool:
        """Whether there is a process that takes calls, now or within a time."""
        return self._ready.wait(timeout_s)

    def predict(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """The predictions, a row for each row; as the model itself would give them.

        Raises:
            InvalidInputError: a column or value is missing or has another type; `field` says where.
            ModelDiedError: the process died, took too long, or made no sense.
            UnavailableError: too many others wait already.
        """
        frames = import_module("penstock.registry.runner.frames")
        columns = self._ask(frame.height, Kind.FRAME, None, frames.write_frame(frame))
        try:
            answer: pl.DataFrame = frames.to_frame(columns, self.signature.outputs)
        except BadAnswerError as error:
            raise ModelDiedError(str(error)) from error
        return answer

    def predict_arrays(self, matrix: NDArray[Any]) -> wire.Columns:
        """The predictions as arrays, where `takes_arrays`; see `predict`.

        Args:
            matrix: shape (n, inputs), floats in the order of the signature; NaN is a missing value.
        """
        head, body = wire.encode_matrix(matrix)
        return self._ask(len(matrix), Kind.MATRIX, head, body)

    def close(self) -> None:
        """End the process once the call under way is answered, and remove its folder."""
        self._closed.set()
        has_turn = self._turn.acquire(timeout=self._settings.predict_s)
        newest = self._newest
        if newest is not None:
            newest.kill()
        if has_turn:
            self._turn.release()
        self._keeper.join()
        shutil.rmtree(self._work, ignore_errors=True)

    def _ask(self, rows: int, kind: Kind, head: object, body: Any) -> wire.Columns:
        if not self._turn.acquire(timeout=self._settings.predict_s):
            raise UnavailableError("the model is busy with other calls", hint="try again in a second")
        try:
            running = self._running
            if running is None:
                raise ModelDiedError(f"the process of the model is not there just now: {self._died_of}")
            message = self._exchange(running, kind, head, body)
            if message.kind is Kind.ERROR:
                raise _to_error(message)
            try:
                if message.kind is not Kind.ANSWER:
                    raise BadAnswerError(f"a message of kind {message.kind} is no answer")
                return wire.decode_columns(message, rows)
            except BadAnswerError as error:
                raise self._end(running, f"it answered what makes no sense: {error}") from error
        finally:
            self._turn.release()

    def _exchange(self, running: SandboxedProcess, kind: Kind, head: object, body: Any) -> Message:
        """Send a message and wait for the answer; a process that gives none is ended."""
        until = time.monotonic() + self._settings.predict_s
        try:
            running.channel.settimeout(self._settings.predict_s)
            wire.send(running.channel, kind, head, body)
            message = wire.receive(running.channel, limit=self._settings.answer_bytes, until=until)
        except TimeoutError as error:
            raise self._end(running, f"it took longer than {self._settings.predict_s:g} s") from error
        except BadAnswerError as error:
            raise self._end(running, f"it answered what makes no sense: {error}") from error
        except OSError as error:
            raise self._end(running, _tell_end(running)) from error
        if message is None:
            raise self._end(running, _tell_end(running))
        return message

    def _end(self, running: SandboxedProcess, why: str) -> ModelDiedError:
        self._died_of = why
        self._ready.clear()
        self._running = None
        running.kill()
        return ModelDiedError(f"the process of the model was lost: {why}")

    def _start(self) -> None:
        """Start a process and wait until its model is loaded."""
        running = self._newest = start_in_sandbox(self._plan, self._work / "output.log")
        try:
            if self._closed.is_set():
                raise ModelDiedError("the model is not used any more")
            until = time.monotonic() + self._settings.load_s
            ready = self._receive_ready(running, until)
            self.info = codec.convert(ready.info, ModelInfo)
            self.takes_arrays = ready.takes_arrays
        except BaseException:
            running.kill()
            raise
        self._running = running
        self._ready.set()

    def _receive_ready(self, running: SandboxedProcess, until: float) -> Ready:
        try:
            message = wire.receive(running.channel, limit=0, until=until)
        except TimeoutError as error:
            raise ModelDiedError(f"the model was not loaded within {self._settings.load_s:g} s") from error
        except OSError as error:
            raise ModelDiedError(f"the model could not be loaded: {error}") from error
        if message is None:
            said = _read_tail(self._work / "output.log")
            raise ModelDiedError(f"the process of the model died while it was loaded: {_tell_end(running)}{said}")
        if message.kind is Kind.ERROR:
            raise _to_error(message)
        try:
            return msgspec.msgpack.decode(message.head, type=Ready)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadAnswerError(f"the process of the model does not say what it is: {error}") from error

    def _keep(self) -> None:
        """See to it that there is a process, until this is closed."""
        pause_s = self._settings.first_pause_s
        while not self._closed.is_set():
            running = self._running
            if running is not None:
                begun = time.monotonic()
                running.wait()
                if self._running is running and not self._closed.is_set():
                    with self._turn:  # the call that it died under tells it first
                        if self._running is running:
                            self._end(running, _tell_end(running))
                if time.monotonic() - begun > self._settings.last_pause_s:
                    pause_s = self._settings.first_pause_s
            if self._closed.wait(pause_s):
                return
            pause_s = min(2 * pause_s, self._settings.last_pause_s)
            try:
                self._check()
                self._start()
                log.warning("a model has a new process: %s", self._died_of, extra={"folder": str(self.folder)})
            except Exception as error:  # the outermost loop of this thread: it goes on trying
                self._died_of = str(error)
                log.warning("a model's process cannot be started again: %s", error, extra={"folder": str(self.folder)})


def _plan(
    folder: Path, settings: RunnerSettings, work: Path, python: Path, loader: str, paths: tuple[Path, ...]
) -> SandboxPlan:
    """Run the child's entry point."""
    argv, readable = run_module("penstock.registry.runner.child", paths)
    return SandboxPlan(
        python=python,
        argv=(*argv, str(folder), loader),
        folder=work / "home",
        readable=(folder, *readable),
        forbidden=settings.forbidden,
        limits=settings.limits,
    )


def _sweep(folder: Path) -> None:
    """Remove the private folders of processes whose owner was killed."""
    with suppress(FileNotFoundError):
        for left in folder.iterdir():
            owner = left.name.partition("-")[0]
            if owner.isdigit() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(left, ignore_errors=True)


def _to_error(message: Message) -> PenstockError:
    """The error that the process tells of, in words that are bounded."""
    try:
        problem = msgspec.msgpack.decode(message.head, type=Problem)
    except (msgspec.DecodeError, RecursionError) as error:
        return BadAnswerError(f"the process of the model tells of no error that can be read: {error}")
    text, hint = problem.message[:_MESSAGE_LENGTH], problem.hint[:_MESSAGE_LENGTH]
    if not problem.code:
        return ModelRaisedError(text)
    if problem.code == InvalidInputError.code:
        return InvalidInputError(text, hint=hint, field=problem.field[:_MESSAGE_LENGTH])
    return error_from_code(problem.code, text, hint=hint)


def _tell_end(running: SandboxedProcess) -> str:
    ended = running.wait(2.0)
    return "it closed its channel" if ended is None else f"it {ended.describe()}"


def _read_tail(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; the last it wrote: {last}" if last else ""
