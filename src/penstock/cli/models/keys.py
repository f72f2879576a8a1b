"""`penstock models keys`: whose signatures of models count."""

from pathlib import Path

import typer

from penstock.cli.apps import group_app
from penstock.cli.models.target import read_key_file
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import print_json, print_table
from penstock.cli.session import open_nearby

app = group_app("The keys whose signatures of models count.")


@app.command("list")
def list_keys(json: bool = JsonOption, url: str = UrlOption) -> None:
    """Whose signatures count."""
    with open_nearby(url, may_be_new=True) as services:
        signers = services.trust.list_signers()
    if json:
        print_json(signers)
        return
    rows = [(held.name, held.fingerprint[:16], held.added_at, held.added_by) for held in signers]
    print_table(["name", "key", "added (UTC)", "by"], rows, empty="No key counts yet; the first version adds our own.")


@app.command("add")
def add_key(
    name: str = typer.Argument(help="Whose key it is."),
    public_key: Path = typer.Argument(help="A public EC key, a file in PEM."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Let the signatures of a key count."""
    with open_nearby(url, may_be_new=True) as services:
        signer = services.trust.add_signer(name, read_key_file(public_key))
    if json:
        print_json(signer)
        return
    typer.echo(f"signatures of {name} count now (key {signer.fingerprint[:16]})")


@app.command("remove")
def remove_key(
    key: str = typer.Argument(help="How its fingerprint begins; 'penstock models keys list' shows them."),
    reason: str = typer.Option("", help="For the record."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Let the signatures of a key count no more: what only it has signed is refused from then on."""
    with open_nearby(url, may_be_new=True) as services:
        services.trust.remove_signer(key, reason)
    if json:
        print_json({"removed": key})
        return
    typer.echo(f"signatures of the key {key} count no more")
