"""`penstock tokens`: who may come in."""

from pathlib import Path

import typer

from penstock.cli.apps import group_app
from penstock.cli.options import HomeOption, JsonOption, UrlOption
from penstock.cli.output import ago, console, print_json, print_table
from penstock.cli.session import open_home
from penstock.core.clock import parse_duration
from penstock.core.errors import InvalidInputError
from penstock.core.identity import Role
from penstock.governance.tokens.types import Token

app = group_app("Make, list and revoke the tokens of a server.")
_ROLES = [role.name.lower() for role in Role if role is not Role.NOBODY]


@app.command()
def create(
    name: str = typer.Argument(help="Of whoever will use it; the audit log has what is done with it under this name."),
    role: str = typer.Option("contributor", help=f"How much it may do: {', '.join(_ROLES)}."),
    expires: str = typer.Option("", help="After how long it ends, such as 90d. [default: when it is revoked]"),
    home: Path = HomeOption,
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Make a token and print it, for the only time; from the first one on, the server asks everybody for one."""
    if role not in _ROLES:
        raise InvalidInputError(f"there is no role {role!r}", hint=f"choose from {', '.join(_ROLES)}")
    try:
        lifetime_s = parse_duration(expires).total_seconds() if expires else None
    except ValueError as error:
        raise InvalidInputError(f"--expires: {error}") from error
    with open_home(home, url, may_be_new=True) as services:
        made = services.tokens.create_token(name, role, lifetime_s)  # type: ignore[arg-type]  # one of the roles
    if json:
        print_json(made)
        return
    typer.echo(made.secret)
    console.print("[dim]Keep it: only its hash is kept here. A client shows it as MLFLOW_TRACKING_TOKEN or")
    console.print("PENSTOCK_TOKEN, a person on the page /sign-in.[/dim]")


@app.command("list")
def list_tokens(home: Path = HomeOption, json: bool = JsonOption, url: str = UrlOption) -> None:
    """Every token there ever was, without its secret."""
    with open_home(home, url, may_be_new=True) as services:
        tokens = services.tokens.list_tokens()
    if json:
        print_json(tokens)
        return
    rows = [
        (t.name, t.role, _state(t), t.last_used_at and ago(t.last_used_at), t.created_at, t.created_by, t.id)
        for t in tokens
    ]
    columns = ["name", "role", "state", "last used", "made (UTC)", "by", "id"]
    print_table(columns, rows, empty="No token yet; 'penstock tokens create NAME' makes one.")


@app.command()
def revoke(
    name: str = typer.Argument(help="The token's name or id."),
    home: Path = HomeOption,
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """End a token: within a second it opens nothing, nor do the browsers that signed in with it."""
    with open_home(home, url, may_be_new=True) as services:
        token = services.tokens.revoke_token(name)
    if json:
        print_json(token)
    else:
        console.print(f"revoked {token.name} ({token.id})")


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return f"revoked {ago(token.revoked_at)}"
    return "good" if token.expires_at is None else f"until {token.expires_at:%Y-%m-%d %H:%M}"
