"""`penstock data pull`: versions come from a store that others pushed to."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.remotes import (
    NamesArgument,
    RemoteOption,
    figures,
    find_versions,
    open_remote_blobs,
    showing,
)
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import amount, console, print_json
from penstock.cli.session import open_services
from penstock.storage.objects.transfer.copying import pull as pull_objects
from penstock.storage.objects.transfer.roots import read_roots

app = command_app()


@app.command()
def pull(
    names: list[str] | None = NamesArgument,
    remote: str = RemoteOption,
    all_versions: bool = typer.Option(False, "--all-versions", help="Every version, not only the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Fetch versions from a remote store: the newest of the datasets named, or of all; only what is missing here."""
    blobs = open_remote_blobs(remote)
    with open_services(url) as services:
        versions = find_versions(services, names or [], newest_only=not all_versions)
        trees = sorted(set(versions.values()))
        hints = {pack for roots in read_roots(blobs).values() for pack in roots.hints_for(trees)}
        with showing("pulling", is_quiet=json) as tell:
            done = pull_objects(services.objects.blobs, blobs, trees, tell, hints=hints)
    if json:
        print_json({"versions": sorted(map(str, versions)), **figures(done)})
        return
    fetched = (
        f"{amount(done.size)} in {done.packs} pack{'s' * (done.packs != 1)}"
        if done.packs
        else "nothing was missing here"
    )
    console.print(f"pulled {len(versions)} version{'s' * (len(versions) != 1)}: {fetched}")
