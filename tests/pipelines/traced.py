"""A small pipeline for the tests of tracing."""

from typing import Any

from penstock.pipelines.graph import Candidate, Data
from penstock.pipelines.pipeline import pipeline
from penstock.pipelines.step import step

CALLS: list[str] = []


@step
def split(rows: list[int], *, parts: int = 2) -> tuple[list[int], list[int]]:
    CALLS.append("split")
    middle = len(rows) // parts
    return rows[:middle], rows[middle:]


@step(cpus=2, retries=1, cache=False, timeout_s=60)
def fit(train: list[int], *, rate: float) -> float:
    CALLS.append("fit")
    return sum(train) * rate


@step()
def best(models: list[float]) -> float:
    return max(models)


@pipeline
def train(numbers: Data, rate: float = 0.5, deep: bool = False) -> Candidate:
    past, recent = split(numbers)
    first = fit(past, rate=rate)
    second = fit(past, rate=rate * 2)
    return Candidate(best([first, second]), test=recent, label="y")


@pipeline
def asks_too_early(numbers: Data) -> Candidate:
    past, recent = split(numbers)
    if past:
        recent = past
    return Candidate(fit(past, rate=1.0), test=recent)


@pipeline
def passes_an_object(numbers: Data) -> Candidate:
    past, recent = split(numbers)
    return Candidate(fit(past, rate=object()), test=recent)  # type: ignore[arg-type]


@pipeline
def returns_nothing(numbers: Data) -> Any:
    split(numbers)


@pipeline
def unpacks_one_value(numbers: Data) -> Candidate:
    models: Any = fit(numbers, rate=1.0)
    low, high = models
    return Candidate(low, test=high)


@pipeline
def has_a_local_step(numbers: Data) -> Candidate:
    @step
    def local(rows: list[int]) -> int:
        return 1

    return Candidate(local(numbers), test=numbers)
