"""Watch a model that somebody else serves: log its predictions, hear what became of them, look at the windows."""

import tempfile
from datetime import UTC, datetime, timedelta

import numpy as np

import penstock


def main() -> None:
    chance = np.random.default_rng(0)
    folder = tempfile.TemporaryDirectory()
    services = penstock.connect(folder.name)
    penstock.monitor.watch("loans", "binary", metric="accuracy", services=services)
    for day in range(8):
        count = 300
        start = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=day)
        at = [start + timedelta(minutes=4 * number) for number in range(count)]
        ids = [f"{day}-{number}" for number in range(count)]
        bad = (chance.random(count) < 0.2).astype(int)
        right = chance.random(count) < 0.9
        rows = {
            "loan": ids,
            "at": at,
            "income": chance.normal(50 if day < 5 else 60, 10, count),  # on day 5 other people ask
            "score": np.where(right, bad, 1 - bad) * 0.6 + 0.2,
        }
        logged = penstock.monitor.log(
            rows, "loans", task="binary", score="score", time="at", id="loan", services=services
        )
        known = {"loan": ids, "bad": bad, "at": [moment + timedelta(hours=20) for moment in at]}
        penstock.monitor.outcomes(known, "loans", entity="loan", value="bad", time="at", services=services)
        print(f"day {day}: {logged.new_rows} predictions")
    for window in services.monitoring.list_windows("loans"):
        share = window.maturity.known if window.maturity else 0.0
        metric = window.performance.value if window.performance else None
        told = "?" if metric is None else f"{metric:.2f}"
        print(f"{window.start:%d %b}: accuracy {told} on {share:.0%} of the outcomes; moved: {window.drifted or '-'}")
    for alert in services.monitoring.list_alerts("loans"):
        print(f"{alert.kind}: {alert.summary}")
    services.close()
    folder.cleanup()


if __name__ == "__main__":
    main()
