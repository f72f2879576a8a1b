"""The verbs of evaluation: keep reports and verdicts for good, and find them again."""

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Ref, ReportId
from penstock.evaluation.store import EvaluationStore
from penstock.evaluation.types import Report, ReportSummary, Verdict, content_digest
from penstock.storage.database import Database
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads

MAXIMUM_PAGE = 1000


class EvaluationService:
    """Keeps what was found out about models. Reports and verdicts are named by their content and never change."""

    noun = "evaluation"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = EvaluationStore()

    @logs  # audited by hand, so that a repeat leaves nothing
    def record_report(self, tx: Transaction, report: Report) -> Report:
        """Keep a report whose scores lie in the object store; doing it again changes nothing.

        Raises:
            InvalidInputError: its id is not the digest of its content.
        """
        _check_digest(report)
        if self._store.find_report(tx, report.id) is not None:
            return report
        self._store.insert_report(tx, report)
        if report.scores:
            keep_objects(tx, report.ref, [report.scores])
        primary = report.find_metric(report.primary)
        value = primary.value if primary else None
        tx.record("evaluation.record_report", report.ref, run=report.run_id, metric=report.primary, value=value)
        if report.run_id:
            tx.link(Ref("run", report.run_id), report.ref, "evaluated")
        if ":" in report.data:
            tx.link(Ref.parse(report.data), report.ref, "read")
        return report

    @reads
    def get_report(self, tx: Transaction, report_id: str) -> Report:
        """A report with its metrics, baselines and slices.

        Raises:
            NotFoundError: there is none of this id.
        """
        report = self._store.find_report(tx, report_id)
        if report is None:
            raise NotFoundError(f"there is no report {report_id!r}", hint="list them with 'GET /reports'")
        return report

    @reads
    def list_reports(
        self, tx: Transaction, run_id: str = "", model: str = "", before: str = "", limit: int = 100
    ) -> list[ReportSummary]:
        """Reports, newest first.

        Args:
            run_id: only those of this run.
            model: only those of this model directory.
            before: only those older than this report; the last of the page before.
            limit: at most this many, 1 to 1000.
        """
        cursor = None
        if before:
            moment = self._store.find_created_at(tx, before)
            if moment is None:
                raise NotFoundError(f"there is no report {before!r} to go on from")
            cursor = (moment, ReportId(before))
        limit = min(max(limit, 1), MAXIMUM_PAGE)
        return self._store.list_reports(tx, run_id=run_id, model=model, before=cursor, limit=limit)

    @logs  # audited by hand, so that a repeat leaves nothing
    def record_verdict(self, tx: Transaction, verdict: Verdict) -> Verdict:
        """Keep a verdict on a known report; doing it again changes nothing.

        Raises:
            InvalidInputError: its id is not the digest of its content.
            NotFoundError: a report it speaks of is not known.
        """
        _check_digest(verdict)
        if self._store.find_verdict(tx, verdict.id) is not None:
            return verdict
        judged = [verdict.report_id, *filter(None, [verdict.champion_report_id])]
        for report_id in judged:
            if self._store.find_created_at(tx, report_id) is None:
                raise NotFoundError(f"the verdict speaks of report {report_id!r}, which is not known")
        self._store.insert_verdict(tx, verdict)
        tx.record("evaluation.record_verdict", verdict.ref, report=verdict.report_id, passed=verdict.passed)
        for report_id in judged:
            tx.link(Ref("report", report_id), verdict.ref, "judged")
        return verdict

    @reads
    def get_verdict(self, tx: Transaction, verdict_id: str) -> Verdict:
        """A verdict with what each gate said.

        Raises:
            NotFoundError: there is none of this id.
        """
        verdict = self._store.find_verdict(tx, verdict_id)
        if verdict is None:
            raise NotFoundError(f"there is no verdict {verdict_id!r}")
        return verdict

    @reads
    def list_verdicts(self, tx: Transaction, report_id: str) -> list[Verdict]:
        """The verdicts on a report, newest first."""
        return self._store.list_verdicts(tx, report_id)


def _check_digest(record: Report | Verdict) -> None:
    expected = content_digest(record)
    if record.id != expected:
        kind = type(record).__name__.lower()
        raise InvalidInputError(
            f"{kind} {record.id!r} holds what has the digest {expected}", hint="make it with 'seal'", field="id"
        )
