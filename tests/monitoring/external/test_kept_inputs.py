"""Inputs of a model elsewhere leave as ours do, with its first rows, which later ones are held against, among them."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from elsewhere_world import DAY, MONITOR, START, Elsewhere
from keeping_world import collect, tell_everything
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.project.types import PerformanceSection
from penstock.monitoring.external.ingest import log_rows
from penstock.monitoring.external.rows import Roles

ROLES = Roles(time="at", prediction="rent", label="truth", label_time="known_at", id="id")
KEPT = replace(MONITOR, performance=PerformanceSection(metric="mae"), keep_inputs=timedelta(days=30))
SIZE = 31.4159  # of one flat, that nobody else has


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    elsewhere = Elsewhere(tmp_path)
    elsewhere.sources.external.declare("rent", "regression", KEPT)
    return elsewhere


def log(elsewhere: Elsewhere, day: int, n: int = 60) -> None:
    size = np.append(elsewhere.rng.normal(70, 10, n - 1), SIZE + day)
    frame = pl.DataFrame(
        {
            "id": [f"{day}-{number}" for number in range(n)],
            "at": [START + day * DAY + DAY * (number / n) for number in range(n)],
            "size": size,
            "owner": [f"canary-{day}-{number}" for number in range(n)],
            "town": ["north", "south"] * (n // 2),
            "rent": size * 10,
            "truth": size * 10 + elsewhere.rng.normal(0, 5, n),
        }
    )
    log_rows(elsewhere.sources, "rent", frame.with_columns(known_at=pl.col("at") + DAY), ROLES)


def work(elsewhere: Elsewhere) -> None:
    while elsewhere.tick():
        pass


def test_neither_rows_to_compare_with_nor_rows_to_estimate_by_outlive_the_retention(elsewhere: Elsewhere) -> None:
    db, objects = elsewhere.db, elsewhere.sources.objects
    for day in range(3):
        log(elsewhere, day)
    work(elsewhere)
    before = elsewhere.sources.monitoring.list_windows("rent")
    told = list(tell_everything(db, objects))
    assert any("canary-0-7" in text for text in told) and any("'features'" in text for text in told)
    elsewhere.clock.advance(days=31)
    work(elsewhere)
    collect(db, objects)
    told = list(tell_everything(db, objects))
    assert not any("canary" in text or "'features'" in text for text in told)
    after = elsewhere.sources.monitoring.list_windows("rent")
    assert [(held.drift, held.performance, held.loss) for held in after[:2]] == [
        (held.drift, held.performance, held.loss) for held in before
    ]
    assert [held.estimate and held.estimate.note for held in after[:2]] == [
        held.estimate and held.estimate.note for held in before
    ]


def test_new_rows_are_held_against_the_sketch_that_is_left(elsewhere: Elsewhere) -> None:
    for day in range(2):
        log(elsewhere, day)
    work(elsewhere)
    elsewhere.clock.advance(days=31)
    work(elsewhere)
    collect(elsewhere.db, elsewhere.sources.objects)
    for day in range(40, 43):
        log(elsewhere, day)
    work(elsewhere)
    newest = elsewhere.sources.monitoring.list_windows("rent")[-1]
    assert newest.start == START + 41 * DAY and newest.number > 2
    assert {column.column: column.test for column in newest.drift}["size"] == "ks"
    (version,) = elsewhere.sources.external.list_versions("rent")
    assert version.reference_dropped_at is not None
    assert elsewhere.sources.external.drop_reference("rent", 1) == version
    with pytest.raises(NotFoundError, match="version 9 of 'rent'"):
        elsewhere.sources.external.drop_reference("rent", 9)


def test_how_long_they_are_kept_is_a_length_of_time_that_can_be(elsewhere: Elsewhere) -> None:
    with pytest.raises(InvalidInputError, match=r"monitor\.keep_inputs"):
        elsewhere.sources.external.declare("rent", "regression", replace(KEPT, keep_inputs=timedelta(days=99_999)))
