"""The worked example itself: labels without leakage, learners that learn, a project file without mistakes."""

from datetime import timedelta
from types import ModuleType

import polars as pl
import pytest

from demo.offline import load_project as load_pipeline
from penstock.core.project.parse import load_project
from penstock.demo.events import History, read_goods, request_inputs
from penstock.demo.scaffold import PROJECT
from penstock.demo.shop import SimulatedShop
from penstock.demo.simulator import ShopSettings


@pytest.fixture(scope="module")
def pipeline() -> ModuleType:
    return load_pipeline(PROJECT)


@pytest.fixture(scope="module")
def shop() -> SimulatedShop:
    return SimulatedShop(ShopSettings(customers=300, goods=120, weeks=12))


@pytest.fixture(scope="module")
def events(shop: SimulatedShop) -> pl.DataFrame:
    return pl.concat(shop.warm_up_events())


def test_the_project_file_has_no_mistakes() -> None:
    project = load_project(PROJECT)
    assert project.task == "ranking"
    assert set(project.data) == {"events", "catalogue"}


def test_a_moment_knows_nothing_of_what_it_is_asked_for(
    pipeline: ModuleType, shop: SimulatedShop, events: pl.DataFrame
) -> None:
    moments = pipeline.label(events, shop.catalogue(8), days=7)
    touched = events.sort("user", "at", "event_id")
    for at, user, recent, wanted in moments.select("at", "user", "recent", "relevant").sample(40, seed=1).iter_rows():
        own = touched.filter(pl.col("user") == user)
        before = own.filter(pl.col("at") < at)["item"].to_list()[::-1][:200]
        after = own.filter((pl.col("at") >= at) & (pl.col("at") < at + timedelta(days=7)))
        assert recent.split() == before
        assert set(wanted) <= set(after["item"])


def test_the_newest_week_is_tested_on_and_never_learned_from(
    pipeline: ModuleType, shop: SimulatedShop, events: pl.DataFrame
) -> None:
    moments = pipeline.label(events, shop.catalogue(8), days=7)
    past, reference, recent = pipeline.split(moments, stretches=5)
    assert past["at"].max() < recent["at"].min()
    assert set(past["stretch"]) == {1, 2, 3, 4, 5}
    assert len(past) > len(reference) > len(recent) * 1.5
    assert {"new_user", "new_item", "long_tail"} <= set(recent.columns)


def test_a_request_of_the_shop_looks_as_the_pipeline_learned_it(
    pipeline: ModuleType, shop: SimulatedShop, events: pl.DataFrame
) -> None:
    history = History()
    for week in shop.warm_up_events()[:-1]:
        history.add(week)
    recent = pipeline.split(pipeline.label(events, shop.catalogue(8), days=7), stretches=5)[2]
    goods = read_goods(shop.catalogue(8))
    last = shop.warm_up_events()[-1]["user"].unique()
    rows = recent.filter(pl.col("user").is_in(last.implode()) & (pl.col("at") >= shop.week_start(7)))
    assert len(rows) > 50
    for row in rows.select("user", "recent", "aisle", "intake").iter_rows(named=True):
        assert request_inputs(row["user"], history.recent(row["user"]), goods) == row


def test_the_chosen_model_beats_both_baselines(pipeline: ModuleType, shop: SimulatedShop, events: pl.DataFrame) -> None:
    past, _, recent = pipeline.split(pipeline.label(events, shop.catalogue(8), days=7), stretches=40)
    best, table = pipeline.compare(past)
    scores = dict(table.filter(pl.col("metric") == "recall_at_20").select("model", "value").iter_rows())
    assert set(table["metric"]) == {"recall_at_20", "ndcg_at_20", "mrr_at_20", "coverage_at_20"}
    assert (
        table.filter(pl.col("metric") != "coverage_at_20").select("low", "high").null_count().sum_horizontal()[0] == 0
    )
    assert set(scores) == {"popularity", "last-viewed", "item-item", "factors"}
    assert scores[best["learner"]] > max(scores["popularity"], scores["last-viewed"])
    model = pipeline.fit(past, best)
    counts = pipeline.count(past)
    popular = pipeline.popularity(counts)
    assert pipeline._recall(model, recent) > pipeline._recall(popular, recent)
    assert model.inputs == ("user", "recent", "aisle", "intake")


def test_the_whole_pipeline_gives_a_candidate(pipeline: ModuleType, shop: SimulatedShop, events: pl.DataFrame) -> None:
    candidate = pipeline.train.run(events=events, catalogue=shop.catalogue(8))
    assert candidate.label == "relevant"
    assert len(candidate.model.suggest([])[0]) == 100
    graph = pipeline.train()
    assert [step.name for step in graph.steps] == ["label", "split", "compare", "fit"]
