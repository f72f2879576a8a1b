"""An episode told in acts - seen, tried, decided, released, ended - from its decisions and from what it left behind."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup
from msgspec import Struct

from penstock.core.errors import NotFoundError
from penstock.core.ids import RunId
from penstock.loop.types import Decision, Episode
from penstock.monitoring.types import Alert, Window
from penstock.server.web.context import PageContext
from penstock.server.web.drawings.plot import STORY
from penstock.server.web.drawings.sequences import DrawnMeasure, draw_measures, read_judged
from penstock.server.web.monitoring.performance import draw_performance
from penstock.server.web.monitoring.pictures import ColumnPicture, picture_column
from penstock.server.web.monitoring.watched import get_watched
from penstock.server.web.monitoring.window import by_oddity, read_distributions
from penstock.server.web.words.evidence import Evidence, read_evidence
from penstock.server.web.words.windows import tell_window
from penstock.tracking.types import Run

TITLES = {
    "open": "It began",
    "probe": "A cheap challenger is tried first",
    "decline": "No retrain: it would not help",
    "recall": "A model that was the champion before comes back",
    "train": "A new model is trained",
    "register": "The candidate is registered",
    "pass": "The gates are passed",
    "refuse": "The candidate is refused",
    "deploy": "The candidate takes its first traffic",
    "advance": "It takes more traffic",
    "abort": "The rollout is aborted",
    "promote": "The candidate is the new champion",
    "fail": "The episode failed",
    "cancel": "Somebody cancelled it",
}
TONES = {
    "promote": "good",
    "pass": "good",
    "advance": "good",
    "decline": "warn",
    "recall": "good",
    "refuse": "warn",
    "abort": "bad",
    "fail": "bad",
    "cancel": "warn",
}
ACTS = (
    ("seen", "What was seen"),
    ("tried", "What was tried"),
    ("decided", "What was decided, and why"),
    ("released", "How it was released"),
    ("ended", "How it ended"),
)
ACT_OF = {
    "open": "seen",
    "pass": "decided",
    "decline": "decided",
    "recall": "decided",
    "refuse": "decided",
    "deploy": "released",
    "advance": "released",
    "abort": "released",
    "promote": "ended",
    "fail": "ended",
    "cancel": "ended",
}
AROUND = 20  # windows before and after the one that raised the alert
PICTURES = 6  # columns
COMPARED = 8  # windows on either side, for whether it helped


class Chapter(Struct, frozen=True):
    """A decision as it is told."""

    decision: Decision
    title: str
    tone: str
    evidence: Evidence


class Act(Struct, frozen=True):
    """A part of the story, with the decisions that belong to it."""

    name: str
    title: str
    chapters: list[Chapter]


class SeenView(Struct, frozen=True, kw_only=True):
    """What raised the alert: its window among others, and the columns of it."""

    alert: Alert
    window: Window
    when: str
    performance: Markup
    columns: list[ColumnPicture]


class Stretch(Struct, frozen=True):
    """The mean of the measured metric over some windows."""

    name: str
    value: float | None
    windows: int
    rows: int


def tell_acts(decisions: Sequence[Decision], project: str) -> list[Act]:
    """The decisions by act, in the order of the story; what is not known by name was tried."""
    told: dict[str, list[Chapter]] = {name: [] for name, _ in ACTS}
    for decision in decisions:
        told[ACT_OF.get(decision.action, "tried")].append(_tell(decision, project))
    return [Act(name, title, told[name]) for name, title in ACTS]


def _tell(decision: Decision, project: str) -> Chapter:
    title = TITLES.get(decision.action, decision.action.replace("_", " ").capitalize())
    return Chapter(decision, title, TONES.get(decision.action, ""), read_evidence(decision.evidence, project))


def read_seen(context: PageContext, episode: Episode) -> SeenView | None:
    """The alert that an episode answers, with its window; None where nothing was seen, as by hand."""
    services = context.services
    if episode.alert_id is None:
        return None
    alert = services.monitoring.get_alert(episode.alert_id)
    windows = context.windows.read(services.monitoring, alert.deployment, 10_000)
    place = next((place for place, held in enumerate(windows) if held.start == alert.window_start), None)
    if place is None:
        return None
    window, near = windows[place], windows[max(place - AROUND, 0) : place + AROUND + 1]
    alerts = services.monitoring.list_alerts(alert.deployment, limit=200)
    project = get_watched(context, alert.deployment).project
    return SeenView(
        alert=alert,
        window=window,
        when=tell_window(window),
        performance=draw_performance(near, alerts, project, told=window, area=STORY),
        columns=_picture(context, window),
    )


def _picture(context: PageContext, window: Window) -> list[ColumnPicture]:
    """The columns that moved; where none did, the few that were least like the reference."""
    order = sorted((held for held in window.drift if held.p_value is not None), key=by_oddity)
    chosen = [held for held in order if held.drifted][:PICTURES] or order[: PICTURES // 2]
    if not chosen:
        return []
    known = read_distributions(context, window).columns
    return [
        picture_column(window.deployment, window.start, drift, held.spread if held else None)
        for drift in chosen
        for held in [known.get(drift.column)]
    ]


def find_run(context: PageContext, episode: Episode) -> Run | None:
    """The run of an episode, as it was tracked."""
    if episode.run_id is None:
        return None
    try:
        return context.services.tracking.get_run(RunId(episode.run_id))
    except NotFoundError:  # it was deleted since
        return None


def draw_release(context: PageContext, episode: Episode) -> list[DrawnMeasure]:
    """What was known of each measure of the rollout when it was looked at last."""
    if episode.rollout_id is None:
        return []
    serving = context.services.serving
    return draw_measures(
        read_judged(serving.get_rollout(episode.rollout_id), serving.list_measures(episode.rollout_id))
    )


def compare_stretches(context: PageContext, episode: Episode) -> list[Stretch]:
    """The measured metric before the alert, while the episode went on, and since the new version answers.

    Windows are weighed by the rows whose outcome is known. It is what was measured, and no test: other things may have
    changed with it.
    """
    since = episode.as_of
    if since is None or episode.state != "promoted" or episode.version is None or episode.alert_id is None:
        return []
    windows = context.windows.read(context.services.monitoring, episode.project, 10_000)
    alert = context.services.monitoring.get_alert(episode.alert_id)
    after = [window for window in windows if window.version == episode.version][:COMPARED]
    takeover = after[0].start if after else since + timedelta(days=36_500)
    before = [window for window in windows if window.start < alert.window_start and window.version != episode.version]
    between = [window for window in windows if alert.window_start <= window.start < takeover]
    named = (("before it was seen", before[-COMPARED:]), ("from then on", between), ("with the new version", after))
    return [_average(name, held) for name, held in named if held]


def _average(name: str, windows: Sequence[Window]) -> Stretch:
    held = [one for window in windows if (one := window.performance) is not None and one.value is not None]
    rows = sum(one.rows for one in held)
    value = sum((one.value or 0.0) * one.rows for one in held) / rows if rows else None
    return Stretch(name, value, len(windows), rows)


def tell_short(episode: Episode, decisions: Sequence[Decision], run: Run | None) -> list[tuple[str, str]]:
    """The story in some lines, for who reads no more of it."""
    lines = [("Seen", episode.reason)]
    if run is not None:
        took = "" if run.ended_at is None else f" in {_tell_length(run.started_at, run.ended_at)}"
        until = f" on what was known by {episode.as_of:%d %b %Y}" if episode.as_of else ""
        made = f", version {episode.version}" if episode.version else ""
        lines.append(("Tried", f"a model was trained{until}{took}{made}"))
    lines += [("Decided", held.reason) for held in decisions if held.action in ("pass", "refuse")]
    ended = "not yet" if episode.is_open else episode.summary
    return lines if ended in [text for _, text in lines] else [*lines, ("Ended", ended)]


def _tell_length(start: datetime, end: datetime) -> str:
    from_to = round((end - start).total_seconds())
    return f"{from_to} s" if from_to < 120 else f"{from_to // 60} min"
