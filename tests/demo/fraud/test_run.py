"""The claims office on real processes: from an empty folder to its table, and the pages that tell it."""

from pathlib import Path

import httpx
import pytest
from rich.console import Console

from demo.test_run import started
from patience import PATIENCE_S
from penstock.demo.fraud.run import FraudOptions, FraudResult, run_fraud

PERIODS = 5  # the first one is measured at the end


@pytest.mark.slow
def test_the_claims_office_runs_to_its_table_and_its_pages_tell_it(tmp_path: Path) -> None:
    options, pages = FraudOptions(folder=tmp_path / "claims", periods=PERIODS), {}

    def look(result: FraudResult) -> None:
        for path in ("/", "/deployments/claims", "/deployments/claims/monitoring"):
            pages[path] = httpx.get(result.page_url + path, headers={"accept": "text/html"}, timeout=PATIENCE_S).text

    console = Console(width=160)
    with console.capture() as told:
        result = run_fraud(options, started, console, look)
    assert [held.claims for held in result.periods] == [600] * PERIODS
    assert result.share_caught > 0.5  # the ring does not change its ways so early
    assert result.episodes[0].state == "promoted"
    assert "of all frauds were among the tenth that was inspected" in told.get()
    text = pages["/deployments/claims/monitoring"]
    assert "Inputs: changed" in text and "Measured performance: changed" not in text
    assert "roc_auc by window" in text and "/channel" in text
    again = run_fraud(options, started, Console(quiet=True), lambda result: None)
    assert again.periods == result.periods
