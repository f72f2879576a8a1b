"""The table of runs: filtered, ordered and with the columns that its address names, read a page at a time."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from urllib.parse import urlencode

from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.errors import InvalidInputError
from penstock.server.web.context import PageContext
from penstock.server.web.words.formats import NOTHING, format_measure
from penstock.server.web.words.statuses import status_tone
from penstock.tracking.types import Run, RunPage, View

PAGE_SIZE = 100
FEW_COLUMNS = 5  # of metrics, where nobody chose any
MOST_COLUMNS = 40
EXPERIMENTS_SHOWN = 1_000
NEWEST_FIRST = "attributes.start_time DESC"
_CLIENT_TAGS = "mlflow."  # bookkeeping of clients, offered last
_PARTS = ("metrics", "params", "tags")


class Choice(Struct, frozen=True, kw_only=True):
    """What the address asks for; every view of the table is one of these."""

    experiment: str = ""
    filter: str = ""
    order: str = ""
    view: View = View.ACTIVE
    columns: tuple[str, ...] = ()  # `metrics.KEY`, `params.KEY`, `tags.KEY`

    def link(self, **more: str) -> str:
        """The address of this view."""
        pairs = [("experiment", self.experiment), ("filter", self.filter), ("order", self.order)]
        pairs += [("view", "" if self.view is View.ACTIVE else self.view.value)]
        pairs += [("column", column) for column in self.columns]
        asked = urlencode([(name, value) for name, value in [*pairs, *more.items()] if value])
        return f"/runs?{asked}" if asked else "/runs"


class Column(Struct, frozen=True):
    """A column of the table, with the link that orders by it."""

    name: str
    link: str  # empty: nothing can be ordered by it
    direction: str = ""  # `ascending` or `descending`, where the table is ordered by it
    is_number: bool = False


class Row(Struct, frozen=True):
    """A run with the texts of the chosen columns."""

    run: Run
    took: timedelta | None
    cells: list[str]


def list_runs(context: PageContext, request: Request) -> Response:
    """Runs of one experiment or all; `part=rows` asks for the rows alone, which a table that is scrolled adds."""
    choice = read_choice(request)
    found, refusal = _search(context, choice, request.query_params.get("after", ""))
    chosen = choice.columns or tuple(_common_metrics(found.runs))
    shown = structs.replace(choice, columns=chosen)
    values = {
        "rows": [_to_row(run, chosen) for run in found.runs],
        "columns": chosen,
        "more": shown.link(after=found.next) if found.next else "",
        "experiment": choice.experiment,
        "tone": status_tone,
    }
    if request.query_params.get("part") == "rows":
        return context.renderer.page(request, "run_rows.html", status=422 if refusal else 200, **values)
    return context.renderer.page(
        request,
        "runs.html",
        status=422 if refusal else 200,
        title="Runs",
        choice=choice,
        refusal=refusal,
        heads=_heads(choice, chosen),
        offered=_offer(found.runs, chosen),
        experiments=context.services.experiments.list_experiments(EXPERIMENTS_SHOWN),
        views=[(view, structs.replace(choice, view=view).link()) for view in (View.ACTIVE, View.DELETED)],
        plain=structs.replace(choice, filter="", order="").link(),
        is_later=bool(request.query_params.get("after")),
        first=choice.link(),
        **values,
    )


def read_choice(request: Request) -> Choice:
    """The view that an address asks for; columns that make no sense are passed over."""
    asked = request.query_params
    columns = [column for column in asked.getlist("column") if _split(column)[0] in _PARTS and _split(column)[1]]
    view = asked.get("view", "")
    return Choice(
        experiment=asked.get("experiment", ""),
        filter=asked.get("filter", "").strip(),
        order=asked.get("order", "").strip(),
        view=View(view) if view in list(View) else View.ACTIVE,
        columns=tuple(dict.fromkeys(columns))[:MOST_COLUMNS],
    )


def _search(context: PageContext, choice: Choice, after: str) -> tuple[RunPage, InvalidInputError | None]:
    """A page of runs, or why the filter, the order or the place cannot be read."""
    try:
        found = context.services.tracking.search_runs(
            choice.filter,
            [choice.order] if choice.order else [],
            [choice.experiment] if choice.experiment else [],
            PAGE_SIZE,
            after,
            choice.view,
        )
    except InvalidInputError as error:
        return RunPage((), ""), error
    return found, None


def _heads(choice: Choice, columns: Sequence[str]) -> list[Column]:
    heads = [
        _head(choice, "Run", "attributes.run_name"),
        *([] if choice.experiment else [Column("Experiment", "")]),
        _head(choice, "Status", "attributes.status"),
        _head(choice, "Started", "attributes.start_time", is_first_descending=True),
        Column("Took", "", is_number=True),
    ]
    for column in columns:
        part, key = _split(column)
        order = f"{part}.{_quote(key)}" if _quote(key) else ""
        is_metric = part == "metrics"
        heads.append(_head(choice, key, order, is_number=is_metric, is_first_descending=is_metric))
    return heads


def _head(
    choice: Choice, name: str, order: str, *, is_number: bool = False, is_first_descending: bool = False
) -> Column:
    """A column; following its link once orders by it, and once more the other way round."""
    if not order:
        return Column(name, "", "", is_number)
    now = choice.order or NEWEST_FIRST
    key, _, direction = now.rpartition(" ")
    key, direction = (key, direction.upper()) if direction.upper() in ("ASC", "DESC") else (now, "ASC")
    is_current = key == order
    following = ("ASC" if direction == "DESC" else "DESC") if is_current else "DESC" if is_first_descending else "ASC"
    link = structs.replace(choice, order=f"{order} {following}").link()
    told = {"ASC": "ascending", "DESC": "descending"}[direction] if is_current else ""
    return Column(name, link, told, is_number)


def _quote(key: str) -> str:
    """A key as filters write it; empty where they cannot."""
    if key.replace("_", "").isalnum() and key.isascii():
        return key
    return f"`{key}`" if "`" not in key else f'"{key}"' if '"' not in key else ""


def _to_row(run: Run, columns: Iterable[str]) -> Row:
    return Row(run, run.ended_at - run.started_at if run.ended_at else None, [_cell(run, column) for column in columns])


def _cell(run: Run, column: str) -> str:
    part, key = _split(column)
    if part == "metrics":
        return format_measure(run.metrics[key].number) if key in run.metrics else NOTHING
    return (run.params if part == "params" else run.tags).get(key, NOTHING)


def _split(column: str) -> tuple[str, str]:
    part, _, key = column.partition(".")
    return part, key


def _common_metrics(runs: Sequence[Run]) -> list[str]:
    """The metrics that most of these runs have."""
    counts: dict[str, int] = {}
    for run in runs:
        for key in run.metrics:
            counts[key] = counts.get(key, 0) + 1
    return [f"metrics.{key}" for key in sorted(sorted(counts), key=lambda key: -counts[key])[:FEW_COLUMNS]]


def _offer(runs: Sequence[Run], chosen: Sequence[str]) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """The columns that can be chosen, by part: what these runs have, and what is chosen already."""
    found: dict[str, set[str]] = {part: set() for part in _PARTS}
    for run in runs:
        found["metrics"].update(run.metrics)
        found["params"].update(run.params)
        found["tags"].update(run.tags)
    for column in chosen:
        part, key = _split(column)
        found[part].add(key)
    ordered = {part: sorted(keys, key=lambda key: (key.startswith(_CLIENT_TAGS), key)) for part, keys in found.items()}
    return [
        (part, [(f"{part}.{key}", key, f"{part}.{key}" in chosen) for key in keys]) for part, keys in ordered.items()
    ]
