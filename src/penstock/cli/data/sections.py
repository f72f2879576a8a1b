"""The datasets that a project file names, as commands take them."""

import typer

from penstock.core.codec import nearest_hint
from penstock.core.errors import NotFoundError
from penstock.core.project.types import DataSection, Project

DatasetArgument = typer.Argument("", help="A dataset of penstock.toml. [default: all of them]")


def chosen_sections(project: Project, dataset: str) -> dict[str, DataSection]:
    """The section of a dataset; those of all where none is named; NotFoundError when the file has none of this name."""
    if not dataset:
        return dict(project.data)
    if dataset not in project.data:
        raise NotFoundError(f"penstock.toml has no [data.{dataset}]", hint=nearest_hint(dataset, project.data))
    return {dataset: project.data[dataset]}
