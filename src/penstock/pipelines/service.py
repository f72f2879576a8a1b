"""The verbs of pipelines: runs are requested, claimed by a worker under a lease, filled with steps, and finished."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from penstock.core import failpoints
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, EpisodeId, Ref, RunId, check_name, new_id
from penstock.pipelines.keys import explain
from penstock.pipelines.store import PipelineStore
from penstock.pipelines.types import CandidateRecord, PipelineRun, Probe, ProbeResult, RowSpan, StepRun
from penstock.storage.database import Database
from penstock.storage.references import drop_objects, keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import adds, logs, reads, writes
from penstock.tracking.service import TrackingService
from penstock.tracking.types import RunSource, RunStatus

PAGE_LIMIT = 1_000
LONGEST_LEASE_S = 86_400
MOST_CLAIMS = 100  # a run that was begun this often and never ended brings its workers down


class PipelineService:
    """Runs of pipelines. Every effect of a worker carries the fence of its claim; an older claim can do no harm.

    A pipeline run is a tracking run of the same id; both change in one transaction.
    """

    noun = "pipelines"

    def __init__(self, db: Database, tracking: TrackingService) -> None:
        self.db = db
        self._tracking = tracking
        self._store = PipelineStore(db)

    @adds
    def request_run(
        self,
        tx: Transaction,
        project: str,
        params: dict[str, Any] = {},  # noqa: B006  # read only
        reason: str = "",
        episode: EpisodeId | None = None,
        until: datetime | None = None,
        run_id: RunId | None = None,
        rows: RowSpan | None = None,
        probe: Probe | None = None,
    ) -> PipelineRun:
        """Ask for a run; a worker of the project will claim it.

        Args:
            project: the project's name.
            params: on top of those of its file.
            reason: why, for people.
            episode: the episode that needs the run.
            until: read only rows before this moment; None for all.
            run_id: chosen by a caller that may repeat itself: the same id gives the same run.
            rows: what it learns from, in place of what the project's strategy says.
            probe: what cheap challengers are tried on; the run makes no candidate then.

        Raises:
            ConflictError: the id belongs to a run of another project.
        """
        run_id = run_id or RunId(new_id())
        known = self._store.find_run(tx, run_id)
        if known is not None and known.project == project:
            return known
        run = PipelineRun(
            id=run_id,
            project=check_name(project, "project"),
            params=params,
            reason=reason,
            episode=episode,
            until=until,
            requested_at=tx.now,
            requested_by=tx.actor.name,
            rows=rows,
            probe=probe,
        )
        kind = "pipeline" if probe is None else "probe"
        tags = {"penstock.kind": kind} | ({"penstock.episode": episode} if episode else {})
        self._tracking.create_run.join(tx, project, tags=tags, is_scheduled=True, run_id=run_id)
        self._store.add_run(tx, run)
        if probe is not None:
            keep_objects(tx, run.ref, [probe.table])
        tx.record("pipelines.request_run", run.ref, project=project, params=params, reason=reason, episode=episode)
        return run

    @reads
    def has_work(self, tx: Transaction, project: str, worker: str) -> bool:
        """Whether `claim_run` would find a run; costs no write, so a worker asks this first."""
        return self._store.find_claimable(tx, project, worker) is not None

    @logs
    def claim_run(self, tx: Transaction, project: str, worker: str, ttl_s: float) -> PipelineRun | None:
        """Take the oldest run that waits, or that its holder left: its lease is over, or it had this worker's name.

        Args:
            project: the project whose code the worker has.
            worker: its name, of which only one works at a time.
            ttl_s: how long the claim holds without being renewed.

        Returns:
            The run with its new fence; None when there is nothing to do.
        """
        run = self._store.find_claimable(tx, project, worker)
        if run is None:
            return None
        if run.fence >= MOST_CLAIMS:
            self._end(tx, run, RunStatus.FAILED, error=f"{MOST_CLAIMS} workers began this run and none came to an end")
            return None
        values = {
            "status": RunStatus.RUNNING,
            "worker": worker,
            "fence": run.fence + 1,
            "lease_expires_at": tx.now + _lease_length(ttl_s),
            "started_at": run.started_at or tx.now,
        }
        if not self._store.change_run(tx, run, **values):
            return None
        tx.record("pipelines.claim_run", run.ref, worker=worker, fence=run.fence + 1, before=run.worker)
        return structs.replace(run, **values)

    @logs
    def renew_claim(self, tx: Transaction, run_id: RunId, fence: int, ttl_s: float) -> PipelineRun:
        """Hold a claim longer.

        Raises:
            ConflictError: the run was given to somebody else, or has ended.
        """
        failpoints.hit("pipelines.renew_claim")
        run = self._get_held(tx, run_id, fence)
        expires_at = tx.now + _lease_length(ttl_s)
        self._store.change_run(tx, run, lease_expires_at=expires_at)
        return structs.replace(run, lease_expires_at=expires_at)

    @logs
    def release_claim(self, tx: Transaction, run_id: RunId, fence: int) -> None:
        """Give a run back unfinished, so that any worker can go on with it at once."""
        run = self._get_held(tx, run_id, fence)
        self._store.change_run(tx, run, lease_expires_at=tx.now)

    @logs
    def begin_run(
        self,
        tx: Transaction,
        run_id: RunId,
        fence: int,
        source: RunSource,
        params: dict[str, Any],
        inputs: list[Ref],
        given: list[Digest] = [],  # noqa: B006  # read only
    ) -> None:
        """Note what a claimed run is started from: its code, its parameters with their defaults, the data it reads.

        Args:
            run_id: the run.
            fence: of the claim.
            source: its code and environment.
            params: with their defaults.
            inputs: the dataset versions that it reads.
            given: the objects that say which rows of them; its steps name them in their keys.

        Raises:
            ConflictError: the run was given to somebody else, or has ended.
        """
        run = self._get_held(tx, run_id, fence)
        keep_objects(tx, run.ref, given)
        known = self._tracking.get_run.join(tx, run_id)
        if known.status.is_terminal:
            self._tracking.resume_run.join(tx, run_id)
        self._tracking.start_run.join(tx, run_id, source)
        texts = {name: str(value) for name, value in params.items() if name not in known.params}
        self._tracking.log_batch.join(tx, run_id, params=texts)
        for ref in inputs:
            self._tracking.log_input.join(tx, run_id, ref)

    @logs
    def record_step(self, tx: Transaction, fence: int, step: StepRun) -> None:
        """Note where a step stands; the same record again changes nothing.

        Raises:
            ConflictError: the run was given to somebody else, or has ended.
        """
        failpoints.hit("pipelines.record_step")
        run = self._get_held(tx, step.run_id, fence)
        self._store.put_step(tx, step)
        if step.output is not None:
            keep_objects(tx, run.ref, step.output.digests)
        if step.ended_at is not None:
            tx.record("pipelines.record_step", run.ref, step=step.name, status=step.status, key=step.key)

    @reads
    def find_cached(self, tx: Transaction, key: str) -> StepRun | None:
        """The newest step with this key that has a result, of any run; None when there is none."""
        return self._store.find_step_by_key(tx, key)

    @logs
    def finish_run(self, tx: Transaction, run_id: RunId, fence: int, candidate: CandidateRecord) -> PipelineRun:
        """End a run with its candidate; the event `pipelines.candidate_accepted` tells the loop.

        Raises:
            ConflictError: the run was given to somebody else, or has ended otherwise.
        """
        run = self._get(tx, run_id)
        if run.status is RunStatus.FINISHED and run.fence == fence and run.candidate == candidate:
            return run
        ended = self._end(tx, self._get_held(tx, run_id, fence), RunStatus.FINISHED, candidate=candidate)
        keep_objects(tx, run.ref, [candidate.model, candidate.test, candidate.reference])
        tx.record(
            "pipelines.candidate_accepted", run.ref, project=run.project, episode=run.episode, candidate=candidate
        )
        return ended

    @logs
    def finish_probe(self, tx: Transaction, run_id: RunId, fence: int, probed: ProbeResult) -> PipelineRun:
        """End a run that was a probe; the event `pipelines.probed` tells the loop.

        Raises:
            ConflictError: the run was given to somebody else, or has ended otherwise.
        """
        run = self._get(tx, run_id)
        if run.status is RunStatus.FINISHED and run.fence == fence and run.probed == probed:
            return run
        ended = self._end(tx, self._get_held(tx, run_id, fence), RunStatus.FINISHED, probed=probed)
        keep_objects(tx, run.ref, {digest for value in probed.losses.values() for digest in value.digests})
        tx.record("pipelines.probed", run.ref, project=run.project, problems=probed.problems, cpu_s=probed.cpu_s)
        return ended

    @logs
    def fail_run(self, tx: Transaction, run_id: RunId, fence: int, error: str) -> PipelineRun:
        """End a run without a candidate; the event `pipelines.run_failed` tells the loop.

        Raises:
            ConflictError: the run was given to somebody else, or has ended otherwise.
        """
        run = self._get(tx, run_id)
        if run.status is RunStatus.FAILED and run.fence == fence:
            return run
        return self._end(tx, self._get_held(tx, run_id, fence), RunStatus.FAILED, error=error)

    @writes
    def cancel_run(self, tx: Transaction, run_id: RunId, reason: str = "") -> PipelineRun:
        """End a run that waits or runs; its worker stops at the next renewal of its claim."""
        run = self._get(tx, run_id)
        if run.status.is_terminal:
            raise ConflictError(f"run {run_id} has ended ({run.status.value})")
        return self._end(tx, run, RunStatus.KILLED, error=reason or f"cancelled by {tx.actor.name}")

    @writes
    def resume_run(self, tx: Transaction, run_id: RunId) -> PipelineRun:
        """Let a run that failed or was cancelled wait for a worker again; its finished steps are not run again."""
        run = self._get(tx, run_id)
        if run.status not in (RunStatus.FAILED, RunStatus.KILLED):
            raise ConflictError(f"run {run_id} is {run.status.value} and cannot be resumed")
        if run.probe is not None:
            raise ConflictError(f"run {run_id} is a probe", hint="the loop asks again when new outcomes have come")
        self._store.change_run(tx, run, status=RunStatus.SCHEDULED, error="", ended_at=None, worker="")
        return self._get(tx, run_id)

    @reads
    def get_run(self, tx: Transaction, run_id: RunId) -> PipelineRun:
        """A run of a pipeline."""
        return self._get(tx, run_id)

    @reads
    def list_runs(
        self,
        tx: Transaction,
        project: str = "",
        status: RunStatus | None = None,
        limit: int = 100,
        before: RunId | None = None,
    ) -> list[PipelineRun]:
        """Runs, newest first; to go on, give the last id as `before`."""
        if not 1 <= limit <= PAGE_LIMIT:
            raise InvalidInputError(f"a page has 1 to {PAGE_LIMIT} rows, not {limit}", field="limit")
        return self._store.list_runs(tx, project=project, status=status, before=before, limit=limit)

    @reads
    def list_steps(self, tx: Transaction, run_id: RunId) -> list[StepRun]:
        """The steps of a run in the order of the pipeline; none for a run that is no pipeline's."""
        return self._store.list_steps(tx, run_id)

    @reads
    def explain_step(self, tx: Transaction, run_id: RunId, step: str) -> list[str]:
        """What changed in a step since the run before that has it, a sentence for each change; empty for nothing."""
        run = self._get(tx, run_id)
        steps = {each.name: each for each in self._store.list_steps(tx, run_id)}
        if step not in steps:
            known = ", ".join(steps) or "none yet"
            raise NotFoundError(f"run {run_id} has no step {step!r}", hint=f"its steps are: {known}")
        earlier = self._store.find_earlier_step(tx, run, step)
        if earlier is None:
            return [f"no earlier run of project {run.project!r} has a step {step!r}"]
        return explain(earlier.parts, steps[step].parts)

    def _end(
        self,
        tx: Transaction,
        run: PipelineRun,
        status: RunStatus,
        *,
        error: str = "",
        **made: CandidateRecord | ProbeResult,
    ) -> PipelineRun:
        values = {"status": status, "ended_at": tx.now, "error": error, **made}
        if not self._store.change_run(tx, run, **values):
            raise _lost(run.id)
        if run.probe is not None:  # rows of the prediction log, which nobody reads again
            drop_objects(tx, run.ref, [run.probe.table])
        tracked = self._tracking.get_run.join(tx, run.id)
        if not tracked.status.is_terminal:
            self._tracking.end_run.join(tx, run.id, status)
        if status is not RunStatus.FINISHED:
            tx.record("pipelines.run_failed", run.ref, project=run.project, episode=run.episode, error=error)
        return structs.replace(run, **values)

    def _get(self, tx: Transaction, run_id: RunId) -> PipelineRun:
        run = self._store.find_run(tx, run_id)
        if run is None:
            raise NotFoundError(
                f"there is no pipeline run {run_id!r}", hint="'penstock runs list' names those there are"
            )
        return run

    def _get_held(self, tx: Transaction, run_id: RunId, fence: int) -> PipelineRun:
        """The run, while this claim is the newest. An expired lease that nobody else took up still counts."""
        run = self._get(tx, run_id)
        if run.fence != fence or run.status is not RunStatus.RUNNING:
            raise _lost(run_id)
        return run


def _lease_length(ttl_s: float) -> timedelta:
    if not 0 < ttl_s <= LONGEST_LEASE_S:
        raise InvalidInputError(f"a claim holds for 0 to {LONGEST_LEASE_S} s, not {ttl_s:g}", field="ttl_s")
    return timedelta(seconds=ttl_s)


def _lost(run_id: RunId) -> ConflictError:
    return ConflictError(f"run {run_id} was given to another worker or has ended", hint="leave it alone")
