"""What has to be copied: whole packs where most of one is missing, single objects otherwise."""

from collections.abc import Iterable

from msgspec import Struct

from penstock.storage.objects.pack import Place
from penstock.storage.objects.store_view import Location, StoreView

WHOLE_SHARE = 0.75  # of a pack's bytes; from there on it is copied as it is
_LOOSE_SIZE = 64 << 10  # bytes; a guess for the progress bar, as no listing tells


class Plan(Struct, frozen=True, kw_only=True):
    """What has to be copied, and in which order: what the roots stand in comes last, so that a root means all of it."""

    packs: tuple[str, ...]
    objects: tuple[tuple[bytes, Location], ...]
    last_packs: tuple[str, ...]
    last_objects: tuple[tuple[bytes, Location], ...]
    total: int  # bytes


def make_plan(
    source: StoreView, located: Iterable[tuple[bytes, Location]], roots: Iterable[bytes], taken: frozenset[str]
) -> Plan:
    """Plan to copy what is missing.

    Args:
        source: where it is.
        located: each missing object with its place there.
        roots: what others will refer to.
        taken: names of packs that the target cannot take as they are.
    """
    by_pack: dict[str, list[tuple[bytes, Place]]] = {}
    single: list[tuple[bytes, Location]] = []
    for digest, location in located:
        if isinstance(location, Place):
            by_pack.setdefault(location.pack, []).append((digest, location))
        else:
            single.append((digest, location))
    total = _LOOSE_SIZE * len(single)
    whole: list[str] = []
    last: list[str] = []
    roots = set(roots)
    for name, objects in sorted(by_pack.items()):
        size, missing = source.size_of(name), sum(place.length for _, place in objects)
        if name in taken or missing < WHOLE_SHARE * size:
            single.extend(objects)
            total += missing
        else:
            (last if any(digest in roots for digest, _ in objects) else whole).append(name)
            total += size
    return Plan(
        packs=tuple(whole),
        objects=tuple(item for item in single if item[0] not in roots),
        last_packs=tuple(last),
        last_objects=tuple(item for item in single if item[0] in roots),
        total=total,
    )
