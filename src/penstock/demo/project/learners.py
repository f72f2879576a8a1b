"""What the shop learns with: baselines, item-item similarity and a factorisation, each as one `RankingModel`.

All learn from moments: rows that say what a customer had touched before (`recent`, newest first) and what the customer
wanted next (`relevant`). Newer moments count more.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sparse
from scipy.sparse.linalg import svds

import penstock as ps

DECAY = 0.99  # weight of a place in `recent` against the one before it
HALF_LIFE_WEEKS = 8.0  # after so long a moment counts half
TREND_WEEKS = 2  # popularity is what was wanted in so many last weeks
NEIGHBOURS = 50
SHRINKAGE = 20.0  # so many moments without effect are added to each item, against flukes
RANK = 48
INPUTS = ("user", "recent", "aisle", "intake")  # of a request; the last two are watched for drift


@dataclass(frozen=True)
class Mix:
    """How much each part of a model counts."""

    similar: float  # items that go with those in `recent`
    again: float  # the items in `recent` themselves
    popular: float  # what everybody wants at present


@dataclass(frozen=True)
class Counts:
    """Moments as matrices; the columns are items."""

    items: list[str]
    recent: sparse.csr_matrix  # (moments, items), decayed by place
    wanted: sparse.csr_matrix  # (moments, items), 0 or 1
    weight: np.ndarray  # (moments,), by age
    trend: np.ndarray  # (items,), wanted in the last weeks; the most popular has 1


def count(moments: pl.DataFrame) -> Counts:
    """Turn moments into matrices."""
    wanted = moments["relevant"].to_list()
    before = [text.split() for text in moments["recent"].to_list()]
    items = sorted({item for row in wanted for item in row} | {item for row in before for item in row})
    place = {item: number for number, item in enumerate(items)}
    age_weeks = (moments["at"].max() - moments["at"]).dt.total_seconds().to_numpy() / (7 * 86_400)
    wanted_matrix = _matrix(wanted, place, decay=1.0)
    wanted_matrix.data[:] = 1.0
    trend = np.asarray(wanted_matrix[age_weeks < TREND_WEEKS].sum(axis=0), dtype=np.float64).ravel()
    return Counts(
        items=items,
        recent=_matrix(before, place, decay=DECAY),
        wanted=wanted_matrix,
        weight=0.5 ** (age_weeks / HALF_LIFE_WEEKS),
        trend=trend / max(trend.max(), 1.0),
    )


def item_item(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """How much more an item is wanted by those who touched another one before; and how much by the same item.

    Returns:
        Similarities of shape (items, items) with an empty diagonal, and the diagonal.
    """
    weighted = counts.recent.multiply(counts.weight[:, None]).tocsr()
    together = np.asarray((weighted.T @ counts.wanted).todense(), dtype=np.float64)
    touched = np.asarray(weighted.sum(axis=0), dtype=np.float64).ravel()
    share = counts.weight @ counts.wanted / counts.weight.sum()
    lift = (together - np.outer(touched, share)) / (touched[:, None] + SHRINKAGE)
    own = np.diag(lift).copy()
    np.fill_diagonal(lift, 0.0)
    return lift, own


def factors(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of items in the leading factors of what was wanted together (truncated SVD)."""
    often = np.asarray(counts.wanted.sum(axis=0), dtype=np.float64).ravel() + 5.0
    scaled = counts.wanted.multiply(np.sqrt(counts.weight)[:, None]).multiply(1.0 / np.sqrt(often)[None, :]).tocsc()
    rank = min(RANK, min(scaled.shape) - 1)
    _, _, components = svds(scaled.astype(np.float64), k=rank, random_state=0)
    similarity = components.T @ components
    np.fill_diagonal(similarity, 0.0)
    return similarity, np.zeros(len(often))


LEARNERS = {"item-item": item_item, "factors": factors}


def assemble(counts: Counts, learnt: tuple[np.ndarray, np.ndarray], mix: Mix, depth: int = 100) -> ps.RankingModel:
    """A model from what a learner gave; an item is suggested again the sooner the more it is in demand now."""
    similarity, own = learnt
    kept = min(NEIGHBOURS, len(counts.items) - 1)
    near = np.argpartition(-similarity, kept - 1, axis=1)[:, :kept]
    weights = mix.similar * np.maximum(np.take_along_axis(similarity, near, axis=1), 0.0)
    repeat = mix.again * (0.2 + counts.trend + own)
    return ps.RankingModel(
        counts.items,
        prior=mix.popular * counts.trend,
        repeat=repeat,
        neighbours=near,
        weights=weights,
        decay=DECAY,
        depth=depth,
        inputs=INPUTS,
    )


def popularity(counts: Counts) -> ps.RankingModel:
    """Baseline: what everybody wants at present."""
    return ps.RankingModel(counts.items, prior=counts.trend, depth=20)


def last_viewed(counts: Counts) -> ps.RankingModel:
    """Baseline: what the customer touched last, filled up with what is popular."""
    return ps.RankingModel(counts.items, prior=1e-6 * counts.trend, repeat=1.0, decay=0.9, depth=20)


def _matrix(rows: list[list[str]], place: dict[str, int], decay: float) -> sparse.csr_matrix:
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    columns = np.fromiter((place[item] for row in rows for item in row), np.int64, int(lengths.sum()))
    numbers = np.repeat(np.arange(len(rows)), lengths)
    order = np.arange(len(columns)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    values = (decay**order).astype(np.float32)
    return sparse.csr_matrix((values, (numbers, columns)), shape=(len(rows), len(place)))
