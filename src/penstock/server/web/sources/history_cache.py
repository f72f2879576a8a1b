"""Long histories that were read lately: whoever zooms and smooths a curve reads its points once."""

from collections import OrderedDict
from threading import Lock

from penstock.core.ids import RunId
from penstock.storage.records import fetch
from penstock.storage.transaction import Transaction
from penstock.tracking.histories import History, read_history

MOST_POINTS = 3_000_000  # of all histories together; a point takes 24 bytes
LONG = 20_000  # points; shorter ones are read as fast as they are found
_COUNT = (
    "SELECT count(*) FROM metric_points WHERE series = "
    "(SELECT s.number FROM metric_series s JOIN runs r ON r.number = s.run WHERE r.id = ? AND s.key = ?)"
)


class HistoryCache:
    """Histories by run and key. Points are added and never changed, so that as many points are the same points."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[tuple[RunId, str], History] = OrderedDict()

    def read(self, tx: Transaction, run_id: RunId, key: str) -> History:
        """All points of a metric; none when the run has no such metric."""
        place = (run_id, key)
        with self._lock:
            known = self._held.get(place)
        if known is not None and fetch(tx.connection, _COUNT, [run_id, key])[0][0] == len(known):
            with self._lock:
                self._held[place] = self._held.pop(place, known)
            return known
        found = read_history(tx, run_id, key)
        if LONG <= len(found) <= MOST_POINTS:
            self._keep(place, found)
        return found

    def _keep(self, place: tuple[RunId, str], found: History) -> None:
        with self._lock:
            self._held.pop(place, None)
            self._held[place] = found
            while sum(map(len, self._held.values())) > MOST_POINTS:
                self._held.popitem(last=False)
