"""`penstock data push`: versions go to a store that others can reach."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.recording import record_unknown
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
from penstock.datasets.workspace.pointers import FILE_NAME, load_pointers
from penstock.datasets.workspace.workspace import find_root
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
    """Copy versions to a remote store: all of the datasets named, or of all datasets; only what is missing there.

    What `penstock.data` names and no version is, as Git merged it, becomes one before.
    """
    blobs = open_remote_blobs(remote)
    pointers = [
        pointer
        for pointer in load_pointers(find_root(Path.cwd())).values()
        if not names or pointer.dataset in {name.partition("@")[0] for name in names}
    ]
    with open_services(url) as services:
        here = [pointer for pointer in pointers if services.objects.has(pointer.tree)]  # the others came with a clone
        merged = record_unknown(services.datasets, here)
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
        recorded = [str(version.ref) for version in merged]
        print_json({"versions": sorted(map(str, versions)), "recorded": recorded, **figures(done)})
        return
    for version in merged:
        console.print(f"recorded {version.dataset} version {version.version}, as {FILE_NAME} has it")
    console.print(tell_transfer(done, "pushed", len(versions), "there"))
