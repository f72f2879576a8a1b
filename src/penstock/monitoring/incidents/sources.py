"""What alerts say of incidents: an alert speaks until the detector's evidence falls, whatever was done about it."""

from msgspec.structs import replace

from penstock.monitoring.incidents.labels import signal_of
from penstock.monitoring.incidents.service import IncidentService
from penstock.monitoring.incidents.types import Signal
from penstock.monitoring.service import MonitoringService
from penstock.monitoring.types import Alert, Window

NEWEST = 200  # alerts that are looked at; open ones are among them


class AlertSource:
    """The alerts of one deployment as signals.

    The loop resolves an alert when it has answered it: a candidate was refused, say. That the inputs still differ is
    no new incident then, so such an alert speaks as long as the newest window of its version shows the same.

    Args:
        monitoring: alerts and windows.
        incidents: which of them speak already.
        deployment: whose.
    """

    def __init__(self, monitoring: MonitoringService, incidents: IncidentService, deployment: str) -> None:
        self._monitoring = monitoring
        self._incidents = incidents
        self._deployment = deployment

    def __call__(self) -> list[Signal]:
        """What speaks now, and what ended and why."""
        speaking = {signal.key for signal in self._incidents.list_speaking(self._deployment)}
        newest = self._monitoring.list_windows(self._deployment, limit=1)
        signals = []
        for alert in self._monitoring.list_alerts(self._deployment, limit=NEWEST):
            signal = signal_of(alert)
            lasts = signal.key in speaking and any(_shows(window, alert) for window in newest)
            signals.append(replace(signal, ended="") if lasts else signal)
        return signals


def _shows(window: Window, alert: Alert) -> bool:
    """Whether a window says of the same version what the alert said."""
    if window.version != alert.evidence.get("version"):
        return False
    if alert.kind == "drift":
        return not set(window.drifted).isdisjoint(alert.evidence.get("columns", {}))
    return window.lost
