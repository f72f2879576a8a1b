"""Which places of a store are of no use, as far as its references and what they lead to tell."""

from collections.abc import Mapping
from datetime import datetime

from penstock.core.errors import NotFoundError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.collection.types import Amount
from penstock.storage.objects.guarding.condemned import Condemned
from penstock.storage.objects.keys import LOOSE_FOLDER, loose_key
from penstock.storage.objects.pack import FOLDER, pack_key
from penstock.storage.objects.store_view import StoreView

_INDEX, _PACK = ".index", ".pack"


class Candidates:
    """What stood in a store before its references were read; nothing that came later is judged."""

    def __init__(self, blobs: BlobStore) -> None:
        keys = set(blobs.list_keys(FOLDER))
        indexed = {key[len(FOLDER) : -len(_INDEX)] for key in keys if key.endswith(_INDEX)}
        named = {key[len(FOLDER) : -len(_PACK)] for key in keys if key.endswith(_PACK)}
        self.packs = indexed
        self.orphans = named - indexed  # packs without an index: a killed writer's, or one that is at it
        self.loose = set(blobs.list_keys(LOOSE_FOLDER))


class Marks:
    """The judgement: what is condemned from now on, as it was before or anew.

    Attributes:
        state: every condemned place.
        new: what was not condemned before.
        spared: objects that were condemned before and are not any more.
        kept: what is needed.
    """

    def __init__(self) -> None:
        self.state = Condemned()
        self.new = Amount()
        self.spared = 0
        self.kept = Amount()


def mark(
    view: StoreView, candidates: Candidates, needed: Mapping[bytes, None], before: Condemned, now: datetime
) -> Marks:
    """Judge every candidate.

    A copy that was condemned stays so though its object is needed, where another copy is not: that one was written
    since, by somebody who relied on the first one no more.

    Args:
        view: the store, all indexes read.
        candidates: what may be condemned.
        needed: every object that something leads to.
        before: what was condemned so far.
        now: since when what is condemned anew is.
    """
    marks = Marks()
    replaced = _find_replaced(view, needed, before)
    for name in sorted(candidates.packs & view.indexes.keys()):
        _mark_pack(view, name, needed, before, replaced, now, marks)
    for name in sorted(candidates.orphans - view.packs):
        marks.state.packs[name] = before.packs.get(name, now)
        if name not in before.packs:
            marks.new += Amount(0, _size_of(view.blobs, pack_key(name)))
    for digest in view.loose:
        if loose_key(digest) in candidates.loose:
            _mark_loose(view, digest, needed, before, replaced, now, marks)
    return marks


def _find_replaced(view: StoreView, needed: Mapping[bytes, None], before: Condemned) -> set[bytes]:
    """Objects that are needed, stand in a condemned place, and in another that is not."""
    doubtful = {digest for _, digest, _ in before.places() if digest in needed}
    doubtful |= {
        digest
        for name in before.packs.keys() & view.indexes.keys()
        for digest, _ in view.objects_of(name)
        if digest in needed
    }
    if not doubtful:
        return set()
    sound = {digest for digest in doubtful & view.loose if digest not in before.loose}
    for name in view.indexes:
        if name not in before.packs:
            sound.update(d for d, _ in view.objects_of(name) if d in doubtful and before.since(name, d) is None)
    return sound


def _mark_pack(
    view: StoreView,
    name: str,
    needed: Mapping[bytes, None],
    before: Condemned,
    replaced: set[bytes],
    now: datetime,
    marks: Marks,
) -> None:
    dead: dict[bytes, datetime] = {}
    alive = 0
    for digest, place in view.objects_of(name):
        since = before.since(name, digest)
        if digest in needed and not (since is not None and digest in replaced):
            alive += 1
            marks.kept += Amount(1, place.length)
            marks.spared += since is not None
            continue
        dead[digest] = since or now
        if since is None:
            marks.new += Amount(1, place.length)
    if dead and not alive:
        marks.state.packs[name] = max(dead.values())
    elif dead:
        marks.state.objects[name] = dead


def _mark_loose(
    view: StoreView,
    digest: bytes,
    needed: Mapping[bytes, None],
    before: Condemned,
    replaced: set[bytes],
    now: datetime,
    marks: Marks,
) -> None:
    since = before.loose.get(digest)
    if digest in needed and not (since is not None and digest in replaced):
        marks.kept += Amount(1, 0)
        marks.spared += since is not None
        return
    marks.state.loose[digest] = since or now
    if since is None:
        marks.new += Amount(1, _size_of(view.blobs, loose_key(digest)))


def _size_of(blobs: BlobStore, key: str) -> int:
    try:
        return blobs.size(key)
    except NotFoundError:
        return 0
