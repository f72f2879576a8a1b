"""Rows that models are fitted on here."""

import numpy as np
import polars as pl

COUNT = 300
_CHANCE = np.random.default_rng(3)
NUMBERS = pl.DataFrame(
    {
        "age": _CHANCE.integers(18, 90, COUNT),
        "income": np.where(_CHANCE.random(COUNT) < 0.1, np.nan, _CHANCE.normal(size=COUNT)),
        "score": _CHANCE.normal(size=COUNT),
    }
)
WHOLE = NUMBERS.with_columns(pl.col("income").fill_nan(0.0))
MIXED = NUMBERS.with_columns(city=pl.Series(_CHANCE.choice(["Bern", "Basel", "Chur"], COUNT)))
BINARY = (NUMBERS["age"] + 20 * NUMBERS["score"] > 50).to_numpy().astype(int)
CLASSES = np.array(["low", "middle", "high"])[np.digitize(NUMBERS["age"].to_numpy(), [40, 60])]
AMOUNT = NUMBERS["age"].to_numpy() * 3.0 + NUMBERS["score"].to_numpy()
