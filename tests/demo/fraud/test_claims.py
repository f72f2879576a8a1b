"""The sources of claims: the simulated ring, and a file of real ones."""

import os
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.demo.fraud.driver import closed_between
from penstock.demo.fraud.simulator import RINGS, WARM_UP, ClaimSettings, SimulatedClaims
from penstock.demo.fraud.source import AT, CLOSED_AFTER, ID, LABEL, PERIOD
from penstock.demo.fraud.vehicle import VehicleClaims, read_vehicle
from penstock.monitoring.windows import window_start


def office() -> SimulatedClaims:
    return SimulatedClaims(ClaimSettings())


def test_the_same_seed_gives_the_same_claims_whatever_was_asked_before() -> None:
    one, other = office(), office()
    one.claims(3)
    assert one.claims(9).equals(other.claims(9))
    assert not SimulatedClaims(ClaimSettings(seed=8)).claims(9).equals(one.claims(9))


def test_claims_lie_in_their_period_in_order_and_periods_are_windows() -> None:
    source = office()
    claims = source.claims(5)
    assert claims[AT].is_sorted() and claims[ID].is_unique().all()
    assert source.start(5) <= claims[AT].min() and claims[AT].max() < source.start(6)  # type: ignore[operator]
    assert window_start(source.start(5), PERIOD) == source.start(5)


def test_the_ring_changes_its_ways_and_the_share_of_fraud_stays() -> None:
    source = office()
    before, after = (
        pl.concat([source.claims(period) for period in periods]).filter(pl.col(LABEL) == 1)
        for periods in (range(WARM_UP), range(*source.settings.turns))
    )
    for ring, frauds, others in ((RINGS[0], before, after), (RINGS[1], after, before)):
        told = pl.col("garage").is_in([f"g{number:02d}" for number in ring.garages])
        assert frauds.select(told.mean()).item() > 3 * others.select(told.mean()).item()
    assert after.height / len(range(*source.settings.turns)) == pytest.approx(before.height / WARM_UP, rel=0.2)


def test_sales_move_the_inputs_before_the_ring_does_and_do_no_harm() -> None:
    source, settings = office(), ClaimSettings()
    assert settings.online_from < settings.turns[0]
    honest = [source.claims(p).filter(pl.col(LABEL) == 0) for p in (settings.online_from - 1, settings.online_from)]
    shares = [held.select((pl.col("channel") == "online").mean()).item() for held in honest]
    assert shares[0] < 0.05 and shares[1] > 0.2


def test_every_file_is_closed_once_and_twelve_weeks_after_its_claim() -> None:
    source = SimulatedClaims(ClaimSettings(periods=6, per_period=50))
    closed = [closed_between(source, source.start(p), source.start(p + 1)) for p in range(9)]
    assert pl.concat(closed)[ID].n_unique() == sum(held.height for held in closed) == 6 * 50
    for period, held in enumerate(closed):
        if held.height:
            assert source.start(period) <= held[AT].min() + CLOSED_AFTER  # type: ignore[operator]


def table(**columns: object) -> pl.DataFrame:
    row = {
        "accident_month": "1994-01-01",
        "WeekOfMonthOfAccident": 2,
        "DayOfWeekOfAccident": "Wednesday",
        "PolicyNumber": 7,
        "FraudFound_P": 1,
        "AgeOfPolicyHolder": 40.0,
        "Deductible": 400,
        "DriverRating": 2,
        **{name: "x" for name in ("Make", "AccidentArea", "Sex", "MaritalStatus", "Fault", "VehicleCategory")},
        **{name: "x" for name in ("VehiclePriceRange", "Days_Policy_Accident", "Days_Policy_Claim")},
        **{name: "x" for name in ("PastNumberOfClaims", "AgeOfVehicle", "PoliceReportFiled", "WitnessPresent")},
        **{name: "x" for name in ("AgentType", "NumberOfSuppliments", "AddressChange_Claim", "NumberOfCars")},
        "BasePolicy": None,
    }
    return pl.DataFrame([row | columns])


def test_real_claims_get_their_day_and_what_is_missing_is_a_value(tmp_path: Path) -> None:
    table().write_csv(tmp_path / "claims.csv")
    claim = read_vehicle(tmp_path / "claims.csv").to_dicts()[0]
    assert f"{claim[AT]:%Y-%m-%d}" == "1994-01-10"  # the second week begins on the 8th, Wednesday is its third day
    assert (claim[ID], claim[LABEL], claim["cover"], claim["age"]) == ("p7", 1, "none", 40.0)


def test_another_table_or_too_short_a_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        read_vehicle(tmp_path / "nowhere.parquet")
    pl.DataFrame({"Make": ["Ford"]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(InvalidInputError, match="lacks the columns accident_month"):
        read_vehicle(tmp_path / "other.parquet")
    table().write_csv(tmp_path / "short.csv")
    with pytest.raises(InvalidInputError, match="1 periods of four weeks"):
        VehicleClaims(read_vehicle(tmp_path / "short.csv"), title="short")


@pytest.mark.skipif("PENSTOCK_DATA" not in os.environ, reason="PENSTOCK_DATA names no folder of real data")
def test_the_real_file_gives_all_its_claims() -> None:
    claims = read_vehicle(Path(os.environ["PENSTOCK_DATA"]) / "vehicle_claim_fraud.parquet")
    source = VehicleClaims(claims, title="real")
    assert sum(source.claims(period).height for period in range(source.periods)) == claims.height == 15_420
    assert claims[LABEL].mean() == pytest.approx(0.06, abs=0.002)
    assert source.start(1) - source.start(0) == timedelta(days=28)
