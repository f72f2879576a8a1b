"""Performance estimated without outcomes, beside the truth, on real streams: how far off, and when it withdraws.

A model learns from the first 70 % of the warm-up and answers windows of 500 rows; the estimator is calibrated on the
last 30 % of the warm-up. Printed for each stream: what was measured; what the first calibration alone says of every
window (calibrated confidence as other tools show it) and how far off that is; and what penstock shows: the share of
windows with an estimate, how far off those are, how often it withdrew, and the standard error it claims.

    python bench/estimates.py --data DIR [--only NAME ...] [--delay WINDOWS] [--shuffle SEED] [--json]

DIR holds NAME.parquet of each stream. Outcomes of a window come --delay windows later (by
default one): what is shown of a window is what was shown when it had just closed. With --shuffle all rows are shuffled
first: nothing changes then, and every withdrawal and every alarm is false.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from blake3 import blake3
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from penstock.core.ids import Digest
from penstock.monitoring.answers import AnswerRows, pack_answers
from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.estimating import Chain
from penstock.monitoring.types import Estimate
from penstock.stats.metrics import find_metric

WINDOW = 500
COMPAS = ("sex", "age", "race", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count", "c_charge_degree")
# name -> label, columns that are no inputs, share of the rows that is the warm-up, metric
STREAMS: dict[str, tuple[str, tuple[str, ...], float, str]] = {
    "elec2": ("class", (), 0.1, "accuracy"),
    "noaa_weather": ("target", (), 0.1, "accuracy"),
    "phishing": ("target", (), 0.1, "accuracy"),
    "bank_marketing": ("y", ("duration",), 0.1, "accuracy"),
    "occupancy": ("Occupancy", ("date",), 0.1, "accuracy"),
    "sea_known_drifts": ("target", (), 0.1, "accuracy"),
    "vehicle_claim_fraud": ("FraudFound_P", ("PolicyNumber", "accident_month", "Year"), 0.2, "accuracy"),
    "diabetes_readmission": ("readmitted", ("encounter_id", "patient_nbr"), 0.1, "accuracy"),
    "compas_two_years": ("two_year_recid", (), 0.2, "accuracy"),
    "spam": ("target", (), 0.1, "accuracy"),
    "bike_hourly": ("cnt", ("instant", "dteday", "yr", "casual", "registered"), 0.1, "mae"),
}


def load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Inputs, truth, rows of the warm-up, and which inputs are categories."""
    label, dropped, share, metric = STREAMS[name]
    frame = pl.read_parquet(folder / f"{name}.parquet").filter(pl.col(label).is_not_null()).head(60_000)
    warm = int(frame.height * share)
    truth = frame[label] == "<30" if name == "diabetes_readmission" else frame[label]
    if metric != "mae":
        codes = {value: code for code, value in enumerate(sorted(truth.unique().to_list(), key=str))}
        truth = truth.replace_strict(codes, return_dtype=pl.Int64)
    inputs = frame.select(COMPAS) if name == "compas_two_years" else frame.drop(label, *dropped)
    columns, mask = [], []
    for column in inputs:
        is_text = not (column.dtype.is_numeric() or column.dtype == pl.Boolean)
        if is_text:
            known = column[:warm].cast(pl.String).drop_nulls().unique(maintain_order=True)[:250]
            column = column.cast(pl.String).replace_strict(
                {value: code for code, value in enumerate(known)}, default=None, return_dtype=pl.Float64
            )
        columns.append(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
        mask.append(is_text)
    return np.column_stack(columns), truth.to_numpy().astype(float), warm, np.array(mask)


def answer(name: str, inputs: np.ndarray, truth: np.ndarray, mask: np.ndarray, cut: int) -> AnswerRows:
    """What a model that learned from the first rows says of all of them."""
    regression = STREAMS[name][3] == "mae"
    learner = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    model = learner(
        max_iter=60,
        learning_rate=0.15,
        early_stopping=False,
        random_state=0,
        categorical_features=mask if mask.any() else None,
    ).fit(inputs[:cut], truth[:cut])
    keys = np.arange(len(truth))
    if regression:
        prediction = model.predict(inputs)
        features = np.column_stack([inputs, prediction])
        return AnswerRows({"prediction": prediction}, truth, keys, features, np.append(mask, False))
    score = model.predict_proba(inputs)[:, 1]
    return AnswerRows({"prediction": (score >= 0.5).astype(float), "score": score, "probabilities": score}, truth, keys)


class Store(dict[Digest, bytes]):
    """Objects in memory."""

    def keep(self, data: bytes) -> Digest:
        digest = Digest(blake3(data).hexdigest())
        self[digest] = data
        return digest


def follow(name: str, rows: AnswerRows, cut: int, warm: int, delay: int) -> dict[str, Any]:
    """All windows of one stream."""
    metric, store = STREAMS[name][3], Store()
    windows = [np.arange(start, start + WINDOW) for start in range(warm, len(rows) - WINDOW + 1, WINDOW)]
    held_out = rows.take(np.arange(cut, warm))
    task: Any = "regression" if metric == "mae" else "binary"

    parts = [rows.take(own) for own in windows]
    blind = [
        AnswerRows(part.outputs, np.full(WINDOW, math.nan), part.keys, part.features, part.is_category)
        for part in parts
    ]
    names = [str(number) for number in range(len(windows))]
    fitted: dict[Digest, Any] = {}

    def chain(estimates: list[Estimate]) -> Chain:
        budget = AlarmBudget(0.25, 90)
        return Chain(
            task=task,
            metric=metric,
            estimates=estimates,
            names=names,
            is_final=[False] * len(names),
            comparable=[True] * len(names),
            held_out=lambda: (held_out, "test"),
            budget=budget,
            read=store.__getitem__,
            keep=store.keep,
            fitted=fitted,
        )

    plain = chain([Estimate(metric=metric, material=store.keep(pack_answers(part))) for part in blind]).follow()
    found, live = [], []  # as recorded in the end, and as it stood when each window had just closed
    for at, part in enumerate(blind):
        if at >= delay:
            known = Estimate(metric=metric, material=store.keep(pack_answers(parts[at - delay])))
            found[at - delay : at - delay + 1] = [known]
        if delay:
            found.append(Estimate(metric=metric, material=store.keep(pack_answers(part))))
        found = chain(found).follow(max(at - delay, 0))
        live.append(found[at])
    truth = np.array([find_metric(metric).fn(rows.truth[own], rows.outputs["prediction"][own]) for own in windows])
    always = np.array([held.value if held.value is not None else math.nan for held in plain])
    shown = np.array([held.value if held.value is not None else math.nan for held in live])
    withdrawn = sum(
        bool(after.state.withdrawn) and not before.state.withdrawn
        for before, after in zip([live[0], *live[:-1]], live, strict=True)
    ) + bool(live[0].state.withdrawn)
    errors = [held.standard_error for held in live if held.standard_error is not None]
    return {
        "stream": name,
        "metric": metric,
        "windows": len(windows),
        "measured": round(float(truth.mean()), 3),
        "always": round(float(always.mean()), 3),
        "always_off": round(float(np.abs(always - truth).mean()), 3),
        "correlation": round(float(np.corrcoef(always, truth)[0, 1]), 2),
        "shown_share": round(float((~np.isnan(shown)).mean()), 2),
        "shown_off": round(float(np.nanmean(np.abs(shown - truth))), 3) if errors else None,
        "claimed_se": round(float(np.mean(errors)), 3) if errors else None,
        "withdrawals": withdrawn,
        "dropped": sum(held.dropped for held in live),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(STREAMS))
    parser.add_argument("--delay", type=int, default=1)
    parser.add_argument("--shuffle", type=int)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.json:
        print(f"{'stream':22}{'windows':>8}{'measured':>10} | first calibration alone: ", end="")
        print(f"{'estimate':>9}{'off by':>8}{'corr.':>7}", end="")
        print(f" | shown: {'share':>6}{'off by':>8}{'se':>7}{'withdrawals':>12}{'alarms':>8}")
    for name in arguments.only:
        inputs, truth, warm, mask = load(arguments.data, name)
        if arguments.shuffle is not None:
            order = np.random.default_rng(arguments.shuffle).permutation(len(truth))
            inputs, truth = inputs[order], truth[order]
        cut = int(warm * 0.7)
        found = follow(name, answer(name, inputs, truth, mask, cut), cut, warm, arguments.delay)
        if arguments.json:
            print(json.dumps(found), flush=True)
            continue
        off, se = (f"{found[key]:.3f}" if found[key] is not None else "-" for key in ("shown_off", "claimed_se"))
        print(
            f"{name:22}{found['windows']:8}{found['measured']:10.3f} | {'':24}{found['always']:10.3f}"
            f"{found['always_off']:8.3f}{found['correlation']:7.2f} | {'':6}{found['shown_share']:6.2f}{off:>8}{se:>7}"
            f"{found['withdrawals']:12}{found['dropped']:8}",
            flush=True,
        )


if __name__ == "__main__":
    main()
