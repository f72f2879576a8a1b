"""Where claims come from: a port, filled by the simulated ring and by a file of real claims."""

from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

PERIOD = timedelta(days=28)  # one window of the monitor
CLOSED_AFTER = timedelta(days=84)  # a file is closed then: what was not found to be fraud counts as honest
ID, AT, LABEL = "claim_id", "at", "fraud"  # the columns that are no inputs


class Claims(Protocol):
    """Claims by period of four weeks. The same source gives the same claims, whatever was asked before."""

    title: str
    warm_up: int  # periods before the first release
    periods: int  # of the whole, warm-up included

    def start(self, period: int) -> datetime:
        """When a period begins, UTC; the monitor's windows begin there too."""
        ...

    def claims(self, period: int) -> pl.DataFrame:
        """The claims of a period in the order of time: `claim_id`, `at`, the inputs, and `fraud` (0 or 1)."""
        ...
