"""`penstock data push`: versions go to a store that others can reach."""

from datetime import UTC, datetime

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.remotes import (
    NamesArgument,
    RemoteOption,
    figures,
    find_versions,
    open_remote_blobs,
    showing,
    tell_transfer,
)
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_services
from penstock.storage.objects.collection.owner import Owner, take_store
from penstock.storage.objects.transfer.copying import push as push_objects
from penstock.storage.objects.transfer.roots import Push, add_roots

app = command_app()


@app.command()
def push(
    names: list[str] | None = NamesArgument,
    remote: str = RemoteOption,
    everything: bool = typer.Option(
        False, "--everything", help="Also artifacts, models and predictions: a whole copy."
    ),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Copy versions to a remote store: all of the datasets named, or of all datasets; only what is missing there."""
    blobs = open_remote_blobs(remote)
    with open_services(url) as services:
        versions = find_versions(services, names or [], newest_only=False)
        references = {(each.owner, each.digest) for each in services.upkeep.list_references()}
        roots = references if everything else set(versions.items())
        is_new = next(blobs.list_keys(""), None) is None
        with showing("pushing", is_quiet=json) as tell:
            done = push_objects(services.objects.blobs, blobs, sorted({digest for _, digest in roots}), tell)
        database = services.upkeep.get_database_id()
        if is_new:
            take_store(blobs, Owner(database, services.place, datetime.now(UTC)))
        add_roots(blobs, database, Push(datetime.now(UTC), done.held_by), roots, references | roots)
    if json:
        print_json({"versions": sorted(map(str, versions)), **figures(done)})
        return
    console.print(tell_transfer(done, "pushed", len(versions), "there"))
