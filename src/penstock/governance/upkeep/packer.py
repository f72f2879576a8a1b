"""Packs loose objects in the background of a server."""

from penstock.core.errors import ConflictError
from penstock.governance.upkeep.right import holding
from penstock.governance.upkeep.service import UpkeepService
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.collection.owner import find_owner
from penstock.storage.objects.collection.packing import LoosePacker


class Packer:
    """Looks now and then whether there are enough loose objects for a pack; of several servers one works at a time.

    Args:
        upkeep: gives the right to collect, without which nothing is packed.
        blobs: the store; one that another database owns is left to it.
    """

    def __init__(self, upkeep: UpkeepService, blobs: BlobStore) -> None:
        self._upkeep = upkeep
        self._blobs = blobs

    def tick(self) -> bool:
        """Fill one pack; whether there may be enough for another."""
        if not LoosePacker(self._blobs).is_due():
            return False
        owner = find_owner(self._blobs)
        if owner is not None and owner.database != self._upkeep.get_database_id():
            return False
        try:
            with holding(self._upkeep, "objects") as (renew, _):
                return LoosePacker(self._blobs, renew=renew).step().packs > 0
        except ConflictError:  # somebody collects just now, and packs at the end
            return False
