"""`penstock data log`: the versions there are."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.sections import DatasetArgument
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import ago, print_json, print_table
from penstock.cli.session import open_project, open_services

app = command_app()


@app.command()
def show_log(
    dataset: str = DatasetArgument,
    limit: int = typer.Option(20, help="How many versions, the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """The versions of a dataset, newest first."""
    names = [dataset] if dataset else list(open_project().data)
    with open_services(url) as services:
        versions = [version for name in names for version in services.datasets.list_versions(name, limit)]
    if json:
        print_json(versions)
        return
    rows = [(v.dataset, v.version, v.rows, v.size, v.time_end, ago(v.created_at), v.tree[:12]) for v in versions]
    print_table(
        ["dataset", ">version", ">rows", ">bytes", "newest row (UTC)", "added", "digest"],
        rows,
        empty="No version yet; 'penstock data add' takes in the sources of penstock.toml.",
    )
