"""What every command is made with: plain help pages that read the same in a terminal, a pipe and a log."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup


class Group(TyperGroup):
    """Commands under one name; the name alone shows the help page."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, or `--help` where there are none."""
        return super().parse_args(ctx, args or ["--help"])


class LazyGroup(Group):
    """A group that imports the file of a command when it is called; a subclass says where they are."""

    package: ClassVar[str]
    files: ClassVar[Mapping[str, str]]  # by the name of the command, in the order of the help page
    texts: ClassVar[Mapping[str, str]]  # a line of help for each

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = _Commands(self.package, self.files)  # type: ignore[assignment]  # nothing is ever added to it

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help page."""
        return list(self.files)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Their part of the help page, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.texts.items()))


class _Commands(Mapping[str, Any]):
    """Commands by name, each imported when it is asked for."""

    def __init__(self, package: str, files: Mapping[str, str]) -> None:
        self._package = package
        self._files = files

    def __getitem__(self, name: str) -> Any:
        command = typer.main.get_command(importlib.import_module(f"{self._package}.{self._files[name]}").app)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def command_app() -> typer.Typer:
    """For a file with one command."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def group_app(text: str, group: type[Group] = Group) -> typer.Typer:
    """For several commands under one name; `text` says what they are for."""
    app = typer.Typer(cls=group, add_completion=False, rich_markup_mode=None, help=text)
    app.callback()(_nothing)  # so that it is a group with any number of commands
    return app


def _nothing() -> None:
    pass
