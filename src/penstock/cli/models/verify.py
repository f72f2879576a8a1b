"""`penstock models verify`: whether a version or a model directory is what was signed."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.models.target import TARGET, find_target, read_key_file
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import print_json
from penstock.cli.session import open_nearby
from penstock.registry.signing.keys import read_public_key
from penstock.registry.signing.manifest import AlteredError, read_tree
from penstock.registry.trust.checking import check_folder, check_signatures
from penstock.registry.trust.types import Signer, Standing

app = command_app()


@app.command()
def verify(
    target: str = typer.Argument(help=TARGET),
    key: Path = typer.Option(None, help="Only this public key in PEM counts. [default: those of 'models keys']"),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """See that a version, or a model directory, is what was signed; a file that is not is named."""
    with open_nearby(url, may_be_new=True) as services:
        found = find_target(services, target, model)
        standing = services.trust.get_standing(found.tree)
        if key is not None:
            standing = _only(standing, key)
        if found.folder is not None:
            signer = check_folder(found.folder, standing, found.name)
        else:
            signers = check_signatures(
                [held.bundle for held in standing.signatures],
                standing.signers,
                lambda algorithm: read_tree(services.objects, found.tree, found.name, algorithm),
                found.name,
            )
            signer = next(iter(signers), "")
    if not signer:
        raise AlteredError(f"{found.name} is not signed", hint=f"penstock models sign {target}")
    if json:
        print_json({"target": found.name, "tree": found.tree, "signed_by": signer})
        return
    typer.echo(f"{found.name} is what {signer} signed")


def _only(standing: Standing, path: Path) -> Standing:
    key = read_public_key(read_key_file(path))
    now = datetime.now(UTC)
    held = Signer(fingerprint=key.fingerprint, name=str(path), public_key=key.pem, added_at=now, added_by="")
    return Standing(
        tree=standing.tree,
        signatures=tuple(one for one in standing.signatures if one.signer == key.fingerprint),
        signers=(held,),
    )
