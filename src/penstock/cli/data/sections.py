"""The datasets that a project file names, and tables that no project knows, as commands take them."""

from collections.abc import Sequence
from pathlib import Path

import typer

from penstock.core.codec import nearest_hint
from penstock.core.errors import NotFoundError
from penstock.core.project.types import DataSection, Project

DatasetArgument = typer.Argument("", help="A dataset of penstock.toml. [default: all of them]")
TableArgument = typer.Argument("", help="A dataset of penstock.toml, or the path of a table. [default: all datasets]")
_ENDINGS = (".csv", ".csv.gz", ".tsv", ".jsonl", ".ndjson", ".parquet")


def chosen_sections(project: Project, datasets: Sequence[str]) -> dict[str, DataSection]:
    """The sections of datasets; of all where none is named; NotFoundError when the file has none of a name."""
    for dataset in datasets:
        if dataset not in project.data:
            raise NotFoundError(f"penstock.toml has no [data.{dataset}]", hint=nearest_hint(dataset, project.data))
    return {dataset: project.data[dataset] for dataset in datasets or project.data}


def is_table(name: str) -> bool:
    """Whether an argument is the path of a table rather than the name of a dataset.

    Raises:
        NotFoundError: it is, and there is no such file.
    """
    if not name.lower().endswith(_ENDINGS):
        return False
    if not Path(name).is_file():
        raise NotFoundError(f"there is no file {name}")
    return True
