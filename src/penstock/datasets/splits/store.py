"""The SQL of splits: one query per method, no rules."""

from sqlalchemy import insert, select

from penstock.datasets.splits.types import Split
from penstock.datasets.tables import dataset_splits
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction

_splits = dataset_splits.c


class SplitStore:
    """Reads and writes the table of splits."""

    def add_split(self, tx: Transaction, split: Split) -> None:
        """Insert a split."""
        tx.execute(insert(dataset_splits).values(to_row(split)))

    def find_split(self, tx: Transaction, dataset: str, name: str, version: int | None) -> Split | None:
        """A split of a version by its name; of the newest version that has one of this name where none is given."""
        query = select(dataset_splits).where(_splits.dataset == dataset, _splits.name == name)
        if version is not None:
            query = query.where(_splits.version == version)
        row = tx.execute(query.order_by(_splits.version.desc()).limit(1)).one_or_none()
        return None if row is None else from_row(Split, row)

    def list_splits(self, tx: Transaction, dataset: str, limit: int) -> list[Split]:
        """Splits of a dataset, those of the newest version first, by name."""
        query = select(dataset_splits).where(_splits.dataset == dataset)
        query = query.order_by(_splits.version.desc(), _splits.name).limit(limit)
        return [from_row(Split, row) for row in tx.execute(query)]
