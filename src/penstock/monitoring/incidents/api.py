"""The routes of incidents."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.monitoring.incidents.service import IncidentService

ROUTES = [
    Route("GET", "/incidents", IncidentService.list_incidents, needs=Role.READER),
    Route("GET", "/incidents/{incident_id}", IncidentService.get_incident, needs=Role.READER),
    Route("POST", "/incidents/{incident_id}/acknowledge", IncidentService.acknowledge_incident, needs=Role.CONTRIBUTOR),
    Route("POST", "/incidents/{incident_id}/resolve", IncidentService.resolve_incident, needs=Role.MAINTAINER),
    Route("GET", "/alert-silences", IncidentService.list_silences, needs=Role.READER),
    Route("POST", "/alert-silences", IncidentService.silence, needs=Role.MAINTAINER),
    Route("POST", "/alert-silences/{silence_id}/end", IncidentService.end_silence, needs=Role.MAINTAINER),
    Route("GET", "/alert-deliveries", IncidentService.list_deliveries, needs=Role.READER),
    Route("POST", "/alert-deliveries/{delivery_id}/retry", IncidentService.retry_delivery, needs=Role.MAINTAINER),
    Route("POST", "/alert-tests", IncidentService.request_test, needs=Role.MAINTAINER),
]
