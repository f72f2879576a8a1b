"""Windows and alerts as the pages of monitoring read them, made by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.core.ids import AlertId, Digest
from penstock.monitoring.types import Alert, ColumnDrift, LossEvidence, Performance, RevisionFigures, Window
from penstock.monitoring.windows import name_start

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def drift(column: str, p_value: float | None = 0.5, *, drifted: bool = False, **fields: Any) -> ColumnDrift:
    test = "none" if p_value is None else "ks"
    return ColumnDrift(column=column, test=test, p_value=p_value, level=1e-3, drifted=drifted, **fields)  # type: ignore[arg-type]


def window(day: int = 0, *columns: ColumnDrift, **fields: Any) -> Window:
    """The window of a day, compared and measured unless told otherwise."""
    known: dict[str, Any] = {
        "deployment": "shop",
        "start": START + DAY * day,
        "end": START + DAY * (day + 1),
        "rows": 100,
        "outcomes": 80,
        "version": 1,
        "number": day + 1,
        "level": 0.01,
        "drift": list(columns),
        "performance": Performance(metric="accuracy", value=0.9, low=0.88, high=0.92, rows=80),
        "loss": LossEvidence(mean_loss=0.1, groups=80, losses=Digest("0" * 64), tolerated=0.15, evidence=0.1),
        "revisions": [RevisionFigures(revision=1, rows=100, errors=2, latency_p99_ms=9.0)],
    }
    return Window(**(known | fields))


def alert(day: int, kind: Any = "drift", **fields: Any) -> Alert:
    """An alert about the window of a day."""
    start = START + DAY * day
    known: dict[str, Any] = {
        "id": AlertId(f"shop-{kind}-{name_start(start)}"),
        "deployment": "shop",
        "kind": kind,
        "window_start": start,
        "as_of": start + DAY,
        "opened_at": start + DAY,
        "summary": f"{kind} was seen",
        "evidence": {"version": 1},
    }
    return Alert(**(known | fields))
