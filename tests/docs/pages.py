"""Reads the pages of the documentation: their links, headings and fenced blocks."""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/README.md"), *ROOT.glob("bench/*.md")]
)
_FENCE = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


class Block(Struct, frozen=True):
    """A fenced block of a page."""

    page: Path
    line: int
    kind: str  # python, console, toml, sh or nothing
    text: str

    @property
    def place(self) -> str:
        """Where it stands, for the name of a test."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*kinds: str) -> list[Block]:
    """All fenced blocks of these kinds."""
    return [block for page in PAGES for block in _blocks_of(page) if block.kind in kinds]


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, match.start()) + 2, match[2].strip(), match[3])


def links(page: Path) -> list[str]:
    """Where a page's links lead, those in code left out."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text()))
    return _LINK.findall(prose)


def anchors(page: Path) -> set[str]:
    """The names that headings can be linked by."""
    prose = _FENCE.sub("", page.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(prose)}


def commands() -> list[tuple[str, str]]:
    """Every `$ penstock ...` line of the console blocks, with its place."""
    return [
        (f"{block.place}: {line}", line.removeprefix("$ ").partition(" #")[0].strip())
        for block in blocks("console")
        for line in block.text.splitlines()
        if line.startswith("$ penstock")
    ]
