"""Serves a shop, and reads its pages more strictly than a browser does."""

import contextlib
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
from msgspec import structs

from patience import PATIENCE_S
from penstock.server.app import build_server
from server.seeding import ACTOR, Shop
from serving_http import serve

VOID = {"meta", "link", "input", "br", "hr", "img"}
BROWSER = {"accept": "text/html,application/xhtml+xml"}
Attributes = list[tuple[str, str | None]]


@contextlib.contextmanager
def serve_shop(shop: Shop, *, token: str = "", is_project: bool = True) -> Iterator[str]:
    """The URL of a server with the shop's pages."""
    config = structs.replace(shop.config, token=token)
    project = shop.project if is_project else None
    with serve(build_server(shop.services, config=config, owner=ACTOR, project=project)) as url:
        yield url


def open_page(url: str) -> httpx.Response:
    """A page as a browser asks for it."""
    return httpx.get(url, headers=BROWSER, timeout=PATIENCE_S)


class Page(HTMLParser):
    """The elements of a page.

    Attributes:
        mistakes: tags that do not close as they should, and ids that stand twice.
        links: the internal addresses that it leads to.
        elements: every start tag with its attributes.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.mistakes: list[str] = []
        self.links: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self._ids: set[str] = set()
        self.feed(html)
        self.close()
        self.mistakes += [f"<{tag}> is never closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.mistakes.append(f"</{tag}> at {self.getpos()} closes {self._open[-1:] or 'nothing'}")
        else:
            self._open.pop()

    def _note(self, tag: str, attrs: Attributes) -> None:
        held = {name: value or "" for name, value in attrs}
        self.elements.append((tag, held))
        for name in ("href", "src", "action"):
            is_sent = name == "action" and held.get("method") == "post"  # it leads on, and is no page to open
            if held.get(name, "").startswith("/") and not is_sent:
                self.links.append(held[name])
        identity = held.get("id", "")
        if identity and identity in self._ids:
            self.mistakes.append(f"the id {identity!r} stands twice")
        self._ids.add(identity)
