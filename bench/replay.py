"""Does the loop pay? Policies of retraining on real streams, ours beside the best of the usual ones.

The regret of a stream is what the best of static, sliding, growing, ADWIN-triggered and evenly spaced retraining scores
above ours. ADWIN needs `river`; without it that policy, and the evenly spaced one that copies its number of retrains,
are left out, and the table says so. What the usual policies score does not change with ours, so it is kept in a folder.

    python bench/replay.py --data FOLDER [--cache FOLDER] [--only NAME ...] [--chunks 40] [--delay 0] [--cost 0.03]
"""

import argparse
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penstock.datasets.frames.formats import read_table
from penstock.loop.replay.history import History, Setup, read_history
from penstock.loop.replay.live import Deployed, Moment
from penstock.loop.replay.policies import make_policy
from penstock.loop.replay.probing import Loop
from penstock.loop.replay.run import PolicyResult, replay
from penstock.loop.retraining.case import Rule

try:
    from river.drift import ADWIN
except ImportError:
    ADWIN = None

MOST_ROWS = 50_000
COMPAS = ("sex", "age", "race", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count", "c_charge_degree")
# label, columns that are no features, warm-up, whether its figures count against the targets
STREAMS: dict[str, tuple[str, tuple[str, ...], float, bool]] = {
    "elec2": ("class", (), 0.1, True),
    "noaa_weather": ("target", (), 0.1, True),
    "bank_marketing": ("y", ("duration",), 0.1, True),
    "keystroke": ("target", (), 0.2, True),
    "occupancy": ("Occupancy", ("date",), 0.1, True),
    "phishing": ("target", (), 0.1, True),
    "sea_known_drifts": ("target", (), 0.1, True),
    "vehicle_claim_fraud": ("FraudFound_P", ("PolicyNumber", "accident_month", "Year"), 0.2, True),
    "compas_two_years": ("two_year_recid", (), 0.2, True),
    "bike_hourly": ("cnt", ("instant", "dteday", "yr", "casual", "registered"), 0.1, True),
    "spam": ("target", (), 0.1, True),
    "luxembourg": ("target", (), 0.2, False),
    "ai4i_2020": ("Machine failure", ("UID", "Product ID", "TWF", "HDF", "PWF", "OSF", "RNF"), 0.1, False),
    "diabetes_readmission": ("readmitted", ("encounter_id", "patient_nbr"), 0.1, False),
    "rbf_known_drifts": ("target", (), 0.05, False),
    "outdoor": ("target", (), 0.2, False),
}
USUAL = ("static", "sliding", "growing", "adwin", "spaced")


class AdwinTriggered:
    """Retrains on the last window when ADWIN says that the error of the deployed model went up."""

    def __init__(self) -> None:
        self._detector = ADWIN(delta=0.002)

    def act(self, moment: Moment) -> Deployed | None:
        if moment.newest is None:
            return None
        has_fired = False
        for error in moment.errors(moment.newest):
            before = self._detector.estimation
            self._detector.update(float(error))
            has_fired |= self._detector.drift_detected and self._detector.estimation > before
        if not has_fired:
            return None
        self._detector = ADWIN(delta=0.002)
        return moment.fit(moment.last(moment.history.warmup), "last window")


class EvenlySpaced:
    """Retrains a given number of times on the last window, at equal distances."""

    def __init__(self, times: int, chunks: int) -> None:
        self._at = {round((number + 1) * chunks / (times + 1)) for number in range(times)}

    def act(self, moment: Moment) -> Deployed | None:
        return moment.fit(moment.last(moment.history.warmup), "last window") if moment.chunk in self._at else None


def read_stream(folder: Path, name: str, chunks: int, delay: int) -> History:
    """A stream as a history."""
    label, drop, warmup, _ = STREAMS[name]
    frame = read_table(folder / f"{name}.parquet").head(MOST_ROWS)
    if name == "compas_two_years":
        frame = frame.select(*COMPAS, label)
    if name == "diabetes_readmission":
        frame = frame.with_columns(frame[label] == "<30")
    task = "multiclass" if name in ("outdoor", "rbf_known_drifts") else None
    return read_history(frame, Setup(label=label, drop=drop, warmup=warmup, chunks=chunks, delay=delay, task=task))


def run_usual(name: str, history: History, spaced: int) -> PolicyResult | None:
    """The result of a usual policy; None where it needs what is not installed."""
    if name in ("adwin", "spaced") and ADWIN is None:
        return None
    if name == "adwin":
        return replay(history, AdwinTriggered())
    return replay(history, EvenlySpaced(spaced, history.chunks) if name == "spaced" else make_policy(name))


def read_usual(cache: Path | None, stream: str, history: History, key: str) -> dict[str, PolicyResult]:
    """The results of the usual policies, from the folder where they are kept if they are there."""
    kept = None if cache is None else cache / f"{stream}-{key}.json"
    found = msgspec.json.decode(kept.read_bytes(), type=dict[str, PolicyResult]) if kept and kept.exists() else {}
    for name in USUAL:
        if name not in found:
            spaced = found["adwin"].refits if "adwin" in found else 0
            made = run_usual(name, history, spaced)
            if made is not None:
                found[name] = made
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.json.encode(found))
    return found


