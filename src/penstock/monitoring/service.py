"""The verbs of monitoring: record windows, open and resolve alerts."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from penstock.core import failpoints
from penstock.core.errors import ConflictError
from penstock.core.ids import AlertId, Ref
from penstock.core.project.types import Severity
from penstock.monitoring.delays import list_curves
from penstock.monitoring.lamps import Lamps, read_lamps
from penstock.monitoring.store import MonitoringStore
from penstock.monitoring.types import QUIET, Alert, AlertKind, Cursor, DelayCurve, ReferenceSketch, Window
from penstock.monitoring.windows import name_start
from penstock.storage.database import Database
from penstock.storage.references import drop_objects, keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads

_ACTIONS: dict[AlertKind, str] = {
    "drift": "monitoring.drift_found",
    "estimate": "monitoring.estimate_dropped",
    "performance": "monitoring.performance_dropped",
    "calibration": "monitoring.calibration_lost",
    "fairness": "monitoring.gap_widened",
    "latency": "monitoring.latency_rose",
    "errors": "monitoring.errors_rose",
}
MAXIMUM_PAGE = 10_000
LAMP_WINDOWS = 200  # how far back a lamp looks for when it changed


class MonitoringService:
    """Keeps what the monitor found; finding it is the monitor's own work, outside any transaction."""

    noun = "monitoring"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = MonitoringStore(db)

    @reads
    def find_window(self, tx: Transaction, deployment: str, start: datetime) -> Window | None:
        """The window that begins at a moment; None where none is recorded."""
        return self._store.find_window(tx, deployment, start)

    @logs
    def record_window(self, tx: Transaction, window: Window) -> Window:
        """Keep a window; one that was computed from the same rows and outcomes before stays as it is.

        Raises:
            ConflictError: the window keeps sketches of rows whose inputs are gone, and this one knows nothing of it.
        """
        known = self._store.find_window(tx, window.deployment, window.start)
        if known is not None:
            _check_kept(known, window)
        if known is not None and (known.kept != window.kept or _content(known) == _content(window)):
            if (known.kept, known.maturity) == (window.kept, window.maturity):
                return known
            edition = known.edition  # it has only grown older
        else:
            edition = 1 if known is None else known.edition + 1
        window = msgspec.structs.replace(window, edition=edition, computed_at=tx.now)
        failpoints.hit("monitoring.record_window")
        self._store.put_window(tx, window)
        drop_objects(tx, window.ref)
        keep_objects(tx, window.ref, window.objects)
        if window.version is not None:
            tx.link(Ref("model-version", f"{window.deployment}/{window.version}"), window.ref, "watched")
        return window

    @logs
    def record_reference(self, tx: Transaction, reference: ReferenceSketch) -> None:
        """Keep the sketch of a version's reference, in place of an earlier one."""
        self._store.put_reference(tx, reference)
        drop_objects(tx, reference.ref)
        keep_objects(tx, reference.ref, [reference.sketch])

    @reads
    def find_reference(self, tx: Transaction, deployment: str, version: int) -> ReferenceSketch | None:
        """The sketch of a version's reference; None before the first comparison with it."""
        return self._store.find_reference(tx, deployment, version)

    @logs
    def move_cursor(self, tx: Transaction, cursor: Cursor) -> None:
        """Write down how far the monitor has worked through what came in."""
        self._store.put_cursor(tx, cursor)

    @reads
    def get_cursor(self, tx: Transaction, deployment: str) -> Cursor:
        """How far the monitor has worked through what came in."""
        return self._store.find_cursor(tx, deployment) or Cursor(deployment=deployment)

    @reads
    def list_windows(
        self, tx: Transaction, deployment: str = "", after: datetime | None = None, limit: int = 500
    ) -> list[Window]:
        """The newest windows of a deployment, oldest first.

        Args:
            deployment: empty for all.
            after: only windows that start later than this.
            limit: at most so many, 1 to 10,000.
        """
        return self._store.list_windows(tx, deployment, after, min(max(limit, 1), MAXIMUM_PAGE))

    @reads
    def get_lamps(self, tx: Transaction, deployment: str) -> Lamps:
        """Whether inputs, estimated performance and measured performance have changed: three answers, never mixed."""
        windows = self._store.list_windows(tx, deployment, None, LAMP_WINDOWS)
        return read_lamps(deployment, windows, self._store.list_alerts(tx, deployment, "open", MAXIMUM_PAGE))

    @reads
    def get_label_delay(self, tx: Transaction, deployment: str, by: str = "") -> list[DelayCurve]:
        """How long outcomes take: the share of predictions whose outcome is known by each age (Kaplan-Meier).

        Young predictions count at the ages they have reached, so the curve is not pulled down by what has not come yet.

        Args:
            deployment: its name.
            by: an input column that `outcomes.by` names: a curve for each of its values, the largest first.

        Returns:
            One curve, or one a value; none before a window has closed.
        """
        windows = self._store.list_windows(tx, deployment, None, MAXIMUM_PAGE)
        cursor = self._store.find_cursor(tx, deployment)
        as_of = None if cursor is None else cursor.closed_until
        return [] if as_of is None else list_curves(deployment, windows, as_of, by)

    @logs  # an alert that is open already leaves no entry
    def open_alert(
        self,
        tx: Transaction,
        window: Window,
        kind: AlertKind,
        summary: str,
        evidence: dict[str, Any],
        severity: Severity | None = None,
    ) -> Alert:
        """Open an alert about a window, or give the open one of this kind; one of a kind is open at a time.

        A window that was open to action already - it raised this kind before, or ends before the last one was
        resolved - gives the last alert as it is. Without a severity it has that of its kind.
        """
        last = self._store.find_newest_alert(tx, window.deployment, kind)
        if last is not None and _covers(last, window):
            return last
        alert = Alert(
            id=AlertId(f"{window.deployment}-{kind}-{_compact(window.start)}"),
            deployment=window.deployment,
            kind=kind,
            window_start=window.start,
            as_of=window.end,
            opened_at=tx.now,
            summary=summary,
            evidence=evidence,
            severity=severity or ("notice" if kind in QUIET else "page"),
        )
        self._store.insert_alert(tx, alert)
        tx.record(_ACTIONS[kind], alert.ref, summary=summary, window=str(window.ref), evidence=evidence)
        tx.link(window.ref, alert.ref, "raised")
        return alert

    @logs
    def resolve_alert(self, tx: Transaction, alert_id: str, reason: str, as_of: datetime | None = None) -> Alert:
        """Close an alert; closing it twice changes nothing.

        Args:
            alert_id: which.
            reason: what became of it, in plain words.
            as_of: event time of the decision; windows that end by then do not raise it again.
        """
        alert = self._store.get_alert(tx, alert_id)
        if alert.status == "resolved":
            return alert
        as_of = max(as_of or alert.as_of, alert.as_of)
        alert = msgspec.structs.replace(
            alert, status="resolved", resolved_at=tx.now, resolved_as_of=as_of, resolution=reason
        )
        self._store.update_alert(tx, alert)
        tx.record("monitoring.resolve_alert", alert.ref, reason=reason)
        return alert

    @reads
    def get_alert(self, tx: Transaction, alert_id: str) -> Alert:
        """One alert.

        Raises:
            NotFoundError: there is none with this id.
        """
        return self._store.get_alert(tx, alert_id)

    @reads
    def list_alerts(
        self, tx: Transaction, deployment: str = "", status: Literal["", "open", "resolved"] = "", limit: int = 100
    ) -> list[Alert]:
        """Alerts, newest first; empty texts mean all."""
        return self._store.list_alerts(tx, deployment, status, min(max(limit, 1), MAXIMUM_PAGE))


def _content(window: Window) -> Window:
    return msgspec.structs.replace(window, edition=0, computed_at=None, maturity=None)


def _check_kept(known: Window, window: Window) -> None:
    """Refuse what was computed by somebody who did not know yet that inputs have left."""
    if known.kept is not None and (window.kept is None or window.kept.segments < known.kept.segments):
        raise ConflictError(f"{window.ref} keeps its sketches, and was computed without them", hint="compute it again")


def _compact(start: datetime) -> str:
    return name_start(start).replace("-", "").replace(":", "")


def _covers(last: Alert, window: Window) -> bool:
    if last.status == "open" or last.window_start >= window.start:
        return True
    return last.resolved_as_of is not None and window.end <= last.resolved_as_of
