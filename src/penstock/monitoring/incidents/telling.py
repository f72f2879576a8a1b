"""Which messages are due: a pure function of an incident, a rule, what was told already, and silences."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from penstock.core.project.types import AlertSection, Severity
from penstock.monitoring.incidents.types import ANY, Incident, Silence, Step


def find_step(
    incident: Incident,
    rule: AlertSection,
    told: Mapping[Step, Severity],
    silences: Sequence[Silence],
    now: datetime,
) -> Step | None:
    """The message that a rule's channel is to be sent now about an incident; None for none.

    Args:
        incident: as it stands.
        rule: of the project file.
        told: the steps of which this channel was told, or is being told, with the severity each had.
        silences: that run now.
        now: on the clock.
    """
    begins: Step = "opened" if rule.after is None else "escalated"
    if incident.is_resolved:
        return "resolved" if begins in told and "resolved" not in told else None
    if any(fits(silence, incident) for silence in silences):
        return None
    if begins not in told:
        return begins if _listens(rule, incident) and _is_due(rule, incident, now) else None
    became_worse = incident.severity == "page" and told[begins] != "page" and "worse" not in told
    return "worse" if became_worse else None


def fits(silence: Silence, incident: Incident) -> bool:
    """Whether a silence is about an incident: all that it names does."""
    return (
        silence.deployment in (ANY, incident.deployment)
        and (silence.kind == ANY or set(incident.kinds) <= {silence.kind})
        and (silence.label == ANY or silence.label in incident.labels)
    )


def _listens(rule: AlertSection, incident: Incident) -> bool:
    wanted = not rule.when or not set(rule.when).isdisjoint(incident.kinds)
    return wanted and (rule.severity == "notice" or incident.severity == "page")


def _is_due(rule: AlertSection, incident: Incident, now: datetime) -> bool:
    """An acknowledged incident needs nobody else."""
    if incident.status == "acknowledged":
        return False
    return rule.after is None or now >= incident.opened_at + rule.after
