"""A search gives what a plain loop over all runs would give, in the same order, page by page."""

from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import open_database
from penstock.core.filters import Clause, Order
from penstock.storage.database import Database
from penstock.tracking.search.runs import RunSearch
from penstock.tracking.search.walk import Effort
from penstock.tracking.types import View
from tracking.search.model import (
    clauses,
    in_order,
    keep,
    matches,
    model_runs,
    orders,
    write_filter,
    write_orders,
)

# The last one never counts matches, so that every order is walked to its end.
EFFORTS = st.builds(Effort, st.sampled_from([1, 2, 5]), st.sampled_from([1, 4, 100]), st.sampled_from([0, 5, 10**9]))


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    db = open_database(tmp_path_factory.mktemp("search"))
    yield db
    db.close()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 60),
    chosen=st.sets(st.integers(1, 4), min_size=1),
    wanted=st.lists(clauses(), max_size=3),
    keys=orders(),
    view=st.sampled_from(View),
    size=st.integers(1, 7),
    effort=EFFORTS,
)
def test_pages_together_are_what_a_plain_loop_finds(
    db: Database,
    seed: int,
    count: int,
    chosen: set[int],
    wanted: list[Clause],
    keys: list[Order],
    view: View,
    size: int,
    effort: Effort,
) -> None:
    held = model_runs(Random(seed), count)
    keep(db, held)
    in_view = [run for run in held if view is View.ALL or run.is_deleted == (view is View.DELETED)]
    expected = [run for run in in_view if run.experiment_id in chosen and all(matches(run, each) for each in wanted)]
    found = _all_pages(
        db, RunSearch(effort=effort), sorted(chosen), write_filter(wanted), write_orders(keys), view, size
    )
    assert found == [run.id for run in in_order(expected, keys)]


def _all_pages(
    db: Database,
    search: RunSearch,
    experiment_ids: Sequence[int],
    filter: str,
    order_by: Sequence[str],
    view: View,
    size: int,
) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        with db.snapshot() as tx:
            page = search.find(tx, experiment_ids, filter, order_by, view, size, token)
        found += [run.id for run in page.runs]
        assert page.runs or not token  # never a token with the last page
        if not page.next:
            return found
        assert len(page.runs) == size
        token = page.next
