"""All that a store and a database hold as text, to be looked through, and a collection that waits for nothing."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import polars as pl
from sqlalchemy import inspect, text

from penstock.storage.database import Database
from penstock.storage.objects.collection.collector import Collector
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.store_view import StoreView
from penstock.storage.references import list_kept


def collect(db: Database, objects: ObjectStore) -> None:
    """What `penstock gc --grace 0 --thorough` does once no process is at work."""
    moment = iter(range(2_000_000_000, 2_000_000_009))
    for _ in range(2):
        Collector(
            objects.blobs,
            lambda: [digest for _, digest in db.read(list_kept)],
            grace=timedelta(0),
            now=lambda: float(next(moment)),
            runs=lambda process: False,  # the store of this test, which needs nothing any more
            thorough=True,
        ).run()


def tell_everything(db: Database, objects: ObjectStore) -> Iterator[str]:
    """Each object, as what it is, and each row of the database."""
    with ThreadPoolExecutor(2) as pool:
        view = StoreView(objects.blobs, pool, gap=0)
        view.load()
        found = {*view.loose, *(digest for name in view.packs for digest, _ in view.objects_of(name))}
    for digest in found:
        yield _tell(bytes(objects.read_object(digest)[1]))
    with db.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            yield from map(str, connection.execute(text(f'SELECT * FROM "{table}"')))


def _tell(payload: bytes) -> str:
    if payload.startswith(b"PAR1"):
        return str(pl.read_parquet(io.BytesIO(payload)).to_dicts())
    if payload.startswith(b"PK"):
        with np.load(io.BytesIO(payload)) as file:
            held = {name: file[name] for name in file.files}  # of a model's file they are bytes
            return str({name: each.tolist() if isinstance(each, np.ndarray) else each for name, each in held.items()})
    return repr(payload)
