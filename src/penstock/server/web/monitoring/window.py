"""The pages of one window: all its columns beside the reference, and one column in large."""

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.errors import NotFoundError
from penstock.monitoring.store import MonitoringStore
from penstock.monitoring.types import ColumnDrift, Window
from penstock.monitoring.windows import name_start
from penstock.server.web.context import PageContext
from penstock.server.web.drawings.charts import Mark, Point, Series, line_chart
from penstock.server.web.drawings.plot import MAP, NARROW, Area, on_either
from penstock.server.web.monitoring.bins import WindowDistributions
from penstock.server.web.monitoring.drift_map import tell_drift, tone_of
from penstock.server.web.monitoring.performance import around, draw_performance
from penstock.server.web.monitoring.pictures import picture_column, picture_spreads
from penstock.server.web.monitoring.watched import get_watched
from penstock.server.web.words.windows import column_page, middle, span, tell_window, window_page

AROUND = 30  # windows on either side that are drawn
HISTORY = 10_000


def show_window(context: PageContext, request: Request) -> Response:
    """One window: what came in, how it was answered, and each column beside the reference."""
    window = get_window(context, request)
    near = _neighbours(context, window)
    found = read_distributions(context, window)
    watched = get_watched(context, window.deployment)
    alerts = context.services.monitoring.list_alerts(window.deployment, limit=200)
    pictures = [
        picture_column(window.deployment, window.start, drift, held.spread if held else None)
        for drift in sorted(window.drift, key=by_oddity)
        for held in [found.columns.get(drift.column)]
    ]
    return context.renderer.page(
        request,
        "window.html",
        title=f"{window.deployment}, {tell_window(window)}",
        section="/deployments",
        window=window,
        is_external=watched.is_external,
        when=tell_window(window),
        pictures=pictures,
        found=found,
        alerts=[alert for alert in alerts if alert.window_start == window.start],
        performance=draw_performance(near, alerts, watched.project, told=window),
        turn=_find_neighbours(near, window, ""),
    )


def show_column(context: PageContext, request: Request) -> Response:
    """One column of a window: reference against now, and how it moved over the windows around."""
    window, name = get_window(context, request), request.path_params["column"]
    drift = next((held for held in window.drift if held.column == name), None)
    if drift is None:
        known = ", ".join(held.column for held in window.drift) or "none"
        raise NotFoundError(f"{window.ref} has no column {name!r}", hint=f"its columns are {known}")
    near = _neighbours(context, window)
    found = read_distributions(context, window)
    held = found.columns.get(name)
    return context.renderer.page(
        request,
        "column.html",
        title=f"{name}, {tell_window(window)}",
        section="/deployments",
        window=window,
        when=tell_window(window),
        drift=drift,
        tone=tone_of(drift),
        told=tell_drift(drift),
        found=found,
        held=held,
        pictures=picture_spreads(held, name) if held else [],
        history=_draw_history(near, window, name),
        others=sorted((one for one in window.drift if one.column != name and one.drifted), key=by_oddity),
        link=lambda column: column_page(window.deployment, window.start, column),
        turn=_find_neighbours(near, window, name),
    )


def read_distributions(context: PageContext, window: Window) -> WindowDistributions:
    """The columns of a window beside the reference; remembered by its edition."""
    from penstock.server.web.monitoring import distributions  # data frames: 0.3 s of a server's start

    place = (window.deployment, window.start, window.edition)
    found: WindowDistributions = context.distributions.get(
        place, lambda: distributions.read_distributions(context.services, window)
    )
    return found


def get_window(context: PageContext, request: Request) -> Window:
    """The window that a page's address names.

    Raises:
        NotFoundError: there is none, or this is no moment.
    """
    deployment, text = request.path_params["deployment"], request.path_params["start"]
    get_watched(context, deployment)
    hint = f"/deployments/{deployment}/monitoring lists them"
    try:
        start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise NotFoundError(f"{text[:30]!r} is no start of a window", hint=hint) from None
    db = context.services.monitoring.db
    window = db.read(MonitoringStore(db).find_window, deployment, start)
    if window is None:
        raise NotFoundError(f"{deployment} has no window that starts at {name_start(start)}", hint=hint)
    return window


def _neighbours(context: PageContext, window: Window) -> list[Window]:
    """The windows around one, itself among them."""
    windows = context.windows.read(context.services.monitoring, window.deployment, HISTORY)
    place = next((place for place, held in enumerate(windows) if held.start == window.start), None)
    if place is None:
        return [window]
    return windows[max(place - AROUND, 0) : place + AROUND + 1]


def _find_neighbours(near: Sequence[Window], window: Window, column: str) -> dict[str, str]:
    """The pages of the windows before and after, about the same column."""
    starts = [held.start for held in near]
    place = starts.index(window.start)

    def lead(to: int) -> str:
        if not 0 <= to < len(near):
            return ""
        has_column = column and any(held.column == column for held in near[to].drift)
        name = window.deployment
        return column_page(name, starts[to], column) if has_column else window_page(name, starts[to])

    return {"before": lead(place - 1), "after": lead(place + 1)}


def _draw_history(near: Sequence[Window], window: Window, name: str) -> Markup:
    """How far the column was from the reference in each window around."""
    points, marks = [], [Mark(middle(window), "here", "this window", tell_window(window))]
    for held in near:
        drift = next((one for one in held.drift if one.column == name), None)
        if drift is not None and drift.distance is not None:
            link = column_page(held.deployment, held.start, name)
            told = f"{tell_window(held)}: {tell_drift(drift)}"
            points.append(Point(middle(held), drift.distance, note=told, link=link))
            if drift.drifted:
                marks.append(Mark(middle(held), "drifted", "drifted", told))
    series = [Series("distance from the reference", points)]

    def draw(windows: Sequence[Window], area: Area) -> Markup:
        title, ends = f"Distance of {name}", span(windows)
        return line_chart(
            series, title=title, unit="distance", area=area, marks=marks, span=ends, from_zero=True, most=1.0
        )

    return on_either(draw(near, MAP), draw(around(near, window), NARROW))


def by_oddity(drift: ColumnDrift) -> tuple[bool, float, str]:
    """Less for what moved more."""
    return not drift.drifted, 2.0 if drift.p_value is None else drift.p_value, drift.column
