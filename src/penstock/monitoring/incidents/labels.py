"""What an alert is about, read from its evidence: columns, slices and versions of data."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.monitoring.incidents.types import Signal
from penstock.monitoring.types import Alert

# Where evidence names things, and what a label of them begins with.
_PREFIXES = {
    "columns": "column",
    "column": "column",
    "slices": "slice",
    "slice": "slice",
    "segments": "slice",
    "segment": "slice",
    "data_version": "data",
    "data_versions": "data",
    "dataset": "data",
}
_NAMES = ("name", "column", "segment", "slice", "dataset")  # of what a list of tables is about
LABEL_LIMIT = 200  # characters
ALERT_PREFIX = "alert"  # of the key of a signal that is an alert


def signal_of(alert: Alert) -> Signal:
    """An alert as what speaks for an incident."""
    return Signal(
        key=f"{ALERT_PREFIX}:{alert.id}",
        deployment=alert.deployment,
        kind=alert.kind,
        severity=alert.severity,
        labels=labels_of(alert.evidence),
        since=alert.window_start,
        until=alert.as_of,
        summary=alert.summary,
        evidence=alert.evidence,
        ended="" if alert.status == "open" else alert.resolution or "the alert was resolved",
    )


def labels_of(evidence: Mapping[str, Any]) -> tuple[str, ...]:
    """Labels such as `column:price`, in order; those of the cause stand beside those of the alert itself."""
    cause = evidence.get("cause")
    held = [evidence, cause] if isinstance(cause, Mapping) else [evidence]
    return tuple(sorted({label[:LABEL_LIMIT] for part in held for label in _labels_in(part)}))


def _labels_in(part: Mapping[str, Any]) -> Iterator[str]:
    for key, prefix in _PREFIXES.items():
        for name in _names_in(part.get(key)):
            yield f"{prefix}:{name}"


def _names_in(value: Any) -> Iterator[str]:
    match value:
        case str() if value:
            yield value
        case Mapping():
            named = [value[key] for key in _NAMES if isinstance(value.get(key), str)]
            yield from named[:1] or (str(key) for key in value)
        case list() | tuple():
            for item in value:
                yield from _names_in(item)