def compare(ours: PolicyResult, usual: dict[str, PolicyResult]) -> dict[str, Any]:
    """The figures of one stream."""
    found: dict[str, Any] = {"score": ours.score, "refits": ours.refits, "fits": ours.fits, "cpu": ours.fit_cpu_s}
    found["sliding_cpu"] = usual["sliding"].fit_cpu_s
    if ours.metric == "mae":
        return found | {"ratio": ours.score / usual["sliding"].score}
    found["regret"] = max(result.score for result in usual.values()) - ours.score
    found["above_static"] = ours.score - usual["static"].score
    if ours.auc is not None:
        found["auc"] = ours.auc
        found["auc_regret"] = max(result.auc for result in usual.values() if result.auc is not None) - ours.auc
    return found


def tell(name: str, row: dict[str, Any], usual: dict[str, PolicyResult]) -> None:
    """One line of a stream."""
    told = "  ".join(f"{policy} {result.score:.4g} ({result.refits})" for policy, result in usual.items())
    cells = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key not in ("sliding_cpu",))
    print(f"{name:22} {cells}  cpu/sliding {row['cpu'] / row['sliding_cpu']:.2f}\n{'':22} {told}", flush=True)


def summarise(rows: dict[str, dict[str, Any]]) -> None:
    """The figures beside their targets."""
    counted = [row for name, row in rows.items() if STREAMS[name][3]]

    def mean(key: str) -> float:
        return float(np.mean([row[key] for row in counted if key in row] or [np.nan]))

    cpu = sum(row["cpu"] for row in counted) / sum(row["sliding_cpu"] for row in counted)
    print(f"\n{'':44}{'here':>8}  target")
    print(f"{'mean regret, accuracy':44}{mean('regret'):8.4f}  at most 0.010")
    print(f"{'mean regret, area under the ROC curve':44}{mean('auc_regret'):8.4f}  at most 0.015")
    print(f"{'retrains, all streams':44}{sum(row['refits'] for row in counted):8}  at most 80")
    print(f"{'CPU of all fits, as a share of sliding':44}{cpu:8.2f}  at most 0.75")
    for row in counted:
        if "ratio" in row:
            print(f"{'bike_hourly, error as a share of sliding':44}{row['ratio']:8.3f}  at most 1.15")
    lowest = min((row["above_static"] for row in rows.values() if "above_static" in row), default=np.nan)
    print(f"{'worst stream, accuracy above static':44}{lowest:+8.4f}  at least -0.010")
    if ADWIN is None:
        print(
            "river is not installed, so ADWIN-triggered and evenly spaced retraining are not among the usual policies"
        )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with the streams as Parquet files")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--only", nargs="*", default=[name for name, stream in STREAMS.items() if stream[3]])
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--delay", type=int, default=0)
    parser.add_argument("--cost", type=float, default=Rule().cost)
    parser.add_argument("--z", type=float, default=Rule().z)
    parser.add_argument("--memory", type=float, default=Rule().memory)
    parser.add_argument("--window-z", type=float, default=Rule().window_z)
    chosen = parser.parse_args()
    if chosen.data is None:
        print("replay: give the folder with the streams as --data")
        return
    rule = Rule(cost=chosen.cost, z=chosen.z, memory=chosen.memory, window_z=chosen.window_z)
    rows = {}
    for name in chosen.only:
        history = read_stream(chosen.data, name, chosen.chunks, chosen.delay)
        usual = read_usual(chosen.cache, name, history, f"{chosen.chunks}-{chosen.delay}")
        rows[name] = compare(replay(history, Loop(rule)), usual)
        tell(name, rows[name], usual)
    summarise(rows)


if __name__ == "__main__":
    main()
