"""`penstock monitor` and `penstock status` on a deployment with a history."""

from pathlib import Path

import numpy as np
import pytest

from lending_world import PROJECT, Lender, truth_of
from penstock.monitoring.monitor import Monitor
from shop_world import DAY, START


@pytest.fixture
def watched(nowhere: Path) -> Path:
    """A project whose inputs move, and whose model fails in the south four days later."""
    project = PROJECT + '[evaluation]\nslices = ["faith"]\n'
    (nowhere / "penstock.toml").write_text(project)
    (nowhere / ".penstock").mkdir()
    lender = Lender.open_released(nowhere / ".penstock", project)
    for day in range(10):
        inputs = lender.people(300) if day < 3 else lender.people(300, noise=lambda values: values + 0.8)
        truth, south = truth_of(inputs, lender.rng), (inputs["region"] == "south").to_numpy()
        lender.request(START + day * DAY, inputs, np.where(south & (day >= 7), 1 - truth, truth))
    Monitor(lender.services, lender.project).tick()
    lender.db.close()
    return nowhere


@pytest.mark.sqlite
def test_the_lamps_the_estimates_and_what_the_budget_was_spent_on_are_shown(watched: Path, penstock) -> None:
    said = penstock("monitor")
    assert (said.code, said.err) == (0, "")
    for told in (
        "● inputs changed since 2011-03-10",
        "? estimated performance unknown",
        "● measured performance changed",
    ):
        assert told in said.out
    assert "drift (calls nobody)" in said.out and "region = south" in said.out and "withdrawn" in said.out
    assert "false alarms allowed" in said.out
    assert "no segments by faith: the reference has no such column" in said.out
    told = penstock("monitor", "--json").json
    assert [told["lamps"][name]["state"] for name in ("inputs", "estimated", "measured")] == ["on", "unknown", "on"]
    assert sum(watch["allowed"] for watch in told["spending"]["watches"]) == pytest.approx(1)
    status = penstock("status")
    assert "● inputs changed" in status.out and status.code == 0
    assert penstock("status", "--json").json["lamps"] == told["lamps"]
