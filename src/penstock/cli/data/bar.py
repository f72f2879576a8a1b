"""A line on standard error that counts files and bytes."""

import contextlib
from collections.abc import Callable, Iterator

from rich.markup import escape
from rich.progress import FileSizeColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from penstock.cli.output import open_console


@contextlib.contextmanager
def counting(text: str) -> Iterator[Callable[[int, int], object]]:
    """Gives what is told the files and bytes so far; the line is gone at the end."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}  {task.fields[files]:,} files"),
        FileSizeColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=open_console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(text), total=None, files=0)
        yield lambda files, size: bar.update(task, completed=size, files=files)
