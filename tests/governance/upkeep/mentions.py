"""Which objects of a store a database mentions, wherever it does: in a column of its own, or inside of a document."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import inspect, text

from penstock.core.ids import Digest
from penstock.storage.database import Database
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.reach import Walker
from penstock.storage.objects.store_view import StoreView
from penstock.storage.references import list_kept

_DIGEST = re.compile(r"[0-9a-f]{64}")
# What happened is told for ever; what it was about may be gone.
HISTORY = {"audit_events", "lineage_edges", "object_references"}


def list_mentions(db: Database, objects: ObjectStore) -> Iterator[tuple[str, str, Digest]]:
    """Table, column and digest of each mention of an object that is stored."""
    for table in inspect(db.engine).get_table_names():
        if table in HISTORY:
            continue
        with db.engine.connect() as connection:
            rows = connection.execute(text(f"SELECT * FROM {table}")).mappings().all()
        for row in rows:
            for column, value in row.items():
                for digest in _DIGEST.findall(value) if isinstance(value, str) else ():
                    if objects.has(Digest(digest)):
                        yield table, column, Digest(digest)


def reachable(db: Database, objects: ObjectStore) -> set[str]:
    """Every object that the references lead to."""
    roots = [bytes.fromhex(digest) for _, digest in db.read(list_kept)]
    with ThreadPoolExecutor(2) as pool:
        return {digest.hex() for digest in Walker(StoreView(objects.blobs, pool, gap=0)).walk(roots).digests}
