"""The worker: claims runs of its project one at a time, and brings each to one end whatever happens meanwhile."""

import logging
import os
import socket
import threading
from pathlib import Path

from penstock.compute.compute import Compute
from penstock.core.clock import Clock, SystemClock
from penstock.core.errors import ConflictError, PenstockError, UnavailableError
from penstock.core.project.parse import load_project
from penstock.pipelines.child_spec import StoreAddress
from penstock.pipelines.claim import Claim
from penstock.pipelines.execution import Execution
from penstock.pipelines.graph import Graph
from penstock.pipelines.port import WorkPort
from penstock.pipelines.types import PipelineRun
from penstock.pipelines.workplace import HaltedError, Workplace
from penstock.storage.objects.object_store import ObjectStore

log = logging.getLogger(__name__)
TTL_S = 20.0


class Worker:
    """Executes the pipeline runs of one project.

    It may be killed at any moment: the run goes on with another worker when its claim is over, or with one of the same
    name at once, and no finished step is run again.

    Args:
        port: the services.
        root: the project's folder.
        objects: the object store.
        address: how child processes open the object store.
        compute: where child processes run.
        scratch: a folder of its own, for files of child processes.
        name: of which only one works at a time.
        ttl_s: how long a claim holds without being renewed.
        clock: where the times of steps come from.
    """

    def __init__(
        self,
        port: WorkPort,
        root: Path,
        objects: ObjectStore,
        *,
        address: StoreAddress,
        compute: Compute,
        scratch: Path,
        name: str = "",
        ttl_s: float = TTL_S,
        clock: Clock | None = None,
    ) -> None:
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._port = port
        self._root = root
        self.place = Workplace(root=root, scratch=scratch, objects=objects, address=address, compute=compute)
        self._ttl_s = ttl_s
        self._clock = clock or SystemClock()
        self._project = load_project(root).name
        self._graphs: dict[str, Graph] = {}
        self._stopping = threading.Event()
        self._claim: Claim | None = None

    @property
    def run(self) -> str:
        """The id of the run that is under way; empty for none."""
        claim = self._claim
        return "" if claim is None else claim.run.id

    def work_once(self) -> bool:
        """Claim a run and bring it to its end; False when there is none, or no server answers."""
        if self._stopping.is_set():
            return False
        try:
            if not self._port.pipelines.has_work(self._project, self.name):
                return False
            run = self._port.pipelines.claim_run(self._project, self.name, self._ttl_s)
        except UnavailableError as error:
            log.warning("no work can be asked for: %s", error)
            return False
        if run is None:
            return False
        log.info("run claimed", extra={"run": run.id, "fence": run.fence})
        with Claim(self._port, run, self.place, self._clock, self._ttl_s) as claim:
            self._claim = claim
            if self._stopping.is_set():
                claim.halt.set()
            self._carry_out(run, claim)
            self._claim = None
        return True

    def stop(self) -> None:
        """End soon: child processes are ended, and the run is given back for any worker to go on with."""
        self._stopping.set()
        claim = self._claim
        if claim is not None:
            claim.halt.set()

    def _carry_out(self, run: PipelineRun, claim: Claim) -> None:
        try:
            project = load_project(self._root)
            execution = Execution(self._port, self.place, project, claim, self._graphs)
            if run.probe is None:
                claim.call(self._port.pipelines.finish_run, run.id, run.fence, execution.execute())
            else:
                claim.call(self._port.pipelines.finish_probe, run.id, run.fence, execution.probe(run.probe))
            log.info("run finished", extra={"run": run.id})
        except HaltedError:
            self._give_back(run, claim)
        except PenstockError as error:
            self._fail(run, claim, error, str(error))
        except Exception as error:  # the outermost loop: the run must come to an end
            log.exception("the worker failed", extra={"run": run.id})
            self._fail(run, claim, error, f"the worker failed: {type(error).__name__}: {error}")
        finally:
            self.place.end(run.id)
            if not self._stopping.is_set():
                self.place.clean(run.id)

    def _fail(self, run: PipelineRun, claim: Claim, error: Exception, message: str) -> None:
        try:
            if isinstance(error, ConflictError):
                claim.check()
            if claim.halt.is_set():
                raise HaltedError
            claim.call(self._port.pipelines.fail_run, run.id, run.fence, message)
            log.warning("run failed: %s", message, extra={"run": run.id})
        except HaltedError:
            self._give_back(run, claim)
        except ConflictError:
            log.warning("the run was given to another worker or has ended", extra={"run": run.id})

    def _give_back(self, run: PipelineRun, claim: Claim) -> None:
        if claim.is_lost:
            return
        try:
            self._port.pipelines.release_claim(run.id, run.fence)
        except PenstockError as error:  # its claim will be over by itself
            log.info("the run could not be given back: %s", error, extra={"run": run.id})
