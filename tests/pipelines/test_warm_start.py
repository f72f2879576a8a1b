"""A pipeline that goes on from the present champion."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import penstock as ps
from penstock.core.errors import InvalidInputError
from penstock.tracking.types import RunStatus
from pipelines.workshop import PIPELINE, Workshop, open_workshop

WARM = (
    PIPELINE.replace("import Candidate, Data", "import Candidate, Champion, Data")
    .replace("def fit(train: pl.DataFrame, *,", "def fit(train: pl.DataFrame, before, *,")
    .replace(
        "    return LogisticRegression(C=strength).fit(",
        "    model = LogisticRegression(C=strength, warm_start=True) if before is None else before\n"
        '    print("goes on from", None if before is None else len(before.classes_))\n'
        "    return model.fit(",
    )
    .replace("def train(people: Data, strength", "def train(people: Data, before: Champion = None, strength")
    .replace("fit(past, strength", "fit(past, before, strength")
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    shop = open_workshop(tmp_path)
    (shop.root / "pipeline.py").write_text(WARM)
    yield shop
    shop.db.close()


@pytest.mark.slow
def test_a_step_is_given_the_model_that_was_made_before(shop: Workshop) -> None:
    worker = shop.worker()
    first = shop.pipelines.request_run("tiny")
    assert worker.work_once()
    done = shop.pipelines.get_run(first.id)
    assert (done.status, done.error) == (RunStatus.FINISHED, "")
    assert read_log(shop, first.id) == b"goes on from None\n"

    assert done.candidate is not None
    version = shop.registry.register("tiny", first.id, done.candidate.model, done.candidate.info)
    shop.registry.move_alias("tiny", "champion", version.version)
    second = shop.pipelines.request_run("tiny")
    assert worker.work_once()
    after = shop.pipelines.get_run(second.id)
    assert (after.status, after.error) == (RunStatus.FINISHED, "")
    assert read_log(shop, second.id) == b"goes on from 2\n"
    assert shop.pipelines.explain_step(second.id, "fit") != [], "it is no longer the step that it was"
    worker.place.compute.close()


def read_log(shop: Workshop, run: str) -> bytes:
    log = shop.artifacts.get_artifact(run, "steps/fit.log")
    return shop.objects.get_bytes(log.digest)


@ps.step
def go_on(rows: pl.DataFrame, before: object) -> object:
    return rows.height if before is None else before


@ps.pipeline
def warm(rows: ps.Data, before: ps.Champion = None) -> ps.Candidate:
    return ps.Candidate(go_on(rows, before), test=rows)


def test_it_is_no_parameter_and_none_while_nobody_gives_one() -> None:
    assert (warm.data, warm.champions, warm.params) == (("rows",), ("before",), ())
    rows = pl.DataFrame({"y": [1, 2]})
    assert warm.run(rows=rows).model == 2
    assert warm.run(rows=rows, before="a model").model == "a model"
    assert warm.trace({}).goes_on
    with pytest.raises(InvalidInputError, match="no parameter 'before'"):
        warm.trace({"before": 1})
