"""`penstock outcomes`: what really happened after predictions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import typer

from penstock.catalogue.services import Services
from penstock.cli.apps import group_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.outcome_files import CallerOutcome, Columns, read_outcomes
from penstock.cli.output import console, print_json, print_table
from penstock.cli.session import open_nearby, open_project
from penstock.core import codec
from penstock.core.clock import format_duration
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import PredictionId
from penstock.monitoring.types import DelayCurve
from penstock.predictions.types import EntityOutcome, Outcome, OutcomesAdded

app = group_app("Tell what really happened after predictions.")
BATCH = 5_000
SHARES = (0.5, 0.9, 0.95)


@app.callback()
def outcomes() -> None:
    """Tell what really happened after predictions."""


@app.command()
def add(
    file: str = typer.Argument(
        "", help="JSON Lines, or a CSV or Parquet table; '-' reads JSON Lines from standard input."
    ),
    prediction: str = typer.Option("", "--prediction", help="One prediction's id, instead of a file."),
    caller_id: str = typer.Option("", "--caller-id", help="What its caller called the request, instead of that."),
    value: str = typer.Option(
        "", "--value", help='Its outcome, as JSON: 1, "yes" or ["item-7"]; with a table, the column that holds it.'
    ),
    deployment: str = typer.Option("", help="Whose predictions these are. [default: the project's own]"),
    entity: str = typer.Option("", help="In a table: the column that says whom, as the key of the predictions does."),
    id: str = typer.Option("", "--id", help="In a table, in place of --entity: the column with prediction ids."),
    time: str = typer.Option("", help="In a table: the column that says when it happened."),
    days: int = typer.Option(30, min=1, help="How far back callers' ids are looked for."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Add outcomes; sending one twice changes nothing, and one for an unknown prediction waits for it.

    A line of JSON holds a value, maybe at, and one of prediction_id, caller_id and entity: the key of the predictions
    it is about. It then belongs to the last prediction before it, or as the project's [outcomes] say. A caller's id is
    looked up in the prediction log; where it is not there yet, nothing is added.
    """
    if bool(file) + bool(prediction) + bool(caller_id) != 1:
        raise InvalidInputError("name a file of outcomes, or one --prediction or --caller-id with its --value")
    columns = Columns(entity=entity or ("" if id else "entity"), id=id, value=value or "value", time=time or "at")
    found = read_outcomes(file, columns) if file else [_one(prediction, caller_id, value)]
    added = OutcomesAdded(0, 0)
    with open_nearby(url) as services:
        by_id = [item for item in found if isinstance(item, Outcome)]
        by_entity = [item for item in found if isinstance(item, EntityOutcome)]
        by_caller = [item for item in found if isinstance(item, CallerOutcome)]
        name = deployment or (open_project().name if by_entity or by_caller else "")
        by_id += _find(services, by_caller, name, datetime.now(UTC) - timedelta(days=days))
        for start in range(0, len(by_id), BATCH):
            added = _add(added, services.predictions.add_outcomes(by_id[start : start + BATCH]))
        for start in range(0, len(by_entity), BATCH):
            sent = services.predictions.add_entity_outcomes(name, by_entity[start : start + BATCH])
            added = _add(added, sent)
        if services.external.list_deployments():
            from penstock.sdk.monitor import work_off  # it brings polars

            work_off(services)
    if json:
        print_json(added)
        return
    _tell(added)


@app.command()
def delay(
    deployment: str = typer.Argument("", help="The deployment. [default: the project's own]"),
    by: str = typer.Option("", help="An input column that outcomes.by names: a curve for each of its values."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """How long outcomes take to be known, young predictions reckoned in (Kaplan-Meier)."""
    name = deployment or open_project().name
    with open_nearby(url) as services:
        curves = services.monitoring.get_label_delay(name, by)
    if json:
        print_json(curves)
        return
    rows = [
        (
            curve.value or "all",
            curve.predictions,
            curve.outcomes,
            *(_age(curve, share) for share in SHARES),
            _end(curve),
        )
        for curve in curves
    ]
    print_table(
        [
            by or "predictions",
            ">made",
            ">outcomes",
            *(f">{share:.0%} known by" for share in SHARES),
            ">known in the end",
        ],
        rows,
        empty="No window has closed yet, or nothing is counted by this column; see outcomes.by in the project file.",
    )


def _age(curve: DelayCurve, share: float) -> str:
    age = next((age for age, known in zip(curve.ages_s, curve.known, strict=True) if known >= share), None)
    return "-" if age is None else format_duration(timedelta(seconds=round(age)))


def _end(curve: DelayCurve) -> str:
    if not curve.known:
        return "none so far"
    return f"{curve.known[-1]:.0%}" if curve.is_complete else f"{curve.known[-1]:.0%} or more"


def _add(one: OutcomesAdded, other: OutcomesAdded) -> OutcomesAdded:
    return OutcomesAdded(
        accepted=one.accepted + other.accepted,
        repeated=one.repeated + other.repeated,
        unmatched=one.unmatched + other.unmatched,
        conflicting=one.conflicting + other.conflicting,
    )


def _tell(added: OutcomesAdded) -> None:
    waiting = f", {added.unmatched} of them wait for their prediction" if added.unmatched else ""
    noun = "outcome" if added.accepted == 1 else "outcomes"
    console.print(f"{added.accepted:,} {noun} added{waiting}; {added.repeated:,} known before")
    if added.conflicting:
        console.print(f"{added.conflicting:,} said something else of the same moment; the one that sorts last is kept")


def _find(services: Services, told: Sequence[CallerOutcome], deployment: str, since: datetime) -> list[Outcome]:
    """The outcomes, each with the id of its prediction.

    Raises:
        NotFoundError: a caller's id is not in the log.
    """
    if not told:
        return []
    from penstock.sdk.caller_ids import find_by_caller_id  # it brings polars

    known = find_by_caller_id(services, deployment, [item.caller_id for item in told], since)
    missing = [item.caller_id for item in told if item.caller_id not in known]
    if missing:
        raise NotFoundError(
            f"{len(missing)} of {len(told)} callers' ids are not in the prediction log, such as {missing[0]!r}",
            hint="send them again in some seconds; with --days, where the predictions are older",
        )
    return [Outcome(prediction_id=known[item.caller_id], value=item.value, at=item.at) for item in told]


def _one(prediction: str, caller_id: str, value: str) -> Outcome | CallerOutcome:
    try:
        parsed = codec.decode(value, object)
    except InvalidInputError:
        parsed = value  # a bare word is a text
    if caller_id:
        return CallerOutcome(caller_id, parsed, datetime.now(UTC))
    return Outcome(prediction_id=PredictionId(prediction), value=parsed, at=datetime.now(UTC))
