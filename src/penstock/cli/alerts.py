"""`penstock alerts`: incidents, who was told of them, and what people say to them."""

import time
from datetime import UTC, datetime

import typer
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import group_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import ago, console, print_json, print_table
from penstock.cli.session import open_project, open_services
from penstock.core.clock import parse_duration
from penstock.core.errors import InvalidInputError, NotFoundError, UnavailableError
from penstock.monitoring.incidents.types import Delivery, Incident, Silence

app = group_app("Incidents: who was told, acknowledge, silence, resolve.")

IncidentArgument = typer.Argument(help="Its id, or as much of its end as only it has.")
STATUSES = ("unresolved", "open", "acknowledged", "resolved")
TEST_WAIT_S = 60.0
SHORT = 8  # characters of an id that people are shown


@app.command("list")
def list_incidents(
    status: str = typer.Option("", help=f"Only these: {', '.join(STATUSES)}. [default: all]"),
    deployment: str = typer.Option("", help="Only of this deployment. [default: the project's own, all of a server]"),
    limit: int = typer.Option(20, help="How many, the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """The newest incidents."""
    if status and status not in STATUSES:
        raise InvalidInputError(f"there is no status {status!r}", hint=f"choose from {', '.join(STATUSES)}")
    name = deployment or ("" if url else open_project().name)
    with open_services(url) as services:
        incidents = services.incidents.list_incidents(name, status, limit)  # type: ignore[arg-type]  # one of them
    if json:
        print_json(incidents)
        return
    rows = [(_short(i), i.severity, i.status, ago(i.opened_at), ", ".join(i.kinds), i.summary) for i in incidents]
    columns = ["incident", "severity", "status", "opened", "about", "what was seen"]
    print_table(columns, rows, empty="No incident.")


@app.command()
def show(incident: str = IncidentArgument, json: bool = JsonOption, url: str = UrlOption) -> None:
    """One incident: what speaks for it, and who was told."""
    with open_services(url) as services:
        story = services.incidents.get_incident(_find(services, incident))
    if json:
        print_json(story)
        return
    found = story.incident
    console.print(f"[bold]{found.severity}[/bold] of {found.deployment}, {found.status}: {escape(found.summary)}")
    console.print(f"[dim]incident {found.id}, opened {found.opened_at:%Y-%m-%d %H:%M} UTC[/dim]")
    if found.labels:
        console.print(f"about {escape(', '.join(found.labels))}")
    if found.acknowledged_at is not None:
        console.print(f"acknowledged by {escape(found.acknowledged_by)}: {escape(found.note or 'no word')}")
    if found.is_resolved:
        console.print(f"resolved by {escape(found.resolved_by)}: {escape(found.resolution)}")
    console.print()
    print_table(
        ["what", "from (event time)", "speaks", "what was seen"],
        [(s.kind, s.since, f"no more: {s.ended}" if s.ended_at else "yes", s.summary) for s in story.signals],
        empty="",
    )
    console.print()
    _print_deliveries(story.deliveries, "Nobody was told; [[alert]] in penstock.toml says who is.")


@app.command()
def ack(
    incident: str = IncidentArgument,
    note: str = typer.Option("", help="What you do about it, for the others."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Say that you look after it: it is not escalated any more."""
    with open_services(url) as services:
        found = services.incidents.acknowledge_incident(_find(services, incident), note)
    if json:
        print_json(found)
    else:
        console.print(f"incident {_short(found)} is yours, {escape(found.acknowledged_by)}")


@app.command()
def resolve(
    incident: str = IncidentArgument,
    reason: str = typer.Option(help="Why it is none any more."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Close it by hand, and its alerts with it."""
    with open_services(url) as services:
        found = services.incidents.resolve_incident(_find(services, incident), reason)
    if json:
        print_json(found)
    else:
        console.print(f"incident {_short(found)} is resolved")


@app.command()
def silence(
    lasting: str = typer.Option(help="For how long, such as 2h or 3d."),
    reason: str = typer.Option(help="Why."),
    deployment: str = typer.Option("", help="Only of this deployment. [default: the project's own, all of a server]"),
    kind: str = typer.Option("", help="Only incidents of this kind alone, such as drift."),
    label: str = typer.Option("", help="Only incidents about this, such as column:price."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Send nothing for a while; what is still open when it ends is told then."""
    try:
        until = datetime.now(UTC) + parse_duration(lasting)
    except ValueError as error:
        raise InvalidInputError(f"--lasting: {error}") from error
    name = deployment or ("" if url else open_project().name)
    with open_services(url) as services:
        made = services.incidents.silence(until, reason, name, kind, label)
    if json:
        print_json(made)
    else:
        console.print(f"silence {made.id} until {made.until:%Y-%m-%d %H:%M} UTC; 'penstock alerts unsilence' ends it")


@app.command()
def silences(
    all_: bool = typer.Option(False, "--all", help="Those that have ended, too."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """What is silenced now."""
    with open_services(url) as services:
        found = services.incidents.list_silences(running=not all_)
    if json:
        print_json(found)
        return
    rows = [
        (s.id, s.deployment or "all", s.kind or "all", s.label or "all", _end(s), s.created_by, s.reason) for s in found
    ]
    columns = ["silence", "deployment", "kind", "label", "until (UTC)", "by", "reason"]
    print_table(columns, rows, empty="Nothing is silenced.")


@app.command()
def unsilence(silence: str = typer.Argument(help="Its id."), json: bool = JsonOption, url: str = UrlOption) -> None:
    """End a silence before its time."""
    with open_services(url) as services:
        ended = services.incidents.end_silence(silence)
    if json:
        print_json(ended)
    else:
        console.print(f"silence {ended.id} has ended")


@app.command()
def deliveries(
    status: str = typer.Option("", help="Only these: waiting, sent, dead. [default: all]"),
    limit: int = typer.Option(20, help="How many, the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """What was sent to whom, what waits, and what was given up."""
    if status and status not in ("waiting", "sent", "dead"):
        raise InvalidInputError(f"there is no status {status!r}", hint="choose from waiting, sent, dead")
    with open_services(url) as services:
        found = services.incidents.list_deliveries(status, limit)  # type: ignore[arg-type]  # one of them
    if json:
        print_json(found)
    else:
        _print_deliveries(found, "Nothing was sent yet.")


@app.command()
def retry(delivery: str = typer.Argument(help="Its id."), json: bool = JsonOption, url: str = UrlOption) -> None:
    """Send again what was given up."""
    with open_services(url) as services:
        found = services.incidents.retry_delivery(delivery)
    if json:
        print_json(found)
    else:
        console.print(f"delivery {found.id} is tried again")


@app.command()
def test(
    rule: str = typer.Argument("", help="The name of an [[alert]]. [default: all of penstock.toml]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Send a test message to the channels of this project; exit code 1 where one does not arrive."""
    project = open_project()
    names = [each.label for each in project.alerts if rule in ("", each.label)]
    if not names:
        known = ", ".join(each.label for each in project.alerts) or "none"
        raise NotFoundError(f"penstock.toml has no such [[alert]] {rule}".strip(), hint=f"known here: {known}")
    with open_services(url) as services:
        wanted = [services.incidents.request_test(project.name, name).id for name in names]
        found = _wait(services, wanted)
    if json:
        print_json(found)
    else:
        _print_deliveries(found, "")
    raise typer.Exit(any(delivery.status != "sent" for delivery in found))


def _wait(services: Services, wanted: list[str]) -> list[Delivery]:
    """The deliveries, once each was tried; the server sends them."""
    deadline = time.monotonic() + TEST_WAIT_S
    while True:
        found = [each for each in services.incidents.list_deliveries(limit=1_000) if each.id in wanted]
        if all(each.attempts for each in found):
            return found
        if time.monotonic() > deadline:
            raise UnavailableError("nobody sends alerts", hint="'penstock up' does, as long as it runs")
        time.sleep(0.2)


def _print_deliveries(found: list[Delivery], empty: str) -> None:
    rows = [(d.step, d.rule, d.status, d.attempts, d.sent_at, d.error or "-", d.id) for d in found]
    print_table(["message", "to", "status", ">tries", "sent (UTC)", "last error", "delivery"], rows, empty=empty)


def _find(services: Services, text: str) -> str:
    """The id of an incident that people call by the end of it."""
    found = {i.id for i in services.incidents.list_incidents(limit=1_000) if text and i.id.endswith(text)}
    if len(found) > 1:
        raise InvalidInputError(f"{len(found)} incidents end with {text!r}", hint="write more of its id")
    return found.pop() if found else text


def _short(incident: Incident) -> str:
    return incident.id[-SHORT:]


def _end(silence: Silence) -> str:
    return "ended" if silence.ended_at else f"{silence.until:%Y-%m-%d %H:%M}"
