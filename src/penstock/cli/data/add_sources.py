"""`penstock data add`: a source becomes a version."""

from penstock.cli.apps import command_app
from penstock.cli.data.sections import DatasetArgument, chosen_sections
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services
from penstock.datasets.ingest import add_version

app = command_app()


@app.command()
def add(dataset: str = DatasetArgument, json: bool = JsonOption, url: str = UrlOption) -> None:
    """Take in a source as a new version, unless nothing changed or a blocking check keeps it out."""
    project = open_project()
    added = []
    with open_services(url) as services:
        for name, section in chosen_sections(project, dataset).items():
            before = services.datasets.find_latest(name)
            version = add_version(services.datasets, services.objects, name, section, project.root)
            is_new = before is None or before.version != version.version
            added.append({"dataset": name, "version": version.version, "rows": version.rows, "new": is_new})
            if not json:
                told = "added" if is_new else "unchanged"
                console.print(f"{name} version {version.version}: {version.rows:,} rows, {told}")
    if json:
        print_json(added)
