"""What a worker works with on its machine: the project's folder, the object store, and where processes run."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import msgspec

from penstock.compute.compute import Compute
from penstock.compute.types import Family, Job, Result
from penstock.pipelines.child_spec import ChildResult, ChildSpec, StoreAddress
from penstock.pipelines.graph import Limits
from penstock.storage.objects.object_store import ObjectStore

# What every child process imports, and what those with estimators do as well.
_OWN = ("penstock.pipelines.child_spec", "penstock.pipelines.pipeline", "penstock.pipelines.values.stored")
_OF_ESTIMATORS = ("penstock.pipelines.values.estimators",)
FREE_TRIES = 3  # for a process that was killed and could say nothing: not its own fault, or at least not for sure


class HaltedError(Exception):
    """The worker has to leave its run: it was given to another, or this worker is to stop."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """The surroundings of every run of one worker.

    Attributes:
        root: the project's folder.
        scratch: a folder for specs, answers and logs of child processes.
        objects: the object store.
        address: how child processes open it.
        compute: where they run.
    """

    root: Path
    scratch: Path
    objects: ObjectStore
    address: StoreAddress
    compute: Compute

    def folder(self, run_id: str, name: str) -> Path:
        """Where one step of one run leaves its files."""
        return self.scratch / run_id / name

    def end(self, run_id: str) -> None:
        """Let go of what was kept for the processes of a run."""
        self.compute.release(run_id)

    def clean(self, run_id: str) -> None:
        """Remove what a run left."""
        shutil.rmtree(self.scratch / run_id, ignore_errors=True)

    def run_child(
        self, run_id: str, spec: ChildSpec, limits: Limits, halt: Event, *, libraries: tuple[str, ...] = ()
    ) -> tuple[ChildResult, Result]:
        """Run a child process to its end; one that was killed without a word is started again.

        Args:
            run_id: the run that it is a part of.
            spec: what it does.
            limits: of the process.
            halt: set when the run has to be left.
            libraries: what the project's code imports, which the processes of a run may share.

        Raises:
            HaltedError: `halt` was set; the process is gone.
        """
        folder = self.folder(run_id, spec.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.json").write_bytes(msgspec.json.encode(spec))
        job = self._job(run_id, spec, limits, libraries)
        for _ in range(FREE_TRIES):
            Path(spec.result).unlink(missing_ok=True)
            ended = self._wait(job, halt)
            answer = self._read(spec, folder, ended)
            if ended.signal is None or ended.timed_out or not answer.error:
                break
        return answer, ended

    def _job(self, run_id: str, spec: ChildSpec, limits: Limits, libraries: tuple[str, ...]) -> Job:
        folder = self.folder(run_id, spec.name)
        family = Family(
            name=run_id,
            modules=_choose_imports(libraries),
            env={"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": str(spec.seed % 2**32)},
        )
        # -P: the folder of the project must not come before the standard library in the search for modules.
        return Job(
            argv=(sys.executable, "-P", "-m", "penstock.pipelines.child", str(folder / "spec.json")),
            cwd=self.root,
            log=folder / "log.txt",
            env={} if spec.trace is not None else _describe_step(run_id, spec),
            cpus=limits.cpus,
            timeout_s=limits.timeout_s,
            family=family,
        )

    def _wait(self, job: Job, halt: Event) -> Result:
        task = self.compute.start(job)
        while True:
            ended = task.wait(0.25)
            if ended is not None and (ended.cancelled or (halt.is_set() and not ended.is_success)):
                raise HaltedError  # somebody else ended it: this says nothing about the step
            if ended is not None:
                return ended
            if halt.is_set():
                task.cancel()
                task.wait()
                raise HaltedError

    def _read(self, spec: ChildSpec, folder: Path, ended: Result) -> ChildResult:
        try:
            if not ended.timed_out:
                return msgspec.json.decode(Path(spec.result).read_bytes(), type=ChildResult)
        except FileNotFoundError:
            pass
        last = _last_line(folder / "log.txt")
        return ChildResult(error=f"the process {ended.describe()}" + (f"; it last said: {last}" if last else ""))


def _choose_imports(libraries: tuple[str, ...]) -> tuple[str, ...]:
    others = [name for name in libraries if not name.startswith("penstock.")]  # many of ours import Polars
    has_estimators = any(name.partition(".")[0] == "sklearn" for name in others)
    return (*_OWN, *others, *(_OF_ESTIMATORS if has_estimators else ()))


def _describe_step(run_id: str, spec: ChildSpec) -> dict[str, str]:
    return {"PENSTOCK_RUN_ID": run_id, "PENSTOCK_STEP": spec.name, "PENSTOCK_SEED": str(spec.seed)}


def _last_line(log: Path) -> str:
    try:
        lines = log.read_bytes()[-2000:].decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:300] if said else ""
