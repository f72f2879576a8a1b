"""Every command explains itself: the page is short, fits a terminal, and names --json."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from penstock.cli.main import COMMANDS

BUILT = [name for name, (_, file, _) in COMMANDS.items() if importlib.util.find_spec(f"penstock.cli.{file}")]


def list_pages() -> list[tuple[str, ...]]:
    """The words that lead to every command, groups taken apart."""
    pages: list[tuple[str, ...]] = []
    for name in BUILT:
        pages += list_below(
            (name,), typer.main.get_command(importlib.import_module(f"penstock.cli.{COMMANDS[name][1]}").app)
        )
    return pages


def list_below(page: tuple[str, ...], command: Any) -> list[tuple[str, ...]]:
    below = getattr(command, "commands", {})
    return [each for name in below for each in list_below((*page, name), below[name])] if below else [page]


@pytest.mark.parametrize("page", list_pages(), ids=" ".join)
def test_every_command_has_a_page_that_names_json(page: tuple[str, ...], penstock) -> None:
    said = penstock(*page, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: penstock {' '.join(page)}")
    assert "--json" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80


@pytest.mark.parametrize("page", list_pages(), ids=" ".join)
def test_every_argument_and_option_is_explained(page: tuple[str, ...]) -> None:
    command = typer.main.get_command(importlib.import_module(f"penstock.cli.{COMMANDS[page[0]][1]}").app)
    for name in page[1:]:
        command = command.commands[name]
    silent = [parameter.name for parameter in command.params if not parameter.help and parameter.name != "help"]
    assert silent == []
    assert (command.help or "").strip()


def test_the_first_page_lists_every_command(penstock) -> None:
    for arguments in ([], ["--help"]):
        said = penstock(*arguments)
        assert said.code == 0
        assert all(f"\n  {name} " in said.out for name in COMMANDS)
        assert max(len(line) for line in said.out.splitlines()) <= 80


@pytest.mark.parametrize("group", ["data", "runs", "models", "episodes", "audit", "outcomes"])
def test_a_group_alone_shows_its_page(group: str, penstock) -> None:
    said = penstock(group)
    assert (said.code, said.err) == (0, "")
    assert said.out == penstock(group, "--help").out


def test_the_version_is_printed(penstock) -> None:
    said = penstock("--version")
    assert said.code == 0
    assert said.out.startswith("penstock ")


def test_the_first_page_needs_none_of_the_large_libraries() -> None:
    program = (
        "import sys\n"
        "from penstock.cli.main import run\n"
        "run(['--help'])\n"
        "heavy = {'numpy', 'polars', 'sqlalchemy', 'scipy', 'sklearn', 'httpx', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_adding_to_a_new_store_imports_no_library_of_arrays_and_no_other_engine(nowhere: Path) -> None:
    (nowhere / "file").write_bytes(b"x")
    program = (
        "import sys\n"
        "from penstock.cli.main import run\n"
        "code = run(['data', 'add', 'file'])\n"
        "heavy = {'numpy', 'polars', 'sqlalchemy.dialects.postgresql', 'alembic', 'httpx', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else code)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_package_alone_imports_nothing_large() -> None:
    program = "import sys, penstock\nsys.exit(len([n for n in sys.modules if n.startswith('penstock.')]))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_neither_a_command_nor_a_run_needs_the_slowest_libraries(nowhere: Path) -> None:
    modules = "penstock.cli.status, penstock.cli.runs, penstock.cli.models, penstock.cli.audit, penstock.sdk.start"
    check_imports(modules, {"polars", "sklearn", "skops", "scipy.stats", "pandas", "alembic.command"})


def test_whoever_only_starts_processes_imports_none_of_what_they_need() -> None:
    check_imports("penstock.cli.up", {"numpy", "polars", "sqlalchemy", "scipy", "sklearn", "uvicorn"})


def check_imports(modules: str, heavy: set[str]) -> None:
    """That modules can be imported without any of the heavy ones."""
    program = (
        f"import sys, {modules}\nfound = {heavy} & set(sys.modules)\nsys.exit(f'imported: {{found}}' if found else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
