"""The SQL of pipelines: one query per method, no rules."""

from typing import Any

from sqlalchemy import insert, or_, select, update

from penstock.core.ids import RunId
from penstock.pipelines.tables import pipeline_runs, pipeline_steps
from penstock.pipelines.types import PipelineRun, StepRun, StepStatus
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction
from penstock.tracking.types import RunStatus


class PipelineStore:
    """Reads and writes runs and steps."""

    def __init__(self, db: Database) -> None:
        names = [column.name for column in pipeline_steps.c if not column.primary_key]
        self._put_step = db.upsert(pipeline_steps, keys=("run_id", "name"), update=names)

    def add_run(self, tx: Transaction, run: PipelineRun) -> None:
        """Insert a run."""
        tx.execute(insert(pipeline_runs).values(to_row(run)))

    def find_run(self, tx: Transaction, run_id: RunId) -> PipelineRun | None:
        """The run, or None."""
        row = tx.execute(select(pipeline_runs).where(pipeline_runs.c.id == run_id)).one_or_none()
        return None if row is None else from_row(PipelineRun, row)

    def find_claimable(self, tx: Transaction, project: str, worker: str) -> PipelineRun | None:
        """The oldest run that waits, or whose holder is gone: its lease is over, or it is this very worker."""
        c = pipeline_runs.c
        lost = (c.status == RunStatus.RUNNING) & or_(c.worker == worker, c.lease_expires_at <= tx.now)
        unfinished = c.status.in_([RunStatus.SCHEDULED, RunStatus.RUNNING])  # few, and an index leads to them
        free = or_(c.status == RunStatus.SCHEDULED, lost)
        rows = tx.execute(select(pipeline_runs).where(c.project == project, unfinished, free)).all()
        return from_row(PipelineRun, min(rows, key=lambda row: str(row.id))) if rows else None

    def change_run(self, tx: Transaction, run: PipelineRun, **values: Any) -> bool:
        """Change a run that still is as it was read; False when somebody else took it meanwhile."""
        same = (pipeline_runs.c.id == run.id) & (pipeline_runs.c.fence == run.fence)
        same &= pipeline_runs.c.status == run.status
        return tx.execute(update(pipeline_runs).where(same).values(values)).rowcount == 1

    def list_runs(
        self, tx: Transaction, *, project: str, status: RunStatus | None, before: RunId | None, limit: int
    ) -> list[PipelineRun]:
        """Runs, newest first."""
        query = select(pipeline_runs).order_by(pipeline_runs.c.id.desc()).limit(limit)
        if project:
            query = query.where(pipeline_runs.c.project == project)
        if status is not None:
            query = query.where(pipeline_runs.c.status == status)
        if before is not None:
            query = query.where(pipeline_runs.c.id < before)
        return [from_row(PipelineRun, row) for row in tx.execute(query)]

    def put_step(self, tx: Transaction, step: StepRun) -> None:
        """Insert or replace a step."""
        tx.execute(self._put_step, [to_row(step)])

    def list_steps(self, tx: Transaction, run_id: RunId) -> list[StepRun]:
        """The steps of a run in the order of the pipeline."""
        c = pipeline_steps.c
        query = select(pipeline_steps).where(c.run_id == run_id).order_by(c.number, c.name)
        return [from_row(StepRun, row) for row in tx.execute(query)]

    def find_step_by_key(self, tx: Transaction, key: str) -> StepRun | None:
        """The newest step with this key that has a result."""
        c = pipeline_steps.c
        done = c.status.in_([StepStatus.FINISHED, StepStatus.CACHED])
        query = select(pipeline_steps).where(c.key == key, done).order_by(c.run_id.desc()).limit(1)
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(StepRun, row)

    def find_earlier_step(self, tx: Transaction, run: PipelineRun, name: str) -> StepRun | None:
        """The step of that name in the run of the project before this one that has it."""
        c = pipeline_steps.c
        query = (
            select(pipeline_steps)
            .join(pipeline_runs, pipeline_runs.c.id == c.run_id)
            .where(pipeline_runs.c.project == run.project, c.run_id < run.id, c.name == name)
            .order_by(c.run_id.desc())
            .limit(1)
        )
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(StepRun, row)
