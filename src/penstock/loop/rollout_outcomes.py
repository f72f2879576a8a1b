"""What outcomes say of both revisions of a rollout."""

from collections.abc import Callable

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.project.types import Task
from penstock.monitoring.performance import bounded_values, group_losses, read_labelled_rows
from penstock.registry.format.types import Label
from penstock.serving.types import Rollout
from penstock.stats.arrays import FloatArray
from penstock.stats.sequential.evidence import Sums, add_up
from penstock.stats.sequential.rewards import WeighedRewards

PAIRED = "roc_auc"  # its values are of pairs of rows
BOUNDED = ("binary", "multiclass", "ranking")  # tasks whose losses lie in 0 to 1 as they are


class Outcomes(Struct, frozen=True):
    """Sums of what is known, by revision; empty where none are to be had."""

    rewards: dict[int, Sums] = {}
    metric: dict[int, Sums] = {}
    weighed: dict[str, WeighedRewards] = {}  # `reward`, `metric` of both revisions, where the shares change
    problem: str = ""  # why they could not be read


def add_up_outcomes(
    rollout: Rollout, task: Task, metric: str, rows: pl.DataFrame, classes: dict[int, tuple[Label, ...]]
) -> Outcomes:
    """What is known of the candidate and of the stable revision.

    Where a rollout goes through several shares of the traffic, rewards and values of the metric are weighed by the
    chance with which their revision was chosen; pairs of scores are not, as no pair was chosen by itself. Then a
    customer counts once, with what he was shown at the share at which he came first: at a later one his revision is no
    new choice.

    Args:
        rollout: which.
        task: of the models.
        metric: that is watched.
        rows: predictions with their outcomes; in the shadow also the copies.
        classes: of the models of both revisions, by their numbers.
    """
    is_copy = pl.col("status") == "shadow"
    answered = pl.col("answered").is_null()
    of_candidate = (pl.col("revision") == rollout.revision) & (is_copy if rollout.is_in_shadow else answered)
    shares = {share for share in rollout.steps if 0 < share < 1}
    if len(shares) > 1 and not rollout.is_in_shadow:
        rows = _first_choices(rows, rollout)
    own = {rollout.revision: rows.filter(of_candidate)}
    if rollout.baseline is not None:
        own[rollout.baseline] = rows.filter((pl.col("revision") == rollout.baseline) & answered)
    losses = {
        number: group_losses(task, metric, read_labelled_rows(task, held, classes[number]))
        for number, held in own.items()
    }
    scale = 1.0 if task in BOUNDED else _scale(losses)
    rewards = {number: _rewards(found, scale) for number, found in losses.items()}
    weighed: dict[str, WeighedRewards] = {}
    has_shares = len(shares) > 1 and not rollout.is_in_shadow
    if has_shares:
        weighed["reward"] = _weigh(
            rollout,
            own,
            lambda number, part: _rewards(
                group_losses(task, metric, read_labelled_rows(task, part, classes[number])), scale
            ),
        )
    metrics = {}
    if rollout.margins.metric is not None:

        def read(number: int, part: pl.DataFrame) -> FloatArray:
            """Values of the metric; pairs of rows have to stay pairs when more outcomes come."""
            order = ("outcome_at", "id")
            return bounded_values(metric, read_labelled_rows(task, part, classes[number], order=order))

        metrics = {number: add_up(read(number, held)) for number, held in own.items()}
        if has_shares and metric != PAIRED:
            weighed["metric"] = _weigh(rollout, own, read)
    return Outcomes({number: add_up(values) for number, values in rewards.items()}, metrics, weighed)


def _weigh(
    rollout: Rollout, own: dict[int, pl.DataFrame], read: Callable[[int, pl.DataFrame], FloatArray]
) -> WeighedRewards:
    """What was earned by both revisions, weighed by the chance with which each was chosen."""
    shares = [share for share in rollout.steps if 0 < share < 1]
    weighed = WeighedRewards(floor=min(min(share, 1 - share) for share in shares))
    for number, held in own.items():
        for (chance,), part in held.group_by("chance", maintain_order=True):
            values = read(number, part)
            is_b = np.full(len(values), number == rollout.revision)
            weighed = weighed.add(values, is_b, np.full(len(values), chance))
    return weighed


def _first_choices(rows: pl.DataFrame, rollout: Rollout) -> pl.DataFrame:
    """The rows of each customer at the share at which he came first, with `chance`: that of the candidate."""
    chance = pl.when(pl.col("revision") == rollout.revision).then("propensity").otherwise(1 - pl.col("propensity"))
    held = rows.with_columns(
        chance=chance.round(9), customer=pl.when(pl.col("key") == "").then("id").otherwise("key")
    ).filter(pl.col("chance").is_between(0, 1, closed="none"), pl.col("answered").is_null())
    first = pl.col("chance").sort_by("at", "id").first().over("customer")
    return held.filter(pl.col("chance") == first)


def _rewards(losses: FloatArray, scale: float) -> FloatArray:
    return 1.0 - np.minimum(losses[~np.isnan(losses)] / scale, 1.0)


def _scale(losses: dict[int, FloatArray]) -> float:
    """What counts as a total loss: an error that only one row in a hundred exceeds."""
    together = np.concatenate(list(losses.values())) if losses else np.zeros(0)
    return float(np.quantile(together, 0.99)) or 1.0 if len(together) else 1.0
