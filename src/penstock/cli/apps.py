"""What every command is made with: plain help pages that read the same in a terminal, a pipe and a log."""

from typing import Any

import typer
from typer.core import TyperGroup


class Group(TyperGroup):
    """Commands under one name; the name alone shows the help page."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, or `--help` where there are none."""
        return super().parse_args(ctx, args or ["--help"])


def command_app() -> typer.Typer:
    """For a file with one command."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def group_app(text: str) -> typer.Typer:
    """For a file with several commands; `text` says what they are for."""
    return typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, help=text)
