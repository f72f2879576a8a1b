"""Finds runs in an order, and decides how: neither database knows what is in the tables well enough.

An index in the order of the first key is walked, a stretch at a time; the clauses are tried on each run of a stretch,
and the stretch is sorted by the remaining keys. When matches are so rare that it would be a long walk, the matches of
one clause are counted, up to a bound that grows with the walk, and where they are fewer than what is left to walk they
are fetched and sorted instead. A value that more runs share than fit in a stretch is walked by the next key. So the
first page costs about as many rows as the better of the two ways has to look at, and no statement sorts a big table
unless nothing else can be done.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from penstock.storage.records import fetch
from penstock.tracking.search.conditions import Condition
from penstock.tracking.search.levels import Index, Level, Segment
from penstock.tracking.search.sql import TRUE, Sql, all_of, behind, values_of, within
from penstock.tracking.search.values import Range
from penstock.tracking.types import View

_MOST_EXPERIMENTS = 200  # whose indexes are walked side by side
_VIEWS = {View.ACTIVE: Sql("runs.deleted_at IS NULL"), View.DELETED: Sql("runs.deleted_at IS NOT NULL"), View.ALL: TRUE}

Ranks = tuple[Any, ...]


class Effort(Struct, frozen=True):
    """How far each way of searching is tried before another one is; results do not depend on it.

    Attributes:
        smallest_stretch: runs to look at in one statement, at least; of one experiment, where there are several, half.
        largest_stretch: the same, at most.
        least_walk: a shorter walk is not worth counting matches for.
    """

    smallest_stretch: int = 128
    largest_stretch: int = 20_000
    least_walk: int = 1_000


class Found(Struct, frozen=True):
    """A run in the order.

    Attributes:
        number: the run's internal key.
        ranks: where it stands: what the order compares.
    """

    number: int
    ranks: Ranks


class Query(Struct, frozen=True):
    """What is looked for, ready for the tables."""

    experiment_ids: tuple[int, ...]
    view: View
    conditions: tuple[Condition, ...]
    levels: tuple[Level, ...]
    need: int  # runs at most
    after: Ranks | None  # only runs behind this place


class _Driver(Struct, frozen=True):
    """The matches of one condition, few enough to fetch them all."""

    count: int
    rows: Sql


def find_runs(connection: Connection, query: Query, effort: Effort) -> list[Found]:
    """The first runs that match, in their order."""
    return _Search(connection, query, effort).find() if query.experiment_ids else []


class _Search:
    def __init__(self, connection: Connection, query: Query, effort: Effort) -> None:
        self._connection = connection
        self._query = query
        self._effort = effort
        self._found: list[Found] = []
        self._width = max(effort.smallest_stretch, query.need + query.need // 4)
        self._counted = 0

    def find(self) -> list[Found]:
        if self._query.levels[0].index is None or len(self._query.experiment_ids) > _MOST_EXPERIMENTS:
            driver = self._find_driver(self._effort.largest_stretch)
            return self._sort(self._everything() if driver is None else driver.rows)
        walked = 0
        for stretch, found in self._walk(0, (), self._query.after):
            walked += stretch
            self._found += found
            if self._left == 0:
                break
            ahead = int(self._left * walked / max(len(self._found), 0.5))
            driver = self._find_driver(min(ahead, max(2 * walked, 2 * self._effort.least_walk)))
            if driver is not None:
                self._found += self._sort(driver.rows)
                break
            wanted = min(ahead + ahead // 5, 4 * walked, self._effort.largest_stretch)
            self._width = max(self._effort.smallest_stretch, wanted)
        return self._found

    @property
    def _left(self) -> int:
        """How many runs are still to be found."""
        return self._query.need - len(self._found)

    def _everything(self) -> Sql:
        place = within(self._query.experiment_ids)
        return Sql(f"SELECT number AS run FROM runs WHERE {place.text}", place.values)

    def _find_driver(self, bound: int) -> _Driver | None:
        """The condition with the fewest matches, if no more than `bound`; to be in these experiments is one as well."""
        if bound < self._effort.least_walk or bound <= self._counted:
            return None
        self._counted = bound
        scope = within(self._query.experiment_ids)
        ways = [(Sql(f"SELECT 1 FROM runs WHERE {scope.text}", scope.values), self._everything())]
        ways += [(each.scan, each.matches) for each in self._query.conditions if each.scan and each.matches]
        text = ", ".join(f"(SELECT count(*) FROM ({scan.text} LIMIT {bound + 1}) AS counted)" for scan, _ in ways)
        counts = fetch(self._connection, f"SELECT {text}", values_of(scan for scan, _ in ways))[0]
        count, place = min((count, place) for place, count in enumerate(counts))
        return _Driver(count, ways[place][1]) if count <= bound else None

    def _walk(
        self, place: int, fixed: tuple[tuple[Level, Any], ...], start: Ranks | None
    ) -> Iterator[tuple[int, list[Found]]]:
        """Stretches of the order from level `place` on, among the runs with these values of the levels before.

        Args:
            place: the level.
            fixed: the levels before it with their values; None for runs without one.
            start: the ranks of the place to begin at, where that lies among these runs.

        Yields:
            How many runs were looked at, and those that match.
        """
        level = self._query.levels[place]
        if level.index is None:
            yield 0, self._sort(self._everything(), self._fixed_probes(fixed))
            return
        begin, value = (0, None) if start is None else level.find_place(start[: len(level.ranks)])
        for number, segment in enumerate(level.segments):
            if number < begin or not self._is_possible(level, segment):
                continue
            here = start if number == begin else None
            if segment.range is None:
                rest = None if here is None else here[len(level.ranks) :]
                yield from self._walk(place + 1, (*fixed, (level, None)), rest)
            else:
                yield from self._walk_segment(place, fixed, segment.range, here, value if here else None)

    def _walk_segment(
        self, place: int, fixed: tuple[tuple[Level, Any], ...], segment: Range, start: Ranks | None, value: Any
    ) -> Iterator[tuple[int, list[Found]]]:
        level = self._query.levels[place]
        index = level.index
        assert index is not None
        down = level.is_descending
        where = all_of([index.where, *self._where_started(level, fixed)])
        left = segment
        for each in self._conditions_on(level):
            left &= each.range or Range()
        if start is not None:
            left &= _from(value, down)
        while True:
            first, border = self._find_border(index, down, all_of([where, left.to_sql(index.column)]))
            if first is None:
                return
            if first == border:
                rest = start[len(level.ranks) :] if start is not None and first == value else None
                yield from self._walk(place + 1, (*fixed, (level, first)), rest)
                left &= _from(first, down, is_open=True)
                continue
            here = left if border is None else left & _from(border, not down, is_open=True)
            rows = all_of([self._scope_of(index), where, here.to_sql(index.column)])
            columns = f"{index.run} AS run, {index.column} AS raw"
            source = Sql(f"SELECT {columns} FROM {index.table} WHERE {rows.text}", rows.values)
            yield self._width, self._sort(source, self._fixed_probes(fixed), level)
            if border is None:
                return
            left &= _from(border, down)

    def _find_border(self, index: Index, is_descending: bool, place: Sql) -> tuple[Any, Any]:
        """The first value here, and the one at which to stop; None where nothing is left, or all that is left fits."""
        ids = self._query.experiment_ids if index.is_by_experiment else (None,)
        skipped = max(self._effort.smallest_stretch // 2, self._width // len(ids))
        direction = "DESC" if is_descending else "ASC"
        parts: list[Sql] = []
        for each in ids:
            here = all_of([TRUE if each is None else within((each,)), place])
            order = f"ORDER BY {index.column} {direction}"
            one = f"SELECT {index.column} FROM {index.table} WHERE {here.text} {order} LIMIT 1"
            parts.append(Sql(f"SELECT ({one}), ({one} OFFSET {skipped})", (*here.values, *here.values)))
        rows = fetch(self._connection, " UNION ALL ".join(part.text for part in parts), values_of(parts))
        choose = max if is_descending else min
        firsts = [first for first, _ in rows if first is not None]
        borders = [border for _, border in rows if border is not None]
        return choose(firsts, default=None), choose(borders, default=None)

    def _sort(self, source: Sql, fixed: Sequence[Sql] = (), walked: Level | None = None) -> list[Found]:
        """Those of the source that match and lie behind the last one found, in their order."""
        query = self._query
        known = self._conditions_on(walked)
        probes = [each.probe for each in query.conditions if each not in known]
        held = all_of([within(query.experiment_ids, "runs.experiment_id"), _VIEWS[query.view], *fixed, *probes])
        raws = [Sql("source.raw") if level is walked else level.raw for level in query.levels]
        shown = ", ".join(f"{raw.text} AS raw{place}" for place, raw in enumerate(raws))
        ranks = [
            (rank.text.replace("{}", f"raw{place}"), rank.is_descending)
            for place, level in enumerate(query.levels)
            for rank in level.ranks
        ]
        after = self._found[-1].ranks if self._found else query.after
        later = TRUE if after is None else behind(ranks, after)
        named = ", ".join(text for text, _ in ranks)
        order = ", ".join(f"{text} DESC" if is_descending else text for text, is_descending in ranks)
        text = (
            f"WITH source AS MATERIALIZED ({source.text}), "
            f"ranked AS MATERIALIZED (SELECT runs.number AS number, {shown} FROM source CROSS JOIN runs "
            f"WHERE runs.number = source.run AND {held.text}) "
            f"SELECT number, {named} FROM ranked WHERE {later.text} ORDER BY {order} LIMIT {self._left}"
        )
        values = (*source.values, *values_of(raws), *held.values, *later.values)
        return [Found(row[0], tuple(row[1:])) for row in fetch(self._connection, text, values)]

    def _scope_of(self, index: Index) -> Sql:
        return within(self._query.experiment_ids) if index.is_by_experiment else TRUE

    def _conditions_on(self, level: Level | None) -> list[Condition]:
        """Conditions on the very key of a level that its index answers."""
        if level is None:
            return []
        about = (each for each in self._query.conditions if each.subject == level.subject)
        return [each for each in about if each.range is not None]

    def _where_started(self, level: Level, fixed: tuple[tuple[Level, Any], ...]) -> list[Sql]:
        """Among runs that started at one moment, the ids lie in their order behind that in its index."""
        if level.subject[1] != "run_id" or not fixed or fixed[-1][0].subject[1] != "start_time":
            return []
        return [within(self._query.experiment_ids), Sql("started_at = ?", (fixed[-1][1],))]

    def _is_possible(self, level: Level, segment: Segment) -> bool:
        """Whether runs of a segment can match, as far as the conditions on this very key tell."""
        about = [each for each in self._query.conditions if each.subject == level.subject]
        if segment.range is None:
            return all(each.is_absence for each in about)
        return not any(each.is_absence for each in about)

    def _fixed_probes(self, fixed: tuple[tuple[Level, Any], ...]) -> list[Sql]:
        return [level.segments[-1].probe if value is None else level.equals(value) for level, value in fixed]


def _from(value: Any, is_descending: bool, *, is_open: bool = False) -> Range:
    """What comes from a value on in a direction; the value itself as well, unless that is left out."""
    if is_descending:
        return Range(None, value, is_high_open=is_open)
    return Range(value, None, is_low_open=is_open)
