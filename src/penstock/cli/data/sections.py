"""The datasets that a project file names, as commands take them."""

from collections.abc import Sequence

import typer

from penstock.core.codec import nearest_hint
from penstock.core.errors import NotFoundError
from penstock.core.project.types import DataSection, Project

DatasetArgument = typer.Argument("", help="A dataset of penstock.toml. [default: all of them]")


def chosen_sections(project: Project, datasets: Sequence[str]) -> dict[str, DataSection]:
    """The sections of datasets; of all where none is named; NotFoundError when the file has none of a name."""
    for dataset in datasets:
        if dataset not in project.data:
            raise NotFoundError(f"penstock.toml has no [data.{dataset}]", hint=nearest_hint(dataset, project.data))
    return {dataset: project.data[dataset] for dataset in datasets or project.data}
