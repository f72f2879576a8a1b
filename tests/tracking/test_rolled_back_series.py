"""A series that was made in a transaction that was rolled back is made again, not written to under its old number."""

from pathlib import Path

import pytest

from factories import open_database
from penstock.core.errors import ConflictError
from penstock.storage.transaction import Transaction
from penstock.tracking.service import TrackingService
from penstock.tracking.types import Metric


@pytest.mark.parametrize("company", [0, 3])
def test_a_series_that_was_rolled_back_is_made_again(tmp_path: Path, company: int) -> None:
    db = open_database(tmp_path)
    tracking = TrackingService(db)
    first, second = (tracking.create_run("shop", name=name) for name in ("first", "second"))

    def fail(tx: Transaction) -> None:
        tracking.log_batch.join(tx, first.id, [Metric("loss", 1.0, 1)])
        raise ConflictError("something later in the verb")

    failed = db.submit(fail)
    others = [db.submit(lambda tx: None) for _ in range(company)]  # then it runs in a savepoint of a group
    with pytest.raises(ConflictError):
        failed.result()
    for other in others:
        other.result()
    tracking.log_batch(second.id, [Metric("accuracy", 2.0, 1)])
    tracking.log_batch(first.id, [Metric("loss", 3.0, 1)])
    assert {key: metric.number for key, metric in tracking.get_run(first.id).metrics.items()} == {"loss": 3.0}
    assert {key: metric.number for key, metric in tracking.get_run(second.id).metrics.items()} == {"accuracy": 2.0}
