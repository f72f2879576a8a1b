"""The routes of traces."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.tracking.traces.service import TraceService

ROUTES = [
    Route("GET", "/traces", TraceService.list_traces, needs=Role.READER),
    Route("POST", "/traces", TraceService.log_trace, needs=Role.CONTRIBUTOR),
    Route("POST", "/trace-searches", TraceService.search_traces, needs=Role.READER),
    Route("POST", "/spans", TraceService.log_spans, needs=Role.CONTRIBUTOR),
    Route("POST", "/trace-deletions", TraceService.delete_traces, needs=Role.CONTRIBUTOR),
    Route("POST", "/trace-links", TraceService.link_traces, needs=Role.CONTRIBUTOR),
    Route("GET", "/traces/{trace_id}", TraceService.get_trace, needs=Role.READER),
    Route("GET", "/traces/{trace_id}/spans", TraceService.list_spans, needs=Role.READER),
    Route("POST", "/traces/{trace_id}/tags", TraceService.set_trace_tags, needs=Role.CONTRIBUTOR),
    Route("DELETE", "/traces/{trace_id}/tags/{key:path}", TraceService.remove_trace_tag, needs=Role.CONTRIBUTOR),
]
