"""What an alert says in plain words, and the figures it rests on."""

from typing import Any

from penstock.core.project.types import Project
from penstock.monitoring.types import AlertKind, ColumnDrift, LossEvidence, Window
from penstock.monitoring.windows import tell_start


def describe(project: Project, window: Window, kind: AlertKind) -> tuple[str, dict[str, Any]]:
    """The summary and the evidence of an alert of a kind about a window."""
    evidence: dict[str, Any] = {"window": str(window.ref), "version": window.version, "rows": window.rows}
    if kind == "drift":
        return _tell_drift(window), evidence | _drift_evidence(window)
    if kind == "estimate":
        return _tell_estimate(window), evidence | _estimate_evidence(window)
    if kind == "performance":
        return _tell_drop(project, window), evidence | _drop_evidence(window)
    watched = [held for held in window.watches if held.kind == kind and held.lost]
    return "; ".join(_tell_watch(window, held) for held in watched), evidence | {
        "watches": {held.watch: _watch_evidence(held) for held in watched}
    }


def _tell_drift(window: Window) -> str:
    moved = "; ".join(map(_tell_column, filter(lambda column: column.drifted, window.drift)))
    return f"inputs of {tell_start(window.start)} differ from what version {window.version} was trained on: {moved}"


def _tell_column(column: ColumnDrift) -> str:
    over = f" over {column.windows} windows" if column.windows > 1 else ""
    segments = [held for held in column.segments if held.drifted]
    if not column.drifted_as_a_whole:
        first, *others = segments
        more = f", and {len(others)} more segments" if others else ""
        told = f"{column.subject} moved by {first.distance or 0:.2f}{over} where {first.segment}"
        return f"{told} (p = {first.p_value:.1g}{more})"
    new = f", {column.new_share:.0%} of the rows new to the model" if column.new_share >= 0.01 else ""
    most = f", most of all where {segments[0].segment}" if segments else ""
    return f"{column.subject} moved by {column.distance or 0:.2f}{over} (p = {column.p_value or 0:.1g}{new}{most})"


def _drift_evidence(window: Window) -> dict[str, Any]:
    columns = {
        column.column: {
            "test": column.test,
            "p_value": column.p_value,
            "level": column.level,
            "distance": column.distance,
            "windows": column.windows,
            "new_share": column.new_share,
            "segments": column.segments_drifted,
        }
        for column in window.drift
        if column.drifted
    }
    segments = sorted({name for column in window.drift for name in column.segments_drifted})
    return {"columns": columns, "segments": segments, "level": window.level}


def _tell_estimate(window: Window) -> str:
    found = window.estimate
    if found is None or found.value is None or found.state.reference is None:
        raise ValueError(f"{window.ref} has no estimate")
    return (
        f"{found.metric} of version {window.version} is estimated at {found.value:.3g} for "
        f"{tell_start(window.start)}, before outcomes are known; it was {found.state.reference:.3g} at first"
    )


def _estimate_evidence(window: Window) -> dict[str, Any]:
    found = window.estimate
    if found is None:
        return {}
    names = ("metric", "value", "low", "high", "p_value", "level")
    return {name: getattr(found, name) for name in names} | {"reference": found.state.reference}


def _tell_drop(project: Project, window: Window) -> str:
    figures, loss, watched = window.performance, window.loss, project.monitor.performance
    value = "unknown" if figures is None or figures.value is None else f"{figures.value:.3g}"
    name, when = figures.metric if figures else "performance", tell_start(window.start)
    if window.below_bar and watched is not None:
        bar = f"at least {watched.at_least:g}" if watched.at_least is not None else f"at most {watched.at_most:g}"
        return f"{name} of version {window.version} was {value} in {when}; the project asks for {bar}"
    lost = f" (mean loss {loss.mean_loss:.3g}, {loss.tolerated:.3g} was put up with)" if loss and loss.tolerated else ""
    return f"{name} of version {window.version} fell to {value} by {when}{lost}"


def _drop_evidence(window: Window) -> dict[str, Any]:
    figures, loss = window.performance, window.loss
    evidence: dict[str, Any] = {"below_bar": window.below_bar, "outcomes": window.outcomes}
    if figures is not None:
        evidence |= {"metric": figures.metric, "value": figures.value, "low": figures.low, "high": figures.high}
    return evidence if loss is None else evidence | _watch_evidence(loss)


def _watch_evidence(held: LossEvidence) -> dict[str, Any]:
    return {"mean_loss": held.mean_loss, "tolerated": held.tolerated, "detector": held.evidence}


def _tell_watch(window: Window, held: LossEvidence) -> str:
    by, tolerated = tell_start(window.start), held.tolerated or 0.0
    name, _, detail = held.watch.partition(":")
    if name == "latency":
        return f"{held.mean_loss:.1%} of the requests by {by} took longer than the project allows to {tolerated:.1%}"
    if name == "errors":
        return f"{held.mean_loss:.1%} of the requests by {by} failed; the project allows {tolerated:.1%}"
    if name == "calibration":
        told = {
            "high": "probabilities are too high",
            "low": "probabilities are too low",
            "bold": "probabilities are too sure of themselves",
        }[detail]
        return f"{told} by {held.mean_loss:.3f} on average by {by}, where {tolerated:.3f} was put up with"
    more = f"{held.mean_loss:.3g} more than the others by {by}, where {tolerated:.3g} was put up with"
    return f"rows with {detail} lose {more}"
