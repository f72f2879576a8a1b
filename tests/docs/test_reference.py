"""The reference names all there is: folders, commands, settings, keys, routes, public names, fail-points."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from docs.pages import ROOT
from penstock.cli.main import COMMANDS

REFERENCE = ROOT / "docs/reference"
WORDS = """
project; dataset; dataset version; schema; check; check report; feature; label; pipeline; step; run; experiment; metric;
param; tag; artifact; model; model version; alias; champion; challenger; evaluation; report; slice; gate; verdict;
deployment; revision; rollout; canary; rollback; prediction; prediction log; outcome; monitor; window; drift; alert;
trigger; policy; episode; lineage; node; edge; audit event; actor; role; token
"""


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_architecture_page_names_every_folder_of_the_ladder() -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text()
    ladder = text.partition("```\n")[2].partition("```")[0]
    named = {word for line in ladder.splitlines() for word in line[:26].replace("|", " ").split()}
    folders = {path.parent.name for path in (ROOT / "src/penstock").glob("*/__init__.py")}
    assert named == folders


def test_the_architecture_page_shows_the_ladder_as_the_linter_holds_it() -> None:
    contract = (ROOT / "pyproject.toml").read_text().partition("layers = [")[2].partition("]")[0]
    text = (ROOT / "docs/explanation/architecture.md").read_text()
    ladder = text.partition("```\n")[2].partition("```")[0]
    assert [line[:26].strip() for line in ladder.splitlines()] == re.findall(r'"([^"]+)"', contract)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"^##+ penstock {command}$", (REFERENCE / "cli.md").read_text(), re.MULTILINE)


def test_every_fail_point_is_listed(generate: ModuleType) -> None:
    text = (REFERENCE / "settings.md").read_text()
    assert [name for name in generate.failpoint_names() if f"`{name}`" not in text] == []


def test_the_generated_parts_say_what_the_code_says(generate: ModuleType) -> None:
    stale: dict[Path, str] = generate.stale_pages()
    assert [str(page.relative_to(ROOT)) for page in stale] == [], "run 'make docs'"


@pytest.mark.parametrize("word", [word.strip() for word in WORDS.split(";")])
def test_the_glossary_explains(word: str) -> None:
    assert f"**{word}**" in (REFERENCE / "glossary.md").read_text()
