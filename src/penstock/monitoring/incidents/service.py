"""The verbs of incidents: look at them, acknowledge, silence and resolve them, and see what was sent to whom."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from msgspec.structs import replace

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import Ref, check_name, new_id
from penstock.core.project.types import AlertSection, Project
from penstock.monitoring.incidents.labels import ALERT_PREFIX
from penstock.monitoring.incidents.messages import write_message, write_test
from penstock.monitoring.incidents.reconciling import Changes, Known, reconcile
from penstock.monitoring.incidents.store import IncidentStore
from penstock.monitoring.incidents.telling import find_step
from penstock.monitoring.incidents.types import (
    ANY,
    Delivery,
    DeliveryStatus,
    Incident,
    IncidentSignal,
    IncidentStory,
    Signal,
    Silence,
    Step,
)
from penstock.monitoring.service import MonitoringService
from penstock.predictions.service import PredictionService
from penstock.storage.database import Database
from penstock.storage.leases import Lease, acquire_lease, check_fence
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads, writes

MAXIMUM_PAGE = 1_000
LONGEST_SILENCE = timedelta(days=366)
TOLD_FOR = timedelta(days=7)  # after its end nobody is told of an incident any more
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=15)
MOST_TRIES = 20  # over some three hours

StatusFilter = Literal["", "unresolved", "open", "acknowledged", "resolved"]


class IncidentService:
    """Keeps incidents; what speaks for them is found by others, and messages are sent outside any transaction."""

    noun = "incidents"

    def __init__(self, db: Database, monitoring: MonitoringService, predictions: PredictionService) -> None:
        self.db = db
        self._monitoring = monitoring
        self._predictions = predictions
        self._store = IncidentStore(db)

    @reads
    def list_incidents(
        self, tx: Transaction, deployment: str = "", status: StatusFilter = "", limit: int = 100
    ) -> list[Incident]:
        """Incidents, newest first; empty texts mean all, `unresolved` those that are open or acknowledged."""
        return self._store.list_incidents(tx, deployment, status, _page(limit))

    @reads
    def get_incident(self, tx: Transaction, incident_id: str) -> IncidentStory:
        """An incident with all that spoke for it, and all that was sent about it.

        Raises:
            NotFoundError: there is none with this id.
        """
        return IncidentStory(
            incident=self._store.get_incident(tx, incident_id),
            signals=self._store.list_signals(tx, incident_id),
            deliveries=self._store.list_deliveries(tx, incident_id, "", MAXIMUM_PAGE),
        )

    @writes
    def acknowledge_incident(self, tx: Transaction, incident_id: str, note: str = "") -> Incident:
        """Say that somebody looks after it: it is not escalated any more. Saying so twice changes nothing.

        Raises:
            NotFoundError: there is none with this id.
            ConflictError: it is resolved.
        """
        incident = self._get_unresolved(tx, incident_id)
        if incident.status == "open":
            incident = replace(
                incident,
                status="acknowledged",
                acknowledged_at=tx.now,
                acknowledged_by=tx.actor.name,
                note=note,
            )
            self._store.put_incident(tx, incident)
        tx.record("incidents.acknowledge", incident.ref, note=note)
        return incident

    @writes
    def resolve_incident(self, tx: Transaction, incident_id: str, reason: str) -> Incident:
        """Close an incident by hand, and its alerts with it; the windows until now raise them no more.

        It comes back as a new incident when a later window shows the same; `silence` keeps quiet about that.

        Raises:
            NotFoundError: there is none with this id.
            ConflictError: it is resolved.
            InvalidInputError: there is no reason.
        """
        if not reason.strip():
            raise InvalidInputError("a person who resolves an incident says why", field="reason")
        incident = self._get_unresolved(tx, incident_id)
        as_of = self._predictions.watermark.join(tx, incident.deployment)
        for signal in self._store.list_signals(tx, incident_id):
            kind, _, name = signal.key.partition(":")
            if kind == ALERT_PREFIX and signal.ended_at is None:
                self._monitoring.resolve_alert.join(tx, name, f"incident {incident.id}: {reason}", as_of)
        incident = replace(
            incident, status="resolved", resolved_at=tx.now, resolved_by=tx.actor.name, resolution=reason
        )
        self._store.put_incident(tx, incident)
        tx.record("incidents.resolve", incident.ref, reason=reason)
        return incident

    @writes
    def silence(
        self,
        tx: Transaction,
        until: datetime,
        reason: str,
        deployment: str = ANY,
        kind: str = ANY,
        label: str = ANY,
    ) -> Silence:
        """Send nothing about incidents that all of this fits; those that are open when it ends are told then.

        Args:
            until: when it ends; a year ahead at most.
            reason: why, in plain words.
            deployment: only of this deployment.
            kind: only incidents of this kind alone, such as `drift`.
            label: only incidents about this, such as `column:price`.

        Raises:
            InvalidInputError: it would have ended already or last too long, has no reason, or a name cannot be.
        """
        if not tx.now < until <= tx.now + LONGEST_SILENCE:
            raise InvalidInputError("a silence ends later than now, and within a year", field="until")
        if not reason.strip():
            raise InvalidInputError("a silence has a reason", field="reason")
        if deployment:
            check_name(deployment, "deployment")
        if len(kind) > 20 or len(label) > 300:
            raise InvalidInputError("a kind has up to 20 characters, a label up to 300", field="label")
        silence = Silence(
            id=new_id(int(tx.now.timestamp() * 1000)),
            deployment=deployment,
            kind=kind,
            label=label,
            until=until,
            reason=reason,
            created_at=tx.now,
            created_by=tx.actor.name,
        )
        self._store.add_silence(tx, silence)
        what = {"deployment": deployment, "kind": kind, "label": label}
        tx.record("incidents.silence", Ref("silence", silence.id), until=until, reason=reason, **what)
        return silence

    @writes
    def end_silence(self, tx: Transaction, silence_id: str) -> Silence:
        """End a silence before its time.

        Raises:
            NotFoundError: there is none with this id.
        """
        self._store.get_silence(tx, silence_id)
        self._store.end_silence(tx, silence_id)
        tx.record("incidents.end_silence", Ref("silence", silence_id))
        return self._store.get_silence(tx, silence_id)

    @reads
    def list_silences(self, tx: Transaction, running: bool = True, limit: int = 100) -> list[Silence]:
        """Silences, newest first; only those that count now, or all there were."""
        return self._store.list_silences(tx, _page(limit), only_running=running)

    @reads
    def list_deliveries(
        self, tx: Transaction, status: Literal["", "waiting", "sent", "dead"] = "", limit: int = 100
    ) -> list[Delivery]:
        """Messages, newest first: what waits, what was sent, and what was given up."""
        return self._store.list_deliveries(tx, "", status, _page(limit))

    @reads
    def list_told(self, tx: Transaction, incidents: list[str]) -> dict[str, list[str]]:
        """The rules whose channel a message has reached, in the order of their names, by incident."""
        told: dict[str, list[str]] = {}
        for incident, rule in self._store.list_reached(tx, incidents):
            told.setdefault(incident, []).append(rule)
        return told

    @writes
    def retry_delivery(self, tx: Transaction, delivery_id: str) -> Delivery:
        """Try a delivery again that was given up.

        Raises:
            NotFoundError: there is none with this id.
            ConflictError: it was not given up.
        """
        delivery = self._store.get_delivery(tx, delivery_id)
        if delivery.status != "dead":
            raise ConflictError(f"delivery {delivery_id!r} was not given up: it is {delivery.status}")
        delivery = replace(delivery, status="waiting", attempts=0, next_at=tx.now)
        self._store.update_delivery(tx, delivery)
        tx.record("incidents.retry_delivery", Ref("delivery", delivery_id))
        return delivery

    @writes
    def request_test(self, tx: Transaction, deployment: str, rule: str, look: str = "") -> Delivery:
        """Have a test message sent to one channel; `list_deliveries` says what became of it.

        Args:
            deployment: whose project has the rule.
            rule: the name of the `[[alert]]`.
            look: the address for the message's link.
        """
        check_name(deployment, "deployment")
        if not 0 < len(rule) <= 200:
            raise InvalidInputError("the name of an alert rule has 1 to 200 characters", field="rule")
        delivery = Delivery(
            id=f"test.{new_id(int(tx.now.timestamp() * 1000))}",
            incident=None,
            deployment=deployment,
            rule=rule,
            step="test",
            severity="notice",
            message=write_test(rule, deployment, look),
            next_at=tx.now,
            created_at=tx.now,
        )
        self._store.add_delivery(tx, delivery)
        tx.record("incidents.request_test", Ref("delivery", delivery.id), rule=rule)
        return delivery

    @logs
    def hold_lease(self, tx: Transaction, deployment: str, holder: str, ttl_s: float) -> Lease | None:
        """Take or extend the right to open incidents and send messages; None while another server has it."""
        return acquire_lease(tx, lease_name(deployment), holder, timedelta(seconds=ttl_s))

    @reads
    def list_speaking(self, tx: Transaction, deployment: str) -> list[IncidentSignal]:
        """The signals of a deployment that have not ended."""
        return self._store.list_speaking(tx, deployment)

    @reads
    def needs_changes(self, tx: Transaction, deployment: str, signals: list[Signal]) -> bool:
        """Whether these signals ask for anything to be written."""
        return bool(self._find_changes(tx, deployment, signals))

    @logs
    def apply_signals(self, tx: Transaction, deployment: str, signals: list[Signal], fence: int) -> bool:
        """Bring incidents to what speaks now; returns whether anything changed.

        Raises:
            ConflictError: the lease is no longer held.
        """
        check_fence(tx, lease_name(deployment), fence)
        before = {incident.id for incident in self._known(tx, deployment).incidents}
        changes = self._find_changes(tx, deployment, signals)
        for incident in changes.incidents:
            self._store.put_incident(tx, incident)
            if incident.id not in before:
                tx.record("incidents.open", incident.ref, summary=incident.summary, labels=incident.labels)
            elif incident.is_resolved:
                tx.record("incidents.resolve", incident.ref, reason=incident.resolution)
        for signal in changes.signals:
            self._store.put_signal(tx, signal)
            if signal.seen_at == tx.now:
                tx.link(_ref_of(signal.key), Ref("incident", signal.incident), "speaks for")
        return bool(changes)

    @reads
    def find_due_messages(self, tx: Transaction, project: Project, url: str) -> list[Delivery]:
        """What the project's rules want to be said now and is not in the outbox yet."""
        incidents = self._store.list_to_tell(tx, project.name, tx.now - TOLD_FOR)
        told = self._store.list_told(tx, [incident.id for incident in incidents]) if incidents else []
        silences = self._store.list_silences(tx, MAXIMUM_PAGE, only_running=True)
        due = []
        for incident in incidents:
            for rule in project.alerts:
                own = [each for each in told if (each.incident, each.rule) == (incident.id, rule.label)]
                step = find_step(incident, rule, {each.step: each.severity for each in own}, silences, tx.now)
                if step is not None:
                    signals = self._store.list_signals(tx, incident.id)
                    message = write_message(incident, signals, step, project, url)
                    due.append(_delivery(incident, rule, step, message, tx.now))
        return due

    @logs
    def put_into_outbox(self, tx: Transaction, project: Project, url: str, fence: int) -> int:
        """Write down every message that is due; each incident and step gives one for each rule, whoever does it.

        Raises:
            ConflictError: the lease is no longer held.
        """
        check_fence(tx, lease_name(project.name), fence)
        due = self.find_due_messages.join(tx, project, url)
        for delivery in due:
            self._store.add_delivery(tx, delivery)
        return len(due)

    @reads
    def list_due(self, tx: Transaction, deployment: str, limit: int = 50) -> list[Delivery]:
        """The messages whose time has come, oldest first."""
        return self._store.list_due(tx, deployment, limit)

    @logs
    def note_try(
        self, tx: Transaction, delivery: Delivery, fence: int, error: str = "", give_up: bool = False
    ) -> Delivery:
        """Write down what became of a try: sent, to be tried again after a longer pause, or given up.

        Raises:
            ConflictError: the lease is no longer held.
        """
        check_fence(tx, lease_name(delivery.deployment), fence)
        tries = delivery.attempts + 1
        status: DeliveryStatus = "sent" if not error else "dead" if give_up or tries >= MOST_TRIES else "waiting"
        pause = min(FIRST_PAUSE * 2 ** min(tries - 1, 20), LONGEST_PAUSE)
        after = replace(
            delivery,
            status=status,
            attempts=tries,
            error=error,
            sent_at=tx.now if status == "sent" else None,
            next_at=tx.now + pause if status == "waiting" else delivery.next_at,
        )
        self._store.update_delivery(tx, after)
        if status != "waiting":
            told = {"incident": delivery.incident, "rule": delivery.rule, "step": delivery.step, "tries": tries}
            tx.record(f"incidents.{'deliver' if status == 'sent' else 'give_up'}", Ref("delivery", delivery.id), **told)
        return after

    @reads
    def count_unresolved(self, tx: Transaction) -> dict[tuple[str, str, str], int]:
        """How many incidents are unresolved, by deployment, severity and status."""
        return self._store.count_unresolved(tx)

    @reads
    def count_deliveries(self, tx: Transaction) -> dict[str, int]:
        """How many messages wait, and how many were given up."""
        return self._store.count_deliveries(tx)

    def _find_changes(self, tx: Transaction, deployment: str, signals: Sequence[Signal]) -> Changes:
        make_id: Any = partial(new_id, int(tx.now.timestamp() * 1000))
        return reconcile(signals, self._known(tx, deployment), tx.now, make_id)

    def _known(self, tx: Transaction, deployment: str) -> Known:
        incidents = self._store.list_incidents(tx, deployment, "unresolved", MAXIMUM_PAGE)
        return Known(incidents, self._store.list_speaking(tx, deployment))

    def _get_unresolved(self, tx: Transaction, incident_id: str) -> Incident:
        incident = self._store.get_incident(tx, incident_id)
        if incident.is_resolved:
            raise ConflictError(f"incident {incident.id} was resolved by {incident.resolved_by}: {incident.resolution}")
        return incident


def lease_name(deployment: str) -> str:
    """The lease of the one server that opens a deployment's incidents and sends its messages."""
    return f"alerts/{deployment}"


def _delivery(incident: Incident, rule: AlertSection, step: Step, message: dict[str, Any], now: datetime) -> Delivery:
    """One message of an incident and a step for a rule: its id is the same, whoever finds it due."""
    return Delivery(
        id=f"{incident.id}.{step}.{rule.digest}",
        incident=incident.id,
        deployment=incident.deployment,
        rule=rule.label,
        step=step,
        severity=incident.severity,
        message=message,
        next_at=now,
        created_at=now,
    )


def _ref_of(key: str) -> Ref:
    """What lineage knows a signal by."""
    kind, _, name = key.partition(":")
    return Ref(kind, name or "-")


def _page(limit: int) -> int:
    return min(max(limit, 1), MAXIMUM_PAGE)
