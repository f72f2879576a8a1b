"""What a message says: what moved, how much, where to look, and what penstock proposes."""

from collections.abc import Sequence
from typing import Any

from penstock.core.project.types import Project
from penstock.monitoring.causes.types import find_cause
from penstock.monitoring.incidents.types import Incident, IncidentSignal, Step

_HEADS: dict[str, str] = {
    "opened": "",
    "escalated": "Nobody has acknowledged: ",
    "worse": "Now a page: ",
    "resolved": "Resolved: ",
}
MOST_CHANGES = 10  # lines of what moved


def write_message(
    incident: Incident, signals: Sequence[IncidentSignal], step: Step, project: Project, url: str
) -> dict[str, Any]:
    """The message about an incident as data: every channel shows the same in its own form.

    Args:
        incident: as it stands.
        signals: that spoke for it, first seen first.
        step: why the message is sent.
        project: whose policy says what will be done.
        url: where people reach the server.
    """
    live = [signal for signal in signals if signal.ended_at is None] or list(signals)
    title = f"{_HEADS[step]}{incident.deployment}: {', '.join(incident.kinds)} ({incident.severity})"
    return {
        "title": title,
        "summary": incident.resolution if step == "resolved" else incident.summary,
        "changes": [signal.summary for signal in live[:MOST_CHANGES]],
        "look": f"{url}/incidents/{incident.id}",
        "command": f"penstock alerts show {incident.id}",
        "proposal": "nothing is left to do" if step == "resolved" else _propose(incident, live, project),
        "incident": {
            "id": incident.id,
            "deployment": incident.deployment,
            "status": incident.status,
            "severity": incident.severity,
            "kinds": incident.kinds,
            "labels": incident.labels,
            "opened_at": incident.opened_at,
            "since": incident.since,
            "until": incident.until,
        },
    }


def write_test(rule: str, deployment: str, url: str) -> dict[str, Any]:
    """A message that only shows that a channel works."""
    return {
        "title": f"{deployment}: a test of the alert {rule!r}",
        "summary": "somebody asked for this message to see that it arrives; nothing is wrong",
        "changes": [],
        "look": f"{url}/deployments/{deployment}",
        "command": "penstock alerts list",
        "proposal": "nothing is to be done",
        "incident": None,
    }


def write_lines(message: dict[str, Any]) -> list[str]:
    """A message as lines for people, below its title."""
    more = [change for change in message["changes"] if change != message["summary"]]
    return [
        str(message["summary"]),
        *(f"- {change}" for change in more),
        f"Proposed: {message['proposal']}.",
        f"Look: {message['look']} or `{message['command']}`",
    ]


def _propose(incident: Incident, signals: Sequence[IncidentSignal], project: Project) -> str:
    """What to do, as far as the evidence says; data faults come first, as training on them mends nothing."""
    faults = [fault for signal in signals for fault in _faults_in(signal.evidence)]
    if faults:
        return f"mend the data before anything else ({'; '.join(faults[:3])}); a retrain would learn the fault"
    if "loop" in incident.kinds:
        return "look into the server's log; candidates are judged still, but drift and decay are not seen"
    if "episode" in incident.kinds:
        return "look at what the run says; `penstock run` tries again once it is mended"
    answered = [kind for kind in incident.kinds if kind in project.retrain.when]
    if answered:
        return f"none from you: {', '.join(answered)} is answered by a retrain, within its cooldown and budget"
    if incident.severity == "page":
        return "`penstock run` trains and judges anew, `penstock rollback` sends the traffic back to the version before"
    return "look whether the inputs are what they should be; nothing says that answers have become worse"


def _faults_in(evidence: dict[str, Any]) -> list[str]:
    cause = find_cause(evidence)
    return [] if cause is None else [fault.detail for fault in cause.faults if fault.certain]
