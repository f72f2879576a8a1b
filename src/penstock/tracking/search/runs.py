"""The search for runs: filter, order and page in, found runs out."""

from collections.abc import Sequence

from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.filters import parse_filter, parse_order
from penstock.storage.transaction import Transaction
from penstock.tracking.search.conditions import DatasetRuns, to_condition
from penstock.tracking.search.grammar import RUNS
from penstock.tracking.search.levels import to_levels
from penstock.tracking.search.parts import FoundRun, read_runs
from penstock.tracking.search.tokens import read_token, write_token
from penstock.tracking.search.walk import Effort, Query, find_runs
from penstock.tracking.types import View

RESULTS_LIMIT = 50_000
EXPERIMENTS_LIMIT = 10_000


class FoundRuns(Struct, frozen=True):
    """A page of a search.

    Attributes:
        runs: in the order asked for.
        next: give it as `page_token` to go on; empty on the last page.
    """

    runs: list[FoundRun]
    next: str = ""


class RunSearch:
    """Searches runs.

    Args:
        dataset_runs: how runs are found by the datasets they read; without it no run reads any.
        effort: when one way of searching gives way to another.
    """

    def __init__(self, dataset_runs: DatasetRuns | None = None, effort: Effort | None = None) -> None:
        self._dataset_runs = dataset_runs
        self._effort = effort or Effort()

    def find(
        self,
        tx: Transaction,
        experiment_ids: Sequence[int],
        filter: str = "",
        order_by: Sequence[str] = (),
        view: View = View.ACTIVE,
        max_results: int = 1_000,
        page_token: str = "",
    ) -> FoundRuns:
        """A page of the runs of some experiments that match a filter.

        Runs without a key that is ordered by come last in either direction, and NaN just before them; ties are ordered
        by the latest start, then by id. Texts are ordered by their first 200 characters.

        Raises:
            InvalidInputError: a filter or order that cannot be read, a token nobody gave out, or too much at once.
        """
        if not 1 <= max_results <= RESULTS_LIMIT:
            raise InvalidInputError(
                f"max_results is {max_results}", hint=f"use 1 to {RESULTS_LIMIT}", field="max_results"
            )
        if len(experiment_ids) > EXPERIMENTS_LIMIT:
            raise InvalidInputError(
                f"{len(experiment_ids)} experiments cannot be searched at once",
                hint=f"name up to {EXPERIMENTS_LIMIT}",
                field="experiment_ids",
            )
        ids = tuple(sorted({int(each) for each in experiment_ids}))
        dialect = tx.connection.dialect.name
        levels = to_levels(parse_order(order_by, RUNS))
        search = (ids, filter, list(order_by), view)
        kinds = [int if rank.is_number else str for level in levels for rank in level.ranks]
        query = Query(
            experiment_ids=ids,
            view=view,
            conditions=tuple(
                to_condition(clause, ids, dialect, self._dataset_runs) for clause in parse_filter(filter, RUNS)
            ),
            levels=levels,
            need=max_results + 1,
            after=read_token(page_token, search, kinds) if page_token else None,
        )
        found = find_runs(tx.connection, query, self._effort)
        page = found[:max_results]
        following = write_token(search, page[-1].ranks) if len(found) > max_results else ""
        return FoundRuns(read_runs(tx.connection, [each.number for each in page]), following)
