"""The records of incidents: signals, incidents, silences and deliveries."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from penstock.core.ids import IncidentId, Ref
from penstock.core.project.types import Severity

IncidentStatus = Literal["open", "acknowledged", "resolved"]
Step = Literal["opened", "escalated", "worse", "resolved", "test"]
DeliveryStatus = Literal["waiting", "sent", "dead"]
ANY = ""  # of a silence: every deployment, kind or label


class Signal(Struct, frozen=True, kw_only=True):
    """Something that speaks for an incident as long as it lasts: an open alert, or an episode that failed."""

    key: str  # names it; the same as long as it is the same thing
    deployment: str
    kind: str  # drift, performance, episode ...
    severity: Severity = "notice"
    labels: tuple[str, ...] = ()  # what it is about: column:price, slice:..., data:orders/4
    follows: str = ""  # the key of the signal that brought it about
    since: datetime  # event time
    until: datetime
    summary: str  # what moved and how much, in plain words
    evidence: dict[str, Any] = {}
    ended: str = ""  # why it speaks no more; empty while it does


class IncidentSignal(Struct, frozen=True, kw_only=True):
    """A signal as it was seen, with the incident it belongs to."""

    key: str
    incident: IncidentId
    kind: str
    severity: Severity
    labels: tuple[str, ...]
    since: datetime
    until: datetime
    summary: str
    evidence: dict[str, Any]
    seen_at: datetime  # on the clock, first
    ended_at: datetime | None = None
    ended: str = ""


class Incident(Struct, frozen=True, kw_only=True):
    """One cause, with everything that speaks for it; open until nothing does."""

    id: IncidentId
    deployment: str
    status: IncidentStatus = "open"
    severity: Severity  # the highest of what speaks for it now
    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    summary: str
    since: datetime  # event time
    until: datetime
    opened_at: datetime  # on the clock
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    note: str = ""  # of whoever acknowledged it
    resolved_at: datetime | None = None
    resolved_by: str = ""
    resolution: str = ""

    @property
    def ref(self) -> Ref:
        """How lineage and audit point at this incident."""
        return Ref("incident", self.id)

    @property
    def is_resolved(self) -> bool:
        """Whether nothing is to be done about it any more."""
        return self.status == "resolved"


class Silence(Struct, frozen=True, kw_only=True):
    """Nothing is sent about incidents that it fits until it ends; those still open then are told."""

    id: str
    deployment: str = ANY
    kind: str = ANY
    label: str = ANY
    until: datetime
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None = None  # where a person ended it before its time


class Delivery(Struct, frozen=True, kw_only=True):
    """One message to one channel; its id is the idempotency key that the channel is shown at every try."""

    id: str
    incident: IncidentId | None  # None: a test of the channel
    deployment: str
    rule: str  # the name of the [[alert]] in the project file
    step: Step
    severity: Severity
    message: dict[str, Any]  # what is sent
    status: DeliveryStatus = "waiting"
    attempts: int = 0
    next_at: datetime
    created_at: datetime
    sent_at: datetime | None = None
    error: str = ""  # of the last try


class IncidentStory(Struct, frozen=True, kw_only=True):
    """An incident with all that spoke for it, and all that was sent about it."""

    incident: Incident
    signals: list[IncidentSignal]
    deliveries: list[Delivery]
