"""The clauses of a search for runs, as conditions on the tables."""

from collections.abc import Callable

from msgspec import Struct, structs

from penstock.core.filters import Clause, Comparator
from penstock.tracking.search.grammar import ATTRIBUTE, DATASET, METRIC, NAME_TAG, PARAM, TAG
from penstock.tracking.search.sql import TRUE, Sql, all_of, within
from penstock.tracking.search.values import (
    Range,
    begins_with,
    compare_head,
    compare_metric,
    compare_text,
    compare_time,
    metric_range,
    time_range,
)

# For a clause on datasets: SELECT of the numbers of the runs that read such a one.
DatasetRuns = Callable[[Clause], Sql]

COLUMNS = {
    "run_id": "id",
    "run_name": "name",
    "user_id": "created_by",
    "artifact_uri": "artifact_uri",
    "start_time": "started_at",
    "end_time": "ended_at",
    "status": "status",
}
_TIMES = {"start_time", "end_time"}


class Condition(Struct, frozen=True):
    """One clause.

    Attributes:
        subject: the entity and key that it is about.
        probe: holds for a row of `runs`, or not.
        scan: SELECT 1 of the rows that have to be read to find all matches by an index; None where there is none.
        matches: SELECT of the matching runs' numbers as `run`, by that index.
        range: the values that match, on an index in the order of this key; None where they are no one range of it.
        is_absence: the clause asks for runs without the key.
    """

    subject: tuple[str, str]
    probe: Sql
    scan: Sql | None = None
    matches: Sql | None = None
    range: Range | None = None
    is_absence: bool = False


def to_condition(
    clause: Clause, experiment_ids: tuple[int, ...], dialect: str, dataset_runs: DatasetRuns | None
) -> Condition:
    """A clause as a condition on the runs of these experiments.

    Raises:
        InvalidInputError: a pattern that is too long.
    """
    if clause.entity == TAG and clause.key == NAME_TAG:
        return _about_name(clause, experiment_ids, dialect)
    if clause.entity == DATASET:
        return _about_dataset(clause, dataset_runs)
    if clause.entity == ATTRIBUTE:
        return _about_attribute(clause, experiment_ids, dialect)
    return _about_key(clause, experiment_ids, dialect)


def table_of(entity: str) -> str:
    """The table that keeps the values of an entity's keys."""
    return {METRIC: "metric_series", PARAM: "params"}.get(entity, "run_tags")


def _about_key(clause: Clause, experiment_ids: tuple[int, ...], dialect: str) -> Condition:
    """Of a metric, parameter or tag."""
    table = table_of(clause.entity)
    subject = (clause.entity, clause.key)
    matching: Range | None = None
    if clause.comparator in (Comparator.IS_NULL, Comparator.IS_NOT_NULL):
        on_index = rest = TRUE
        matching = Range()
    elif clause.entity == METRIC:
        on_index, rest = compare_metric("value", clause), TRUE
        matching = metric_range(clause)
    else:
        on_index, rest = compare_head(clause, dialect)
        if clause.comparator is Comparator.EQUAL and rest is TRUE:
            matching = Range(clause.value, clause.value)
    own = all_of([Sql(f"{table}.run = runs.number AND {table}.key = ?", (clause.key,)), on_index, rest])
    has = Sql(f"EXISTS (SELECT 1 FROM {table} WHERE {own.text})", own.values)
    if clause.comparator is Comparator.IS_NULL:
        return Condition(subject, Sql(f"NOT {has.text}", has.values), is_absence=True)
    place = all_of([within(experiment_ids), Sql("key = ?", (clause.key,)), on_index])
    whole = all_of([place, rest])
    return Condition(
        subject,
        has,
        scan=Sql(f"SELECT 1 FROM {table} WHERE {place.text}", place.values),
        matches=Sql(f"SELECT run FROM {table} WHERE {whole.text}", whole.values),
        range=matching,
    )


def _about_name(clause: Clause, experiment_ids: tuple[int, ...], dialect: str) -> Condition:
    """Every run has a name."""
    if clause.comparator in (Comparator.IS_NULL, Comparator.IS_NOT_NULL):
        return Condition((TAG, NAME_TAG), Sql("1 = 0" if clause.comparator is Comparator.IS_NULL else "1 = 1"))
    return _about_attribute(structs.replace(clause, entity=ATTRIBUTE, key="run_name"), experiment_ids, dialect)


def _about_attribute(clause: Clause, experiment_ids: tuple[int, ...], dialect: str) -> Condition:
    column = COLUMNS[clause.key]
    subject = (ATTRIBUTE, clause.key)
    if clause.key in _TIMES:
        here, there = compare_time(column, clause), compare_time(f"runs.{column}", clause)
        found = Condition(subject, there, range=time_range(clause))
        return found if clause.comparator is Comparator.NOT_EQUAL else _by_index(found, within(experiment_ids), here)
    if clause.key == "status":
        return _about_status(clause, subject, dialect)
    here, there = compare_text(column, clause, dialect), compare_text(f"runs.{column}", clause, dialect)
    found = Condition(subject, there)
    is_chosen = clause.comparator in (Comparator.EQUAL, Comparator.IN)
    start = begins_with(column, clause) if clause.comparator is Comparator.LIKE else None
    if clause.key == "run_id" and is_chosen:
        return _by_index(found, TRUE, here)
    if clause.key == "run_name" and is_chosen:
        return _by_index(found, within(experiment_ids), here)
    if clause.key in ("run_id", "run_name") and start is not None:
        place = TRUE if clause.key == "run_id" else within(experiment_ids)
        return _by_index(found, all_of([place, start]), here)
    return found


def _about_status(clause: Clause, subject: tuple[str, str], dialect: str) -> Condition:
    """Filters name a status in capitals, as MLflow does."""
    probe = compare_text("upper(runs.status)", clause, dialect)
    found = Condition(subject, probe)
    if clause.comparator is not Comparator.EQUAL:
        return found
    name = str(clause.value)
    if name != name.upper():
        return structs.replace(found, probe=Sql("1 = 0"))
    exact = structs.replace(found, probe=Sql("runs.status = ?", (name.lower(),)))
    # Not by experiment: the index begins with the status, and few runs have one that is worth searching by.
    return _by_index(exact, TRUE, Sql("status = ?", (name.lower(),)))


def _by_index(found: Condition, place: Sql, condition: Sql) -> Condition:
    """The same condition with a way to its matches by an index of `runs`."""
    whole = all_of([place, condition])
    return structs.replace(
        found,
        scan=Sql(f"SELECT 1 FROM runs WHERE {whole.text}", whole.values),
        matches=Sql(f"SELECT number AS run FROM runs WHERE {whole.text}", whole.values),
    )


def _about_dataset(clause: Clause, dataset_runs: DatasetRuns | None) -> Condition:
    subject = (DATASET, clause.key)
    if dataset_runs is None:
        return Condition(subject, Sql("1 = 0"))
    fitting = dataset_runs(clause)
    rows = Sql(f"SELECT DISTINCT run FROM ({fitting.text}) AS fitting", fitting.values)  # one run may read several
    return Condition(subject, Sql(f"runs.number IN ({rows.text})", rows.values), scan=rows, matches=rows)
