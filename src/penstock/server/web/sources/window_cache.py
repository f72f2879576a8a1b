"""The windows of deployments as pages read them again and again: only what is new or revised is read anew."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from threading import Lock

from sqlalchemy import select

from penstock.monitoring.service import MonitoringService
from penstock.monitoring.tables import windows as table
from penstock.monitoring.types import Window
from penstock.storage.transaction import Transaction

MOST_COLUMNS = 200_000  # of all held windows together, each with its figures: some 100 MB
Editions = list[tuple[datetime, int]]


class WindowCache:
    """Safe to use from several threads. An edition of a window never changes, so equal editions are equal windows."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[str, list[Window]] = {}

    def read(self, monitoring: MonitoringService, deployment: str, limit: int) -> list[Window]:
        """The newest windows of a deployment, oldest first."""
        editions: Editions = monitoring.db.read(_list_editions, deployment, limit)
        if not editions:
            return []
        with self._lock:
            known = self._held.get(deployment, [])
        by_start = {window.start: window for window in known}
        first = next((place for place, (start, edition) in enumerate(editions) if _lacks(by_start, start, edition)), -1)
        if first >= 0:
            after = editions[first - 1][0] if first else None
            fresh = monitoring.list_windows(deployment, after=after, limit=len(editions) - first)
            by_start |= {window.start: window for window in fresh}
        found = [by_start[start] for start, _ in editions if start in by_start]
        self._keep(deployment, found if len(found) >= len(known) else _merge(known, found))
        return found

    def _keep(self, deployment: str, windows: list[Window]) -> None:
        with self._lock:
            self._held[deployment] = windows
            while _weigh(self._held.values()) > MOST_COLUMNS and len(self._held) > 1:
                self._held.pop(next(name for name in self._held if name != deployment))
            if _weigh(self._held.values()) > MOST_COLUMNS:
                self._held.clear()


def _lacks(held: dict[datetime, Window], start: datetime, edition: int) -> bool:
    known = held.get(start)
    return known is None or known.edition != edition


def _merge(known: Sequence[Window], found: Sequence[Window]) -> list[Window]:
    return sorted({window.start: window for window in (*known, *found)}.values(), key=lambda window: window.start)


def _weigh(held: Iterable[Sequence[Window]]) -> int:
    return sum(1 + len(window.drift) for windows in held for window in windows)


def _list_editions(tx: Transaction, deployment: str, limit: int) -> Editions:
    query = select(table.c.start, table.c.edition).where(table.c.deployment == deployment)
    rows = tx.execute(query.order_by(table.c.start.desc()).limit(limit)).all()
    return [(row.start, row.edition) for row in reversed(rows)]
