"""The routes of evaluation."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.evaluation.service import EvaluationService

ROUTES = [
    Route("POST", "/reports", EvaluationService.record_report, needs=Role.CONTRIBUTOR),
    Route("GET", "/reports", EvaluationService.list_reports, needs=Role.READER),
    Route("GET", "/reports/{report_id}", EvaluationService.get_report, needs=Role.READER),
    Route("GET", "/reports/{report_id}/verdicts", EvaluationService.list_verdicts, needs=Role.READER),
    Route("POST", "/verdicts", EvaluationService.record_verdict, needs=Role.CONTRIBUTOR),
    Route("GET", "/verdicts/{verdict_id}", EvaluationService.get_verdict, needs=Role.READER),
]
