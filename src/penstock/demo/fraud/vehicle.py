"""Real motor claims as a source: the layout is that of the "vehicle claim fraud" data (Angoss, 1994 to 1996).

A claim's day follows from the month, the week of the month and the day of the week of its accident.
"""

from datetime import datetime
from pathlib import Path

import polars as pl

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.demo.fraud.source import AT, ID, LABEL, PERIOD
from penstock.monitoring.windows import window_start

WARM_UP = 13  # periods: a year
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = {"AgeOfPolicyHolder": "age", "Deductible": "deductible", "DriverRating": "driver_rating"}
CATEGORIES = {
    "Make": "make",
    "AccidentArea": "area",
    "Sex": "sex",
    "MaritalStatus": "marital_status",
    "Fault": "fault",
    "VehicleCategory": "vehicle",
    "VehiclePriceRange": "vehicle_price",
    "Days_Policy_Accident": "days_since_policy",
    "Days_Policy_Claim": "days_policy_to_claim",
    "PastNumberOfClaims": "past_claims",
    "AgeOfVehicle": "vehicle_age",
    "PoliceReportFiled": "police_report",
    "WitnessPresent": "witness",
    "AgentType": "agent",
    "NumberOfSuppliments": "supplements",
    "AddressChange_Claim": "address_changed",
    "NumberOfCars": "cars",
    "BasePolicy": "cover",
}
NEEDED = ("accident_month", "WeekOfMonthOfAccident", "DayOfWeekOfAccident", "PolicyNumber", "FraudFound_P")


class VehicleClaims:
    """Claims of a file, by the day of the accident.

    Args:
        claims: what `read_vehicle` gave.
        periods: how many at most, warm-up included; None for all.
    """

    warm_up = WARM_UP

    def __init__(self, claims: pl.DataFrame, *, title: str, periods: int | None = None) -> None:
        first = claims[AT].min()
        assert isinstance(first, datetime)
        self._origin = window_start(first, PERIOD)
        period = (pl.col(AT) - self._origin).dt.total_microseconds() // round(PERIOD.total_seconds() * 1e6)
        parts = claims.with_columns(period=period).partition_by("period", as_dict=True)
        self._by_period = {key[0]: part.drop("period") for key, part in parts.items()}
        count = int(max(self._by_period)) + 1
        if count <= WARM_UP:
            raise InvalidInputError(
                f"the claims span {count} periods of four weeks", hint=f"the first {WARM_UP} only train the first model"
            )
        self.periods = min(count, periods) if periods else count
        self.title = title

    def start(self, period: int) -> datetime:
        """A Monday."""
        return self._origin + PERIOD * period

    def claims(self, period: int) -> pl.DataFrame:
        """The claims of a period."""
        return self._by_period.get(period, next(iter(self._by_period.values())).clear())


def read_vehicle(path: Path) -> pl.DataFrame:
    """The claims of a Parquet or CSV file in the form that a source gives.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it lacks a column.
    """
    if not path.exists():
        raise NotFoundError(f"there is no file {path}")
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    lacking = [name for name in (*NEEDED, *NUMBERS, *CATEGORIES) if name not in frame.columns]
    if lacking:
        raise InvalidInputError(
            f"{path} lacks the columns {', '.join(lacking)}", hint="it has to be the 'vehicle claim fraud' table"
        )
    week = (pl.col("WeekOfMonthOfAccident") - 1) * 7
    weekday = pl.col("DayOfWeekOfAccident").replace_strict({day: place for place, day in enumerate(DAYS)}, default=0)
    days = pl.duration(days=(week + weekday).clip(0, 27), hours=12)
    return frame.select(
        pl.format("p{}", "PolicyNumber").alias(ID),
        (pl.col("accident_month").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + days).alias(AT),
        *(pl.col(name).cast(pl.Float64).alias(alias) for name, alias in NUMBERS.items()),
        *(pl.col(name).cast(pl.String).fill_null("none").alias(alias) for name, alias in CATEGORIES.items()),
        pl.col("FraudFound_P").cast(pl.Int64).alias(LABEL),
    ).sort(AT, ID)
