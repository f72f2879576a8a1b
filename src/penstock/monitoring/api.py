"""The routes of monitoring."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.monitoring.service import MonitoringService

ROUTES = [
    Route("GET", "/windows", MonitoringService.list_windows, needs=Role.READER),
    Route("GET", "/lamps", MonitoringService.get_lamps, needs=Role.READER),
    Route("GET", "/label-delay/{deployment}", MonitoringService.get_label_delay, needs=Role.READER),
    Route("GET", "/alerts", MonitoringService.list_alerts, needs=Role.READER),
    Route("GET", "/alerts/{alert_id}", MonitoringService.get_alert, needs=Role.READER),
    Route("POST", "/alerts/{alert_id}/resolve", MonitoringService.resolve_alert, needs=Role.MAINTAINER),
]
