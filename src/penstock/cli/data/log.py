"""`penstock data log`: the versions there are."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.recording import has_datasets, open_datasets
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import ago, print_json, print_table
from penstock.datasets.types import VersionSummary

app = command_app()


@app.command()
def show_log(
    dataset: str = typer.Argument("", help="A dataset. [default: all of them]"),
    limit: int = typer.Option(20, help="How many versions, the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """The versions of a dataset, newest first."""
    versions: list[VersionSummary] = []
    if has_datasets(url):
        with open_datasets(url) as datasets:
            names = [dataset] if dataset else [each.name for each in datasets.list_datasets(1_000)]
            versions = [version for name in names for version in datasets.list_versions(name, limit)]
    if json:
        print_json(versions)
        return
    rows = [
        (
            each.dataset,
            each.version,
            f"{each.rows:,}" if each.rows else "-",
            f"{each.file_count:,}",
            f"{each.size:,}",
            each.time_end,
            ago(each.created_at),
            each.tree[:12],
        )
        for each in versions
    ]
    print_table(
        ["dataset", ">version", ">rows", ">files", ">bytes", "newest row (UTC)", "added", "digest"],
        rows,
        empty="No version yet; 'penstock data add' takes in sources, files and folders.",
    )
