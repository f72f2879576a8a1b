"""`penstock data pull`: versions come from a store that others pushed to."""

from pathlib import Path

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
from penstock.datasets.workspace.pointers import load_pointers
from penstock.datasets.workspace.workspace import find_root
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
    """Fetch versions from a remote store: what penstock.data names, the newest of datasets; only what is missing."""
    blobs = open_remote_blobs(remote)
    pointers = [
        pointer
        for pointer in load_pointers(find_root(Path.cwd())).values()
        if not names or {pointer.path, pointer.dataset} & set(names)
    ]
    others = [name for name in names or [] if not any(name in (each.path, each.dataset) for each in pointers)]
    with open_services(url) as services:
        versions = find_versions(services, others, newest_only=not all_versions) if others or not names else {}
        trees = sorted({*versions.values(), *(pointer.tree for pointer in pointers)})
        hints = {pack for roots in read_roots(blobs).values() for pack in roots.hints_for(trees)}
        with showing("pulling", is_quiet=json) as tell:
            done = pull_objects(services.objects.blobs, blobs, trees, tell, hints=hints)
    if json:
        paths = [pointer.path for pointer in pointers]
        print_json({"versions": sorted(map(str, versions)), "paths": paths, **figures(done)})
        return
    console.print(tell_transfer(done, "pulled", len(trees), "here"))
