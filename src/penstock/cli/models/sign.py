"""`penstock models sign`: a signature of a version or a model directory."""

import socket
from pathlib import Path

import typer

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.models.target import TARGET, find_target
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import print_json
from penstock.cli.session import open_nearby
from penstock.registry.signing import bundle
from penstock.registry.signing.keys import SigningKey, open_own_key, read_signing_key
from penstock.registry.signing.manifest import FILE, read_folder, read_tree
from penstock.sdk.load import own_config

app = command_app()


@app.command()
def sign(
    target: str = typer.Argument(help=TARGET),
    key: Path = typer.Option(None, help="A private key in PEM. [default: this penstock's own]"),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Sign a version, or a model directory, which then carries the signature in its file model.sig."""
    with_key = open_own_key(own_config().home) if key is None else read_signing_key(key)
    with open_nearby(url, may_be_new=True) as services:
        found = find_target(services, target, model)
        if key is None:
            _let_count(services, with_key)
        if found.folder is not None:
            text = bundle.sign(read_folder(found.folder), with_key)
            (found.folder / FILE).write_text(text)
        else:
            text = bundle.sign(read_tree(services.objects, found.tree, found.name), with_key)
            services.trust.record_signature(found.tree, text)
    if json:
        print_json({"target": found.name, "tree": found.tree, "signer": with_key.public.fingerprint})
        return
    typer.echo(f"{found.name} is signed with the key {with_key.public.fingerprint[:16]}")


def _let_count(services: Services, key: SigningKey) -> None:
    """Our own key counts from its first signature on."""
    if key.public.fingerprint not in {held.fingerprint for held in services.trust.list_signers()}:
        services.trust.add_signer(f"penstock on {socket.gethostname()}", key.public.pem)
