"""The routes of the ledger."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.governance.service import GovernanceService

ROUTES = [
    Route("GET", "/audit/events", GovernanceService.list_events, needs=Role.READER),
    Route("GET", "/audit/head", GovernanceService.head, needs=Role.READER),
    Route("GET", "/audit/report", GovernanceService.verify_audit, needs=Role.READER),
    Route("GET", "/objects/kept", GovernanceService.list_kept_objects, needs=Role.READER),
    Route("GET", "/lineage/{ref:path}", GovernanceService.trace_lineage, needs=Role.READER),
]
