"""Version a table by content, and let checks keep bad rows out."""

import tempfile
from pathlib import Path

import polars as pl

import penstock as ps
from penstock.core.project.types import CheckSection, DataSection
from penstock.datasets.ingest import add_version
from penstock.datasets.types import DatasetChecksError


def main(folder: Path) -> None:
    services = ps.connect(folder)
    orders = DataSection(
        source="orders.csv",
        key="order_id",
        checks=(CheckSection(column="amount", between=(0, 1_000)),),
    )

    pl.DataFrame({"order_id": [1, 2, 3], "amount": [9.5, 20.0, 7.25]}).write_csv(folder / "orders.csv")
    first = add_version(services.datasets, services.objects, "orders", orders, folder)
    again = add_version(services.datasets, services.objects, "orders", orders, folder)
    print(f"version {first.version} has {first.rows} rows; added again it is still version {again.version}")

    pl.DataFrame({"order_id": [1, 2, 4], "amount": [9.5, -20.0, 7.25]}).write_csv(folder / "orders.csv")
    try:
        add_version(services.datasets, services.objects, "orders", orders, folder)
    except DatasetChecksError as error:
        print("kept out:", error)

    print(ps.load_dataset("orders", services=services))
    services.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
