"""Which way a metric is better, by its name alone: for whoever shows values without computing any."""

import re

HIGHER_IS_BETTER = frozenset(
    ("roc_auc", "average_precision", "accuracy", "f1", "precision", "recall", "f1_macro", "balanced_accuracy", "r2")
)
LOWER_IS_BETTER = frozenset(("log_loss", "brier", "mae", "mse", "rmse", "mape"))
RANKING_KINDS = frozenset(("recall", "ndcg", "mrr", "precision", "hit_rate", "map", "coverage"))
AT_K = re.compile(r"([a-z_]+)_at_([1-9]\d{0,3})")


def find_direction(name: str) -> int | None:
    """1 when higher is better, -1 when lower is; None for a metric of the user's own."""
    if name in LOWER_IS_BETTER:
        return -1
    at_k = AT_K.fullmatch(name)
    is_known = name in HIGHER_IS_BETTER or (at_k is not None and at_k[1] in RANKING_KINDS)
    return 1 if is_known else None
