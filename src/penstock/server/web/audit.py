"""The pages of trust: the audit log and the lineage graph."""

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.errors import InvalidInputError
from penstock.core.ids import Ref
from penstock.governance.types import AuditEvent
from penstock.server.web.context import PageContext
from penstock.server.web.drawings.graph_svg import draw_lineage
from penstock.server.web.words.evidence import Evidence, read_evidence
from penstock.server.web.words.formats import format_number

PAGE_SIZE = 50
EDGES_SHOWN = 300
VALUES_SHOWN = 2
VALUE_LENGTH = 25  # shorter than ids and digests


class Entry(Struct, frozen=True):
    """An audit event as it is shown."""

    event: AuditEvent
    summary: str  # the reason, or what there is to see
    evidence: Evidence


def show_audit(context: PageContext, request: Request) -> Response:
    """The newest audit events, and whether the chain is whole; `?upto=N` goes on with older ones."""
    subject = request.query_params.get("subject", "")
    action = request.query_params.get("action", "")
    governance = context.services.governance
    head = governance.head()
    upto = _read_number(request.query_params.get("upto", ""), head)
    if subject or action:  # too few to be worth pages
        events = governance.list_events(limit=1000, action=action, subject=subject, newest_first=True)
    else:
        events = governance.list_events(after=max(upto - PAGE_SIZE, 0), limit=PAGE_SIZE)[::-1]
    return context.renderer.page(
        request,
        "audit.html",
        title="Audit",
        entries=[_describe(event) for event in events],
        report=governance.verify_audit() if "verify" in request.query_params else None,
        subject=Ref.parse(subject) if subject else None,
        action=action,
        head=head,
        upto=upto,
        older=max(upto - PAGE_SIZE, 0) if not (subject or action) else 0,
    )


def show_lineage(context: PageContext, request: Request) -> Response:
    """Everything upstream and downstream of one thing."""
    ref = Ref.parse(request.path_params["ref"])
    governance = context.services.governance
    up = governance.trace_lineage(str(ref), "up").edges
    down = governance.trace_lineage(str(ref), "down").edges
    return context.renderer.page(
        request,
        "lineage.html",
        title=f"Lineage of {ref}",
        subject=ref,
        drawing=draw_lineage(ref, [*up, *down]),
        up=up[:EDGES_SHOWN],
        down=down[:EDGES_SHOWN],
        left_out=max(len(up) - EDGES_SHOWN, 0) + max(len(down) - EDGES_SHOWN, 0),
    )


def _read_number(text: str, otherwise: int) -> int:
    if not text:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidInputError(f"{text!r} is no number of an audit event", hint="write upto=100")
    return min(int(text), otherwise)


def _describe(event: AuditEvent) -> Entry:
    detail = dict(event.detail)
    nested = detail.pop("evidence", None)
    shown = read_evidence(detail | nested if isinstance(nested, dict) else detail)
    return Entry(event, str(event.detail.get("reason") or event.detail.get("summary") or _sum_up(event)), shown)


def _sum_up(event: AuditEvent) -> str:
    """The first plain values of an event's detail."""
    plain = {key: value for key, value in event.detail.items() if _is_short(value)}
    told = [f"{key.replace('_', ' ')} {_plain(value)}" for key, value in plain.items()]
    return ", ".join(told[:VALUES_SHOWN]) or ", ".join(key.replace("_", " ") for key in event.detail)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_number(value) if isinstance(value, int | float) else str(value)


def _is_short(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and 0 < len(value) <= VALUE_LENGTH)
