"""Collecting: condemn what nothing leads to, wait, then delete; packs are rewritten where a good part is of no use."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from penstock.core import failpoints
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.collection.marking import Candidates, Marks, mark
from penstock.storage.objects.collection.sweeping import Sweeper
from penstock.storage.objects.collection.types import Amount, CollectionReport, Renew
from penstock.storage.objects.format import parse_digest
from penstock.storage.objects.guarding.condemned import Condemned, read_condemned, write_condemned
from penstock.storage.objects.guarding.leases import Lease, Now, is_running, list_leases
from penstock.storage.objects.reach import Reached, Walker
from penstock.storage.objects.store_view import IN_FLIGHT, StoreView
from penstock.storage.objects.transfer.roots import read_roots

_GAP = 64 << 10  # bytes
_PROBLEMS_SHOWN = 100


class Collector:
    """Collects one store; for one at a time, whom `renew` has to know.

    Args:
        blobs: the store.
        references: every object that the store's database refers to, as of the moment it is called.
        grace: how long what is condemned waits.
        renew: called before each step that deletes; raises when the right to collect was lost.
        now: seconds since 1970.
        runs: whether a process that holds a lease still runs; None when that cannot be told from here.
        thorough: rewrite every pack that holds something due, so that no byte of it stays.
    """

    def __init__(
        self,
        blobs: BlobStore,
        references: Callable[[], Iterable[Digest]],
        *,
        grace: timedelta,
        renew: Renew = lambda: None,
        now: Now = time.time,
        runs: Callable[[str], bool | None] = is_running,
        thorough: bool = False,
    ) -> None:
        self._blobs = blobs
        self._references = references
        self._grace = grace
        self._renew = renew
        self._now = now
        self._runs = runs
        self._thorough = thorough

    def run(self, *, dry_run: bool = False) -> CollectionReport:
        """One collection.

        Raises:
            ConflictError: the right to collect was lost; what was done so far is whole.
            CorruptDataError: what is condemned, or what others have pushed, cannot be read.
            UnavailableError: the store cannot be reached just now.
        """
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            return self._run(pool, dry_run=dry_run)

    def _run(self, pool: ThreadPoolExecutor, *, dry_run: bool) -> CollectionReport:
        asked_at = self._now()
        before = read_condemned(self._blobs)
        leases, useless = list_leases(self._blobs, asked_at, self._runs)  # before they may have let go again
        candidates = Candidates(self._blobs)  # before the references, so that no reference is missed for any of them
        roots = self._read_references()
        view = StoreView(self._blobs, pool, gap=_GAP)  # after them, so that all they lead to is seen
        view.load()
        reached = Walker(view).walk(roots)
        problems = [f"the index of pack {name} is damaged" for name in sorted(view.damaged)]
        problems += [f"{each.error.message}, and leads nobody knows where" for each in reached.unreadable]
        now = datetime.fromtimestamp(self._now(), UTC)
        marks = mark(view, candidates, reached.digests, before, now)
        if reached.unreadable:
            marks.state = _keep_old(marks.state, before)
            marks.new = Amount()
        if not dry_run:
            self._renew()
            if marks.state != before:
                write_condemned(self._blobs, marks.state)
            failpoints.hit("objects.collect.condemned")
        leases += list_leases(self._blobs, self._now(), self._runs)[0]  # and once those who come know what is condemned
        due = Condemned() if reached.unreadable else self._find_due(marks.state, now, leases, asked_at)
        sweeper = Sweeper(
            view, marks.state, due, reached.digests, self._renew, thorough=self._thorough, dry_run=dry_run
        )
        sweeper.run()
        if not dry_run:
            for key in useless:
                self._blobs.delete(key)
        return self._report(marks, reached, leases, sweeper, problems, asked_at, dry_run=dry_run)

    def _read_references(self) -> list[bytes]:
        own = [parse_digest(digest) for digest in self._references()]
        pushed = read_roots(self._blobs).values()
        return list(dict.fromkeys([*own, *(parse_digest(root.digest) for roots in pushed for root in roots.roots)]))

    def _find_due(self, state: Condemned, now: datetime, leases: list[Lease], asked_at: float) -> Condemned:
        """What may go; nothing that is condemned only now, as whoever came and went meanwhile did not know of it."""
        due = Condemned()
        for pack, digest, since in state.places():
            if since >= now or not self._is_over(since, asked_at) or self._who_needs(since, leases, asked_at):
                continue
            if not digest:
                due.packs[pack] = since
            elif pack:
                due.objects.setdefault(pack, {})[digest] = since
            else:
                due.loose[digest] = since
        return due

    def _is_over(self, since: datetime, asked_at: float) -> bool:
        return asked_at - since.timestamp() >= self._grace.total_seconds()

    def _who_needs(self, since: datetime, leases: list[Lease], asked_at: float) -> set[str]:
        """The processes that may still rely on what is condemned since a moment."""
        grace_s, moment = self._grace.total_seconds(), since.timestamp()
        return {lease.process for lease in leases if not lease.allows(moment, grace_s, asked_at)}

    def _report(
        self,
        marks: Marks,
        reached: Reached,
        leases: list[Lease],
        sweeper: Sweeper,
        problems: list[str],
        asked_at: float,
        *,
        dry_run: bool,
    ) -> CollectionReport:
        waiting = {since for _, _, since in sweeper.rest.places()}
        over = [since for since in waiting if self._is_over(since, self._now())]
        held_by = {process for since in over for process in self._who_needs(since, leases, asked_at)}
        problems += sweeper.problems
        if len(problems) > _PROBLEMS_SHOWN:
            problems = [*problems[:_PROBLEMS_SHOWN], f"and {len(problems) - _PROBLEMS_SHOWN} more"]
        return CollectionReport(
            dry_run=dry_run,
            kept=marks.kept,
            condemned=marks.new,
            spared=marks.spared,
            waiting=sweeper.waiting,
            next_at=min(waiting) + self._grace if waiting else None,
            held_by=tuple(sorted(held_by)),
            deleted=sweeper.deleted,
            rewritten=sweeper.rewritten,
            problems=tuple(problems),
            judged=not reached.unreadable,
        )


def _keep_old(judged: Condemned, before: Condemned) -> Condemned:
    """Of what is condemned, what was before: nothing new is judged while something that leads on cannot be read."""
    kept = Condemned()
    kept.packs = {name: since for name, since in judged.packs.items() if before.packs.get(name) == since}
    kept.loose = {digest: since for digest, since in judged.loose.items() if before.loose.get(digest) == since}
    for pack, objects in judged.objects.items():
        old = {digest: since for digest, since in objects.items() if before.since(pack, digest) == since}
        if old:
            kept.objects[pack] = old
    return kept
