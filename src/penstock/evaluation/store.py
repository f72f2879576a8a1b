"""The SQL of evaluation; a query per method."""

from datetime import datetime

from sqlalchemy import and_, insert, or_, select

from penstock.core import codec
from penstock.core.ids import ReportId
from penstock.evaluation.tables import reports, verdicts
from penstock.evaluation.types import Report, ReportSummary, Verdict
from penstock.storage.rows import from_row
from penstock.storage.transaction import Transaction

_SUMMARY = [column for column in reports.c if column.name in ReportSummary.__struct_fields__]


class EvaluationStore:
    """Reads and writes reports and verdicts."""

    def find_report(self, tx: Transaction, report_id: str) -> Report | None:
        """The report, or None."""
        content = tx.execute(select(reports.c.content).where(reports.c.id == report_id)).scalar_one_or_none()
        return None if content is None else codec.convert(content, Report)

    def insert_report(self, tx: Transaction, report: Report) -> None:
        """Add a report."""
        primary = report.find_metric(report.primary)
        row = {
            "id": report.id,
            "task": report.task,
            "model": report.model,
            "data": report.data,
            "run_id": report.run_id,
            "primary": report.primary,
            "primary_value": primary.value if primary else None,
            "rows": report.rows,
            "created_at": tx.now,
            "content": report,
        }
        tx.execute(insert(reports).values(row))

    def find_created_at(self, tx: Transaction, report_id: str) -> datetime | None:
        """When the report was recorded, or None."""
        moment: datetime | None
        moment = tx.execute(select(reports.c.created_at).where(reports.c.id == report_id)).scalar_one_or_none()
        return moment

    def list_reports(
        self, tx: Transaction, *, run_id: str, model: str, before: tuple[datetime, ReportId] | None, limit: int
    ) -> list[ReportSummary]:
        """Reports, newest first; an empty text means any."""
        query = select(*_SUMMARY).order_by(reports.c.created_at.desc(), reports.c.id.desc()).limit(limit)
        if run_id:
            query = query.where(reports.c.run_id == run_id)
        if model:
            query = query.where(reports.c.model == model)
        if before is not None:
            moment, report_id = before
            at = reports.c.created_at
            query = query.where(or_(at < moment, and_(at == moment, reports.c.id < report_id)))
        return [from_row(ReportSummary, row) for row in tx.execute(query)]

    def find_verdict(self, tx: Transaction, verdict_id: str) -> Verdict | None:
        """The verdict, or None."""
        content = tx.execute(select(verdicts.c.content).where(verdicts.c.id == verdict_id)).scalar_one_or_none()
        return None if content is None else codec.convert(content, Verdict)

    def insert_verdict(self, tx: Transaction, verdict: Verdict) -> None:
        """Add a verdict."""
        row = {"id": verdict.id, "report_id": verdict.report_id, "passed": verdict.passed, "created_at": tx.now}
        tx.execute(insert(verdicts).values(row | {"content": verdict}))

    def list_verdicts(self, tx: Transaction, report_id: str) -> list[Verdict]:
        """The verdicts on a report, newest first."""
        query = select(verdicts.c.content).where(verdicts.c.report_id == report_id)
        found = tx.execute(query.order_by(verdicts.c.created_at.desc(), verdicts.c.id.desc())).scalars()
        return [codec.convert(content, Verdict) for content in found]
