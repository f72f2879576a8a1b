"""A worker's hold on a run: renewed in the background, given up as soon as somebody else has it."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from penstock.core.clock import Clock
from penstock.core.errors import ConflictError, NotFoundError, UnavailableError
from penstock.pipelines.port import WorkPort
from penstock.pipelines.types import PipelineRun, StepRun
from penstock.pipelines.workplace import HaltedError, Workplace
from penstock.tracking.types import RunStatus

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
LONGEST_PAUSE_S = 10.0


class Claim:
    """A claimed run, and the steps of it that are known. Used as a context manager; safe from several threads.

    Attributes:
        run: as it was when it was claimed; its fence goes with every effect.
        halt: set when the run has to be left.
        is_lost: the run was given to another worker, or was cancelled.
    """

    def __init__(self, port: WorkPort, run: PipelineRun, place: Workplace, clock: Clock, ttl_s: float) -> None:
        self.run = run
        self.halt = threading.Event()
        self.is_lost = False
        self._port = port
        self._place = place
        self._clock = clock
        self._ttl_s = ttl_s
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name=f"renew-{run.id}", daemon=True)
        self._steps: dict[str, StepRun] = {}

    def __enter__(self) -> "Claim":
        self._renewing.start()
        self._steps = {step.name: step for step in self.call(self._port.pipelines.list_steps, self.run.id)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._renewing.join()

    def call(self, verb: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a verb; while the server is away, wait and try again.

        Raises:
            HaltedError: the run has to be left.
        """
        pause_s = 0.1
        while True:
            try:
                return verb(*args, **kwargs)
            except UnavailableError as error:
                log.warning("the server does not answer: %s", error, extra={"run": self.run.id})
                if self.halt.wait(pause_s):
                    raise HaltedError from error
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def check(self) -> None:
        """See whether the run is still held; `is_lost` tells."""
        try:
            now = self.call(self._port.pipelines.get_run, self.run.id)
        except NotFoundError:
            self._lose()
            return
        if now.fence != self.run.fence or now.status is not RunStatus.RUNNING:
            self._lose()

    def now(self) -> datetime:
        """The present moment, UTC."""
        return self._clock.now()

    def find_step(self, name: str) -> StepRun | None:
        """The step as it stood when the run was claimed, or as it was recorded since."""
        return self._steps.get(name)

    def find_cached(self, key: str) -> StepRun | None:
        """A step of any run that has this key and a result."""
        return self.call(self._port.pipelines.find_cached, key)

    def record_step(self, step: StepRun) -> None:
        """Note where a step stands."""
        self.call(self._port.pipelines.record_step, self.run.fence, step)
        self._steps[step.name] = step

    def keep_log(self, step: str, log: Path) -> None:
        """Keep what a step wrote as a file of the run."""
        if not log.exists() or not log.stat().st_size:
            return
        digest = self._place.objects.put_file(log)
        path = f"steps/{step}.log"
        self.call(self._port.artifacts.log_artifact, self.run.id, path, digest, log.stat().st_size)

    def _lose(self) -> None:
        if not self.is_lost:
            log.warning("the run was given to another worker or has ended", extra={"run": self.run.id})
        self.is_lost = True
        self.halt.set()

    def _renew(self) -> None:
        while not self._ended.wait(self._ttl_s / 3):
            try:
                self._port.pipelines.renew_claim(self.run.id, self.run.fence, self._ttl_s)
            except (ConflictError, NotFoundError):
                self._lose()
                return
            except Exception as error:  # a server that is away may come back before the lease is over
                log.warning("the claim could not be renewed: %s", error, extra={"run": self.run.id})
