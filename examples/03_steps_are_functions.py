"""Write steps and a pipeline as plain functions, call a step by itself, and run the whole in this process."""

import polars as pl
from sklearn.linear_model import LinearRegression

import penstock as ps


@ps.step
def double(rows: pl.DataFrame) -> pl.DataFrame:
    """A step is a function; decorated or not, it can be called."""
    return rows.with_columns(y=2 * pl.col("x") + 1)


@ps.step
def fit(rows: pl.DataFrame) -> LinearRegression:
    """What a step returns is kept in a safe format, and the next run takes it from there."""
    return LinearRegression().fit(rows.select("x"), rows["y"])


@ps.pipeline
def train(rows: ps.Data) -> ps.Candidate:
    """Calling steps here only draws the graph; nothing runs yet."""
    known = double(rows)
    return ps.Candidate(fit(known), test=known, label="y")


if __name__ == "__main__":
    table = pl.DataFrame({"x": [1.0, 2.0, 3.0]})
    print(double(table))
    candidate = train.run(rows=table)
    print("slope", candidate.model.coef_, "intercept", candidate.model.intercept_)
