from pathlib import Path

import msgspec
import pytest

from factories import open_database
from penstock.core import codec
from penstock.core.clock import ManualClock
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest, ReportId
from penstock.evaluation.service import EvaluationService
from penstock.evaluation.types import GateResult, MetricValue, Report, Verdict, content_digest, seal
from penstock.storage.references import list_kept
from penstock.storage.transaction import Transaction


def make_report(run_id: str = "run1", value: float | None = 0.25, *, scores: str = "") -> Report:
    metric = MetricValue(name="recall_at_20", value=value, low=0.2, high=None, n=10, higher_is_better=True)
    return seal(
        Report(
            task="ranking",
            model="m" * 64,
            data="dataset-version:events/2",
            run_id=run_id,
            label="bought",
            primary="recall_at_20",
            rows=10,
            rows_digest="d",
            confidence=0.95,
            seed=0,
            metrics=(metric,),
            scores=Digest(scores),
        )
    )


def make_verdict(report: Report, *, passed: bool = True) -> Verdict:
    gate = GateResult(kind="metric", passed=passed, metric="recall_at_20", number=0.25, bar=0.2, message="fine")
    return seal(Verdict(passed=passed, report_id=report.id, gates=(gate,), summary="it passed"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def service(tmp_path: Path, clock: ManualClock) -> EvaluationService:
    return EvaluationService(open_database(tmp_path, clock))


def test_a_report_comes_back_as_it_was(service: EvaluationService) -> None:
    report = make_report()
    service.record_report(report)
    assert service.get_report(report.id) == report
    assert content_digest(service.get_report(report.id)) == report.id


def test_the_id_is_the_digest_of_the_content_on_either_side_of_the_wire() -> None:
    report = make_report(value=None)
    assert codec.decode(codec.encode(report), Report) == report
    assert content_digest(codec.decode(codec.encode(report), Report)) == report.id
    assert make_report().id == make_report().id != make_report(value=0.5).id


def test_recording_twice_changes_nothing(service: EvaluationService) -> None:
    report = make_report()
    service.record_report(report)
    service.record_report(report)
    assert [listed.id for listed in service.list_reports()] == [report.id]
    verdict = make_verdict(report)
    service.record_verdict(verdict)
    service.record_verdict(verdict)
    assert service.list_verdicts(report.id) == [verdict]


def test_a_report_that_was_altered_is_refused(service: EvaluationService) -> None:
    altered = msgspec.structs.replace(make_report(), rows=11)
    with pytest.raises(InvalidInputError, match="has the digest"):
        service.record_report(altered)


def test_a_verdict_needs_the_reports_it_speaks_of(service: EvaluationService) -> None:
    report = make_report()
    with pytest.raises(NotFoundError, match="not known"):
        service.record_verdict(make_verdict(report))
    service.record_report(report)
    against_nothing = seal(msgspec.structs.replace(make_verdict(report), champion_report_id=ReportId("0" * 64)))
    with pytest.raises(NotFoundError, match="not known"):
        service.record_verdict(against_nothing)


def test_reports_are_listed_newest_first_and_a_page_at_a_time(service: EvaluationService, clock: ManualClock) -> None:
    made = []
    for number in range(5):
        made.append(service.record_report(make_report(f"run{number % 2}", value=number / 10)).id)
        if number % 2:
            clock.advance(seconds=1)  # some share their moment
    first = service.list_reports(limit=2)
    second = service.list_reports(limit=2, before=first[-1].id)
    third = service.list_reports(limit=2, before=second[-1].id)
    assert [len(first), len(second), len(third)] == [2, 2, 1]
    assert first[0].id == made[-1]
    assert sorted(listed.id for listed in [*first, *second, *third]) == sorted(made)
    assert {listed.run_id for listed in service.list_reports(run_id="run1")} == {"run1"}
    assert first[0].primary_value == pytest.approx(0.4)
    assert service.list_reports(model="other") == []


def test_what_is_not_there_is_said_to_be_missing(service: EvaluationService) -> None:
    for ask in (service.get_report, service.get_verdict):
        with pytest.raises(NotFoundError, match="'nothing'"):
            ask("nothing")
    with pytest.raises(NotFoundError, match="to go on from"):
        service.list_reports(before="nothing")


def test_a_report_keeps_its_scores_and_says_where_it_came_from(tmp_path: Path, service: EvaluationService) -> None:
    report = make_report(scores="a" * 64)

    def record(tx: Transaction) -> tuple[list[str], list[str]]:
        service.record_report.join(tx, report)
        service.record_verdict.join(tx, make_verdict(report))
        kept = [digest for _, digest in list_kept(tx)]
        return kept, [f"{edge.source} {edge.relation} {edge.target.kind}" for edge in tx.edges]

    kept, edges = service.db.write(record)
    assert kept == ["a" * 64]
    assert edges == [
        "run:run1 evaluated report",
        "dataset-version:events/2 read report",
        f"report:{report.id} judged verdict",
    ]


def test_a_report_leaves_one_audit_entry_however_often_it_is_recorded(service: EvaluationService) -> None:
    def record(tx: Transaction) -> list[str]:
        service.record_report.join(tx, make_report())
        service.record_report.join(tx, make_report())
        return [entry.action for entry in tx.entries]

    assert service.db.write(record) == ["evaluation.record_report"]
