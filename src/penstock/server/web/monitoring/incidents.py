"""The pages of incidents: all of them, and one with what speaks for it, who was told, and forms to answer it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from penstock.core import codec
from penstock.core.project.types import Severity
from penstock.monitoring.causes.types import Cause, find_cause
from penstock.monitoring.incidents.labels import ALERT_PREFIX
from penstock.monitoring.incidents.telling import fits
from penstock.monitoring.incidents.types import Incident, IncidentSignal
from penstock.server.plain_values import check_values
from penstock.server.web.context import PageContext
from penstock.server.web.words.windows import window_page
from penstock.storage.verbs import BoundVerb

RESOLVED_SHOWN = 100
MOST_SHOWN = 1_000
SEVERITY_TONES: dict[Severity, str] = {"page": "bad", "notice": "warn"}
STATUS_TONES = {"open": "bad", "acknowledged": "accent"}
DELIVERY_TONES = {"sent": "good", "dead": "bad"}


class Speaking(Struct, frozen=True, kw_only=True):
    """A signal as it is shown."""

    signal: IncidentSignal
    link: str  # to its window or its episode; empty where it has none
    cause: Cause | None
    said: str  # what was seen, without the cause


def severity_tone(severity: Severity) -> str:
    """The colour of a severity."""
    return SEVERITY_TONES[severity]


def list_incidents(context: PageContext, request: Request) -> Response:
    """Every incident: those to be seen to first."""
    incidents = context.services.incidents
    unresolved = incidents.list_incidents(status="unresolved", limit=MOST_SHOWN)
    resolved = incidents.list_incidents(status="resolved", limit=RESOLVED_SHOWN)
    return context.renderer.page(
        request,
        "incidents.html",
        title="Incidents",
        unresolved=unresolved,
        resolved=resolved,
        told=incidents.list_told([incident.id for incident in (*unresolved, *resolved)]),
        severity_tone=severity_tone,
        status_tones=STATUS_TONES,
    )


def show_incident(context: PageContext, request: Request) -> Response:
    """One incident: what speaks for it, what was sent to whom, and what keeps quiet about it."""
    incidents = context.services.incidents
    story = incidents.get_incident(request.path_params["incident"])
    incident, signals = story.incident, [_show_signal(story.incident, signal) for signal in story.signals]
    return context.renderer.page(
        request,
        "incident.html",
        title=f"Incident of {incident.deployment}",
        is_live=incident.is_resolved,  # what somebody is writing stays as it is
        incident=incident,
        said=next((one.said for one in signals if one.signal.summary == incident.summary), incident.summary),
        signals=signals,
        deliveries=story.deliveries,
        silences=[silence for silence in incidents.list_silences(limit=MOST_SHOWN) if fits(silence, incident)],
        severity_tone=severity_tone,
        status_tones=STATUS_TONES,
        delivery_tones=DELIVERY_TONES,
    )


def acknowledge(context: PageContext, request: Request, form: Mapping[str, str]) -> Response:
    """Say that somebody looks after an incident."""
    return _answer(request, context.services.incidents.acknowledge_incident, note=form.get("note", ""))


def resolve(context: PageContext, request: Request, form: Mapping[str, str]) -> Response:
    """Close an incident by hand."""
    return _answer(request, context.services.incidents.resolve_incident, reason=form.get("reason", ""))


def _answer(request: Request, verb: BoundVerb[Any, Incident], **given: str) -> Response:
    """Do it as whoever sent the form, and lead back to the incident."""
    arguments = {"incident_id": request.path_params["incident"], **given}
    check_values(arguments)
    incident = verb.run_as(request.state.actor, codec.convert(arguments, verb.verb.arguments)).result()
    return RedirectResponse(f"/incidents/{quote(incident.id, safe='')}", 303)


def _show_signal(incident: Incident, signal: IncidentSignal) -> Speaking:
    kind, _, name = signal.key.partition(":")
    links = {
        ALERT_PREFIX: window_page(incident.deployment, signal.since),
        "episode": f"/episodes/{quote(name, safe='')}",
    }
    cause = find_cause(signal.evidence)
    said = signal.summary if cause is None else signal.summary.removesuffix(f". {cause.told}")
    return Speaking(signal=signal, link=links.get(kind, ""), cause=cause, said=said)
