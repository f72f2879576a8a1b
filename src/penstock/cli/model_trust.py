"""`penstock models trust`, `distrust`, `sign`, `verify` and `keys`: who vouches for a model's code and files."""

import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import typer
from msgspec import Struct

from penstock.catalogue.services import Services
from penstock.cli.apps import group_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import print_json, print_table
from penstock.cli.session import open_home, open_project
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.registry.loading import digest_folder
from penstock.registry.signing import bundle
from penstock.registry.signing.keys import SigningKey, open_own_key, read_public_key, read_signing_key
from penstock.registry.signing.manifest import FILE, AlteredError, read_folder, read_tree
from penstock.registry.trust.checking import check_folder, check_signatures
from penstock.registry.trust.types import Signer, Standing
from penstock.sdk.load import own_config

TARGET = "A version's number, an alias, models:/NAME/VERSION, a model directory, or its digest."
_DIGEST = re.compile(r"[0-9a-f]{64}")

keys = group_app("The keys whose signatures of models count.")


class Target(Struct, frozen=True):
    """What a command is about."""

    name: str
    tree: Digest
    folder: Path | None = None  # where it is no registered version


def trust(
    target: str = typer.Argument(help=TARGET),
    reason: str = typer.Option(..., help="Why its code may run, for the record."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Vouch for the code of a model: it may run, in a process without network and secrets."""
    with open_home(None, url, may_be_new=True) as services:
        found = find_target(services, target, model)
        decision = services.trust.trust(found.tree, reason)
    if json:
        print_json(decision)
        return
    typer.echo(f"the code of {found.name} may run now, in a process without network and secrets")


def distrust(
    target: str = typer.Argument(help=TARGET),
    reason: str = typer.Option(..., help="Why its code may not run, for the record."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Withdraw the trust in the code of a model; it is not loaded any more."""
    with open_home(None, url, may_be_new=True) as services:
        found = find_target(services, target, model)
        decision = services.trust.distrust(found.tree, reason)
    if json:
        print_json(decision)
        return
    typer.echo(f"{found.name} is not loaded any more; where it answers now, roll back: penstock rollback")


def sign(
    target: str = typer.Argument(help=TARGET),
    key: Path = typer.Option(None, help="A private key in PEM. [default: this penstock's own]"),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Sign a version, or a model directory, which then carries the signature in its file model.sig."""
    with_key = open_own_key(own_config().home) if key is None else read_signing_key(key)
    with open_home(None, url, may_be_new=True) as services:
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


def verify(
    target: str = typer.Argument(help=TARGET),
    key: Path = typer.Option(None, help="Only this public key in PEM counts. [default: those of 'models keys']"),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """See that a version, or a model directory, is what was signed; a file that is not is named."""
    with open_home(None, url, may_be_new=True) as services:
        found = find_target(services, target, model)
        standing = services.trust.get_standing(found.tree)
        if key is not None:
            standing = _only(standing, key)
        if found.folder is not None:
            signer = check_folder(found.folder, standing, found.name)
        else:
            signer = check_signatures(
                [held.bundle for held in standing.signatures],
                standing.signers,
                lambda algorithm: read_tree(services.objects, found.tree, found.name, algorithm),
                found.name,
            )
    if not signer:
        raise AlteredError(f"{found.name} is not signed", hint=f"penstock models sign {target}")
    if json:
        print_json({"target": found.name, "tree": found.tree, "signed_by": signer})
        return
    typer.echo(f"{found.name} is what {signer} signed")


@keys.command("list")
def list_keys(json: bool = JsonOption, url: str = UrlOption) -> None:
    """Whose signatures count."""
    with open_home(None, url, may_be_new=True) as services:
        signers = services.trust.list_signers()
    if json:
        print_json(signers)
        return
    rows = [(held.name, held.fingerprint[:16], held.added_at, held.added_by) for held in signers]
    print_table(["name", "key", "added (UTC)", "by"], rows, empty="No key counts yet; the first version adds our own.")


@keys.command("add")
def add_key(
    name: str = typer.Argument(help="Whose key it is."),
    public_key: Path = typer.Argument(help="A public EC key, a file in PEM."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Let the signatures of a key count."""
    with open_home(None, url, may_be_new=True) as services:
        signer = services.trust.add_signer(name, _read(public_key))
    if json:
        print_json(signer)
        return
    typer.echo(f"signatures of {name} count now (key {signer.fingerprint[:16]})")


@keys.command("remove")
def remove_key(
    key: str = typer.Argument(help="How its fingerprint begins; 'penstock models keys list' shows them."),
    reason: str = typer.Option("", help="For the record."),
    url: str = UrlOption,
) -> None:
    """Let the signatures of a key count no more: what only it has signed is refused from then on."""
    with open_home(None, url, may_be_new=True) as services:
        services.trust.remove_signer(key, reason)
    typer.echo(f"signatures of the key {key} count no more")


def find_target(services: Services, target: str, model: str) -> Target:
    """What the target of a command means.

    Raises:
        NotFoundError: there is no such version or folder.
    """
    if _DIGEST.fullmatch(target):
        return Target(target, Digest(target))
    folder = Path(target)
    if not target.startswith("models:/") and folder.is_dir():
        return Target(target, digest_folder(folder), folder)
    if "/" in target and not target.startswith("models:/"):
        raise NotFoundError(f"there is no model directory {target}")
    named = target
    if not target.startswith("models:/"):
        name = model or open_project().name
        named = f"models:/{name}/{target}" if target.isdigit() else f"models:/{name}@{target}"
    version = services.registry.resolve(named)
    return Target(version.uri, version.get_tree())


def tell_standing(standing: Standing | None) -> list[tuple[str, object]]:
    """Who vouches for a version, as facts of its page; what nobody has said is left out."""
    if standing is None:
        return []
    names = {held.fingerprint: held.name for held in standing.signers}
    signed = [names.get(held.signer, f"a key that counts no more ({held.signer[:16]})") for held in standing.signatures]
    facts: list[tuple[str, object]] = [("signed by", ", ".join(signed))]
    if standing.decision is not None:
        word = "trusted" if standing.decision.trusted else "not trusted"
        facts.append(("its code", f"{word} by {standing.decision.actor}: {standing.decision.reason}"))
    return [(name, value) for name, value in facts if value]


def _let_count(services: Services, key: SigningKey) -> None:
    """Our own key counts from its first signature on."""
    if key.public.fingerprint not in {held.fingerprint for held in services.trust.list_signers()}:
        services.trust.add_signer(f"penstock on {socket.gethostname()}", key.public.pem)


def _only(standing: Standing, path: Path) -> Standing:
    key = read_public_key(_read(path))
    now = datetime.now(UTC)
    held = Signer(fingerprint=key.fingerprint, name=str(path), public_key=key.pem, added_at=now, added_by="")
    return Standing(
        tree=standing.tree,
        signatures=tuple(one for one in standing.signatures if one.signer == key.fingerprint),
        signers=(held,),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the key {path} cannot be read: {error}") from error
