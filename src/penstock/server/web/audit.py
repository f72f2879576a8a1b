"""The pages of trust: the audit log and the lineage graph."""

from starlette.requests import Request
from starlette.responses import Response

from penstock.core.errors import InvalidInputError
from penstock.server.web.context import PageContext

PAGE_SIZE = 100


def show_audit(context: PageContext, request: Request) -> Response:
    """The newest audit events, and whether the chain is whole."""
    subject = request.query_params.get("subject", "")
    action = request.query_params.get("action", "")
    governance = context.services.governance
    events = governance.list_events(limit=PAGE_SIZE, action=action, subject=subject, newest_first=True)
    report = governance.verify_audit() if "verify" in request.query_params else None
    return context.renderer.page(
        request, "audit.html", title="Audit", events=events, report=report, subject=subject, action=action
    )


def show_lineage(context: PageContext, request: Request) -> Response:
    """Everything upstream and downstream of one thing."""
    ref = request.path_params["ref"]
    if ":" not in ref:
        raise InvalidInputError(f"{ref!r} is no reference", hint="write kind:id")
    governance = context.services.governance
    up = governance.trace_lineage(ref, "up")
    down = governance.trace_lineage(ref, "down")
    return context.renderer.page(request, "lineage.html", title=f"Lineage of {ref}", ref=ref, up=up, down=down)
