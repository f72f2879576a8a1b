"""How the shop's suggestions are trained: events become moments, learners compete, the best faces the newest week.

Nothing here knows of servers or rollouts: steps are functions that can be called and tested one by one.
"""

from datetime import timedelta

import polars as pl
from learners import LEARNERS, Mix, assemble, count, last_viewed, popularity

import penstock as ps
from penstock.evaluation.evaluate import evaluate

RECENT = 200  # how many touched items a request carries
YOUNGEST = 5  # of the items touched last, the youngest one says how new a customer's interests are
NEW = timedelta(weeks=4)  # a customer or an item is new for so long
METRICS = ("recall_at_20", "ndcg_at_20", "mrr_at_20", "coverage_at_20")
CHECKED = 500  # moments are enough to choose by
MIXES = [Mix(similar=similar, again=again, popular=0.1) for similar in (0.1, 0.2, 0.5) for again in (0.2, 1.0)]


@ps.step
def label(events: pl.DataFrame, catalogue: pl.DataFrame, *, days: int) -> pl.DataFrame:
    """Moments to learn from: one for each customer in each stretch of `days`, counted back from the newest event.

    `relevant` is what the customer touched in those days. What a request carries - `recent`, the `aisle` of the newest
    item, and `intake`, the month in which the youngest of the last items came into the shop - lies before them.
    """
    events = events.sort("user", "at", "event_id")
    end = events["at"].max() + timedelta(microseconds=1)
    stretch = (pl.lit(end) - pl.col("at")).dt.total_microseconds() // (days * 86_400_000_000)
    events = events.with_columns(stretch=stretch, row=pl.int_range(pl.len()))
    first_row = events.group_by("user").agg(first_row=pl.col("row").min(), user_since=pl.col("at").min())
    item_since = events.group_by("item").agg(item_since=pl.col("at").min())
    moments = (
        events.join(item_since, on="item")
        .group_by("user", "stretch")
        .agg(
            at=pl.col("at").min(),
            row=pl.col("row").min(),
            relevant=pl.col("item").unique().sort(),
            newest=pl.col("item_since").max(),
        )
        .join(first_row, on="user")
        .sort("at", "user")
    )
    items = events["item"].to_list()
    spans = [(max(first, row - RECENT), row) for first, row in moments.select("first_row", "row").iter_rows()]
    before = [items[low:high][::-1] for low, high in spans]
    aisle_of = dict(catalogue.select("item", "aisle").iter_rows())
    month_of = dict(catalogue.select("item", pl.col("since").dt.strftime("%Y-%m")).iter_rows())
    return moments.select(
        "at",
        "stretch",
        "user",
        pl.Series("recent", [" ".join(row) for row in before]),
        pl.Series("aisle", [aisle_of.get(row[0], "none") if row else "none" for row in before]),
        pl.Series(
            "intake", [max((month_of.get(item, "") for item in row[:YOUNGEST]), default="none") for row in before]
        ),
        "relevant",
        new_user=pl.col("at") - pl.col("user_since") < NEW,
        new_item=pl.col("at") - pl.col("newest") < NEW,
    )


@ps.step
def split(moments: pl.DataFrame, *, stretches: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The newest stretch is the test; the `stretches` before are for learning, and their newest two the reference."""
    past = moments.filter(pl.col("stretch").is_between(1, stretches))
    reference = past.filter(pl.col("stretch") <= 2).drop("stretch")
    recent = moments.filter(pl.col("stretch") == 0).drop("stretch")
    return past, reference, _mark_long_tail(past, recent)


@ps.step
def compare(past: pl.DataFrame) -> tuple[dict[str, object], pl.DataFrame]:
    """Let learners and baselines suggest for the last two stretches of the past, having seen only what lies before.

    Returns:
        The learner and the mix with the best recall, and a table of all metrics with their intervals; the table stands
        in the log of this step as well.
    """
    is_check = pl.col("stretch") <= 2
    counts, check = count(past.filter(~is_check)), past.filter(is_check)
    check = check.gather_every(-(-len(check) // CHECKED))
    models, mixes = {"popularity": popularity(counts), "last-viewed": last_viewed(counts)}, {}
    for name, learn in LEARNERS.items():
        learnt = learn(counts)
        tried = [assemble(counts, learnt, mix, depth=20) for mix in MIXES]
        mixes[name] = max(range(len(tried)), key=lambda number: _recall(tried[number], check))
        models[name] = tried[mixes[name]]
    table = pl.concat([_measure(name, model, check) for name, model in models.items()])
    recalls = dict(table.filter(pl.col("metric") == "recall_at_20").select("model", "value").iter_rows())
    learner = max(mixes, key=lambda name: recalls[name])
    with pl.Config(tbl_rows=-1):
        print(f"{learner} is trained on; {len(check)} moments were checked\n{table}")
    return {"learner": learner, "mix": mixes[learner]}, table


@ps.step
def fit(past: pl.DataFrame, best: dict[str, object]) -> ps.RankingModel:
    """Train the winner on all of the past."""
    counts = count(past)
    return assemble(counts, LEARNERS[best["learner"]](counts), MIXES[best["mix"]])


@ps.pipeline
def train(events: ps.Data, catalogue: ps.Data, days: int = 7, stretches: int = 40) -> ps.Candidate:
    """From events to a candidate."""
    moments = label(events, catalogue, days=days)
    past, reference, recent = split(moments, stretches=stretches)
    best, _ = compare(past)
    return ps.Candidate(fit(past, best), test=recent, label="relevant", reference=reference)


def _recall(model: ps.RankingModel, check: pl.DataFrame) -> float:
    suggested = model.predict(check)["items"].list.head(20)
    hits = check["relevant"].list.set_intersection(suggested).list.len()
    return float((hits / check["relevant"].list.len()).mean())


def _measure(name: str, model: ps.RankingModel, check: pl.DataFrame) -> pl.DataFrame:
    """Every metric of a model with its interval; the moments of one customer count as one."""
    suggested, known = model.predict(check), len(model.items)
    found = evaluate(
        suggested, check, label="relevant", task="ranking", metrics=METRICS, cluster="user", catalogue=known
    )
    rows = [(name, held.name, held.value, held.low, held.high) for held in found.report.metrics if held.name in METRICS]
    return pl.DataFrame(rows, schema=["model", "metric", "value", "low", "high"], orient="row")


def _mark_long_tail(past: pl.DataFrame, recent: pl.DataFrame) -> pl.DataFrame:
    """Whether most of what is wanted lies outside the items that made up half of all demand."""
    demand = past["relevant"].explode().value_counts(sort=True)
    head = demand.filter(pl.col("count").cum_sum() <= demand["count"].sum() / 2)["relevant"].to_list()
    in_head = recent["relevant"].list.eval(pl.element().is_in(head)).list.mean()
    return recent.with_columns(long_tail=in_head < 0.5)
