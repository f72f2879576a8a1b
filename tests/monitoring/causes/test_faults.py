"""Planted faults of every kind are found and named; data without any have none."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from penstock.monitoring.causes.faults import find_faults
from penstock.monitoring.causes.types import DataFault

RNG = np.random.default_rng(1)


def rows(n: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "height": rng.normal(170, 10, n),
            "weight": rng.normal(75, 12, n),
            "income": rng.lognormal(7, 1, n),
            "gain": rng.normal(0, 1, n),
            "age": rng.integers(18, 90, n),
            "city": rng.choice(["york", "bath", "ely"], n, p=[0.6, 0.3, 0.1]),
            "plan": rng.choice(["basic", "gold"], n, p=[0.9, 0.1]),
            "code": [f"c{number}" for number in rng.zipf(2.0, n)],
            "since": np.where(rng.random(n) < 0.02, np.nan, rng.normal(5, 2, n)),
        }
    )


def spoil(column: str, change: Callable[[np.ndarray], np.ndarray]) -> pl.DataFrame:
    now = rows(400, 2)
    return now.with_columns(pl.Series(column, change(now[column].to_numpy().copy())))


def some(share: float, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.where(np.random.default_rng(3).random(len(values)) < share, change(values), values)


@pytest.mark.parametrize(
    ("column", "change", "kind", "told"),
    [
        ("income", lambda values: values * 1000, "unit_change", "1,000 times"),
        ("height", lambda values: values * 0.01, "unit_change", "a hundredth"),
        ("gain", lambda values: values * 0.001, "unit_change", "a thousandth"),
        ("weight", lambda values: values * 2.2046, "unit_change", "pounds"),
        ("height", some(0.2, lambda values: values * 0.01), "unit_change", "of the rows"),
        ("since", some(0.3, lambda values: values * np.nan), "null_burst", "missing in"),
        ("age", lambda values: values * 0 + 30, "constant_column", "is 30 in every row"),
        ("city", lambda values: np.full(len(values), "ely"), "constant_column", "is ely in every row"),
        ("city", some(0.2, lambda values: np.full(len(values), "hull")), "new_category", "'hull'"),
    ],
)
def test_a_planted_fault_is_found_and_named(
    column: str, change: Callable[[np.ndarray], np.ndarray], kind: str, told: str
) -> None:
    (fault,) = find_faults(rows(2000, 1), spoil(column, change))
    assert (fault.kind, fault.columns) == (kind, [column])
    assert told in fault.detail


def test_values_of_few_rows_are_counted_and_not_named() -> None:
    number = iter(range(1000))
    now = spoil("city", some(0.2, lambda values: np.array([f"secret {next(number)}" for _ in values])))
    (fault,) = find_faults(rows(2000, 1), now)
    assert fault.kind == "new_category" and "new values in " in fault.detail and "secret" not in fault.detail
    half = now.with_columns(city=pl.when(pl.int_range(pl.len()) < 60).then(pl.lit("hull")).otherwise("city"))
    (fault,) = find_faults(rows(2000, 1), half)
    assert "'hull' and " in fault.detail and " more in " in fault.detail and "secret" not in fault.detail


def test_columns_that_were_swapped_are_named_together() -> None:
    now = rows(400, 2).rename({"height": "weight", "weight": "height"})
    (fault,) = find_faults(rows(2000, 1), now)
    assert (fault.kind, sorted(fault.columns)) == ("swapped_columns", ["height", "weight"])
    texts = rows(400, 2).rename({"city": "plan", "plan": "city"})
    (fault,) = find_faults(rows(2000, 1), texts)
    assert fault.kind == "swapped_columns"


def test_a_third_of_the_texts_going_empty_is_a_burst() -> None:
    now = rows(400, 2).with_columns(city=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("")).otherwise("city"))
    (fault,) = find_faults(rows(2000, 1), now)
    assert (fault.kind, fault.share) == ("null_burst", pytest.approx(1 / 3, abs=0.01))


def test_a_value_that_never_came_may_be_news_unless_it_is_misspelled_or_not_allowed() -> None:
    def fault_of(label: str, allowed: dict[str, list[str]] | None = None) -> DataFault:
        now = spoil("city", some(0.2, lambda values: np.full(len(values), label)))
        (fault,) = find_faults(rows(2000, 1), now, allowed)
        return fault

    assert not fault_of("hull").certain and "something new" in fault_of("hull").detail
    assert fault_of("Bath ").certain and "spelled otherwise" in fault_of("Bath ").detail
    assert fault_of("hull", {"city": ["york", "bath", "ely"]}).certain


def test_drift_that_is_no_fault_is_called_none() -> None:
    now = rows(400, 2)
    moved = now.with_columns(height=now["height"] + 15, income=now["income"] * 1.3)
    shares = moved.with_columns(city=pl.Series(np.random.default_rng(5).choice(["york", "bath", "ely"], 400)))
    assert find_faults(rows(2000, 1), shares) == []


def test_faults_are_invented_in_less_than_one_of_a_hundred_comparisons(request: pytest.FixtureRequest) -> None:
    comparisons, most = (100, 2) if request.config.getoption("--thorough") else (30, 1)
    found = [find_faults(rows(1000, seed), rows(200, 10_000 + seed)) for seed in range(comparisons)]
    assert sum(map(bool, found)) <= most


def test_a_handful_of_rows_is_not_judged() -> None:
    assert find_faults(rows(2000, 1), rows(10, 2).with_columns(age=pl.lit(30))) == []


def test_a_column_of_another_type_is_a_fault() -> None:
    reference = pl.DataFrame({"income": [float(n) for n in range(60)]})
    now = pl.DataFrame({"income": ["high", "low"] * 30})
    (fault,) = find_faults(reference, now)
    assert (fault.kind, fault.columns) == ("changed_type", ["income"])
    assert "texts, where the reference has numbers" in fault.detail
