"""`penstock data schema`: the checks that follow from a good version."""

from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.sections import chosen_sections, is_table
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services
from penstock.core.errors import InvalidInputError
from penstock.core.project.edit import add_checks, checks_to_toml
from penstock.core.project.parse import FILE_NAME
from penstock.datasets.checks.infer import infer_checks
from penstock.datasets.frames import open_files
from penstock.datasets.profile import profile_table

app = command_app()


@app.command()
def schema(
    dataset: str = typer.Argument(help="A dataset of penstock.toml, or the path of a table."),
    version: int = typer.Option(0, help="The version that is good. [default: the newest]"),
    write: bool = typer.Option(False, "--write", help="Write the checks into penstock.toml, behind those there are."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Checks that a good version meets: types, missing values, keys, ranges and lists of values, to be edited by hand.

    What a check of penstock.toml says of a column already is left out. The checks of a table of no project are printed
    as 'penstock data check FILE --checks' reads them.
    """
    if is_table(dataset):
        if write:
            raise InvalidInputError("--write goes with a dataset", hint=f"penstock data schema {dataset} > checks.toml")
        checks, header = infer_checks(profile_table(open_files([(dataset, Path(dataset))]))), "check"
    else:
        project = open_project()
        (section,) = chosen_sections(project, [dataset]).values()
        with open_services(url) as services:
            found = services.datasets.get_version(dataset, version or None)
        checks, header = infer_checks(found.profile, section.checks), f"data.{dataset}.check"
        if write and checks:
            add_checks(project.root / FILE_NAME, dataset, checks)
    if json:
        print_json(checks)
    elif write:
        told = (
            f"{len(checks)} checks were written into {FILE_NAME}" if checks else f"{FILE_NAME} has all of them already"
        )
        console.print(told)
    else:
        typer.echo(checks_to_toml(checks, header), nl=False)
