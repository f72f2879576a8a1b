"""The documentation is whole: links lead somewhere, snippets compile, commands exist with their options."""

import ast
import shlex
import tomllib
from pathlib import Path

import pytest

from docs import pages
from docs.pages import ROOT, Block
from penstock.cli.main import COMMANDS, Program
from penstock.core.project.parse import parse_project


def place(value: object) -> str:
    if isinstance(value, Block):
        return value.place
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@pytest.mark.parametrize("page", pages.PAGES, ids=place)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in pages.links(page):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in pages.anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("block", pages.blocks("python"), ids=place)
def test_every_piece_of_python_compiles_and_its_names_exist(block: Block) -> None:
    import penstock

    tree = ast.parse(block.text)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("ps", "penstock")
    }
    assert used <= set(penstock.__all__)


@pytest.mark.parametrize("block", pages.blocks("toml"), ids=place)
def test_every_piece_of_a_project_file_is_a_valid_one(block: Block) -> None:
    text = block.text
    if "project" not in tomllib.loads(text):
        text = '[project]\nname = "churn"\ntask = "binary"\n' + text
    parse_project(text, root=ROOT)


@pytest.mark.parametrize("line", [line for _, line in pages.commands()], ids=[name for name, _ in pages.commands()])
def test_every_command_that_is_shown_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    assert words[0] in COMMANDS
    command = Program(name="penstock").commands[words[0]]
    rest = words[1:]
    if subcommands := getattr(command, "commands", None):
        usual = getattr(command, "usual", "")  # the one that is meant where none is named
        rest = rest if rest and (rest[0] in subcommands or not usual) else [usual, *rest]
        assert rest[0], f"{line}: which of {sorted(subcommands)}?"
        command, rest = subcommands[rest[0]], rest[1:]
    context = command.make_context(line, rest, resilient_parsing=False)
    assert context.params is not None


def test_every_page_can_be_reached_from_the_first_one() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "docs/index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = [link.partition("#")[0] for link in pages.links(page) if "://" not in link]
        waiting += [(page.parent / target).resolve() for target in targets if target]
    assert {page for page in pages.PAGES if "docs" in page.parts} <= reached
