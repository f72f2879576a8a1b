"""Spools whose process has ended: whoever comes next delivers them."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from penstock.catalogue.services import Services
from penstock.core.errors import InvalidInputError
from penstock.core.ids import RunId
from penstock.sdk.spool.courier import EVERYTHING, Courier
from penstock.sdk.spool.folder import SpoolFolder, adopt_spool, list_spools
from penstock.sdk.spool.telling import tell
from penstock.tracking.deliveries.records import End, decode_record


class OrphanReport(Struct, frozen=True):
    """What became of a spool."""

    spool: str
    run_id: RunId
    delivered: int  # records
    refused: int


def find_orphans(root: Path, *, place: str, run_id: RunId | None = None) -> Iterator[SpoolFolder]:
    """The spools that are meant for a place and that nobody writes, each with its lock held; release them.

    Args:
        root: the folder of spools.
        place: the URL or home folder.
        run_id: only those of this run.
    """
    for path in list_spools(root, run_id):
        try:
            folder = adopt_spool(path)
        except (InvalidInputError, OSError):
            continue  # `penstock sync` tells of it
        if folder is None:
            continue
        if folder.info.place == place:
            yield folder
        else:
            folder.release()


def deliver_orphan(folder: SpoolFolder, services: Services) -> OrphanReport:
    """Deliver what an ended process left, end its run if it could not, and remove the spool; its lock is released.

    Raises:
        PenstockError: it cannot be delivered now; it stays.
    """
    courier = Courier(folder)
    try:
        courier.resume(services)
        count = courier.deliver(services, EVERYTHING)
        _keep_damage(folder, courier)
        moment = _ended_early(folder, courier)
        if moment is not None:
            courier.end_lost_run(services, moment)
        folder.remove()
    finally:
        folder.release()
    return OrphanReport(folder.info.id, folder.info.run_id, count, courier.refused)


def _ended_early(folder: SpoolFolder, courier: Courier) -> int | None:
    """When a process that led its run died, in microseconds; None where it said itself that the run has ended."""
    segments = folder.segments()
    payload = courier.reader.last_payload()
    if not folder.info.leads or payload is None or not segments:
        return None
    try:
        if isinstance(decode_record(payload), End):
            return None
    except msgspec.MsgspecError:
        pass  # a record that only clients know
    return os.stat(segments[-1][1]).st_mtime_ns // 1_000


def _keep_damage(folder: SpoolFolder, courier: Courier) -> None:
    """A torn last record was never answered for; anything more is kept for a person to look at."""
    rest = courier.reader.unread_bytes().rstrip(b"\0")
    if len(rest) > 2 * 65_536:
        kept = folder.path.with_name(folder.path.name + ".damaged")
        kept.write_bytes(rest)
        tell(f"the end of spool {folder.path} is damaged; it is kept as {kept}")
