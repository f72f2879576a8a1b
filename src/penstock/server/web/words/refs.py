"""How a thing of any noun is called on a page, and where its page is."""

from datetime import datetime
from urllib.parse import quote

from markupsafe import Markup
from msgspec import Struct

from penstock.core.ids import Ref

_TAIL = 6  # characters of an id that tell it from its neighbours; runs without a name are called by as many
_DIGESTS = ("report", "verdict")
_VERSIONS = ("model-version", "dataset-version", "revision")


class Named(Struct, frozen=True):
    """A thing as people know it."""

    kind: str  # in words
    name: str
    page: str  # the page about it, or that of its lineage
    whole: str  # kind:id


def name_ref(ref: Ref | str) -> Named:
    """The name and the page of a thing; `kind:id` as text will do as well."""
    known = ref if isinstance(ref, Ref) else _parse(ref)
    return Named(known.kind.replace("-", " "), _name(known), _page(known), str(known))


def link_ref(ref: Ref | str) -> Markup:
    """A link to a thing, with its whole id for those who point at it."""
    named = name_ref(ref)
    return Markup('<a href="{}" title="{}"><span class="soft">{}</span> {}</a>').format(
        named.page, named.whole, named.kind, named.name
    )


def _parse(text: str) -> Ref:
    kind, _, name = text.partition(":")
    return Ref(kind, name)


def _name(ref: Ref) -> str:
    if ref.kind in _VERSIONS:
        name, _, number = ref.id.rpartition("/")
        return f"{name} {number}"
    if ref.kind == "window":
        name, _, start = ref.id.rpartition("/")
        return f"{name}, {_day(start)}"
    if ref.kind == "alert":
        return _name_alert(ref.id)
    if ref.kind in _DIGESTS:
        return ref.id[:10]
    return ref.id[-_TAIL:] if len(ref.id) in (26, 32) and ref.id.isalnum() else ref.id


def _name_alert(identity: str) -> str:
    """`suggest-drift-20260511T0000` is the drift of 11 May 2026."""
    rest, _, start = identity.rpartition("-")
    kind = rest.rpartition("-")[2]
    return f"{kind}, {_day(start)}" if kind else identity


def _day(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment.day} {moment:%b %Y}" + (f", {moment:%H:%M}" if moment.hour or moment.minute else "")


def _page(ref: Ref) -> str:
    name, _, number = ref.id.rpartition("/")
    identity = quote(ref.id, safe="")
    if ref.kind in ("model-version", "dataset-version") and number.isdigit():
        return f"/{'models' if ref.kind == 'model-version' else 'data'}/{quote(name)}/{number}"
    if ref.kind in ("run", "episode", "incident", "deployment", "rollout"):
        return f"/{ref.kind}s/{identity}"
    if ref.kind == "window" and name:
        return f"/deployments/{quote(name, safe='')}/windows/{number}"
    if ref.kind == "revision" and name:
        return f"/deployments/{quote(name)}"
    return lineage_page(ref)


def lineage_page(ref: Ref | str) -> str:
    """The address of the page that shows what a thing came from, and what came from it."""
    return f"/lineage/{quote(str(ref), safe=':/')}"
