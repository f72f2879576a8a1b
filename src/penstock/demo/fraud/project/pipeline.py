"""How suspicion is learned: from closed files, of which the newest weigh most.

Nothing here knows of servers or rollouts: steps are functions that can be called and tested one by one.
"""

from datetime import timedelta

import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

import penstock as ps

LABEL, NO_INPUTS = "fraud", ("claim_id", "at", "fraud")
TESTED = 3  # every third of the newest files is kept for the test


@ps.step
def split(claims: pl.DataFrame, *, recent_days: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Every third of the newest files is the test; all others are for learning, and the newest of them the reference.

    The newest files alone know the present ways of fraud, so both sides need some of them.
    """
    rows = claims.sort("at", "claim_id").with_row_index("row")
    is_recent = pl.col("at") > rows["at"].max() - timedelta(days=recent_days)
    is_test = is_recent & (pl.col("row") % TESTED == 0)
    past, test = rows.filter(~is_test).drop("row"), rows.filter(is_test).drop("row")
    return past, past.filter(is_recent).drop(*NO_INPUTS), test


@ps.step
def fit(past: pl.DataFrame, *, half_life_days: int) -> Pipeline:
    """Gradient boosting on numbers and frequent categories; a file loses half its weight in `half_life_days`."""
    inputs = past.drop(*NO_INPUTS)
    texts = [name for name, kind in inputs.schema.items() if kind == pl.String]
    numbers = [name for name in inputs.columns if name not in texts]
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
    columns = ColumnTransformer([("texts", encoder, texts), ("numbers", "passthrough", numbers)])
    age_days = (past["at"].max() - past["at"]).dt.total_days()
    weights = 0.5 ** (age_days / half_life_days).to_numpy()
    model = HistGradientBoostingClassifier(max_iter=80, learning_rate=0.06, min_samples_leaf=10, random_state=0)
    return Pipeline([("columns", columns), ("model", model)]).fit(inputs, past[LABEL], model__sample_weight=weights)


@ps.pipeline
def train(claims: ps.Data, recent_days: int = 84, half_life_days: int = 112) -> ps.Candidate:
    """From closed files to a candidate."""
    past, reference, test = split(claims, recent_days=recent_days)
    return ps.Candidate(fit(past, half_life_days=half_life_days), test=test, label=LABEL, reference=reference)
