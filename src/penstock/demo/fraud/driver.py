"""Drives a penstock through the periods of a claims office: claims, closed files, and what the loop makes of them."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import polars as pl
from blake3 import blake3
from msgspec import Struct

from penstock.core import codec
from penstock.core.ids import PredictionId
from penstock.demo.fraud.files import ASKED, OfficeFiles
from penstock.demo.fraud.source import AT, CLOSED_AFTER, ID, LABEL, PERIOD, Claims
from penstock.demo.port import Tell
from penstock.predictions.types import Outcome

DAYS = PERIOD.days


class Answered(Struct, frozen=True):
    """What the gateway says of one claim."""

    id: str
    score: float


class _Answers(Struct, frozen=True):
    predictions: list[Answered]


class ClaimsPenstock(Protocol):
    """A penstock that serves the project of the office; `LivePenstock` is one."""

    def release_first(self, tell: Tell) -> None:
        """Train and release the first model; does nothing once one is released."""
        ...

    def ask(self, bodies: Sequence[dict[str, Any]]) -> list[bytes]:
        """The answers to some requests, in the same order."""
        ...

    def add_outcomes(self, outcomes: list[Outcome]) -> None:
        """Tell what became of claims."""
        ...

    def wait_settled(self, tell: Tell) -> str:
        """Wait until the loop has done all it can with what it knows."""
        ...


class Office:
    """One run over a source of claims; begun anew after an interruption, it goes on with the period not finished.

    Outcomes are late and one-sided: a fraud is told when it is found out, within twelve weeks; of an honest claim
    nobody ever hears, and absence counts as honest once its file is closed.

    Args:
        source: the claims.
        penstock: what answers and learns.
        files: what was written down.
        tell: called with lines for people.
    """

    def __init__(self, source: Claims, penstock: ClaimsPenstock, files: OfficeFiles, tell: Tell) -> None:
        self._source = source
        self._penstock = penstock
        self._files = files
        self._tell = tell

    def warm_up(self) -> None:
        """Close the files of the time before the first release, and release the first model."""
        for period in range(self._source.warm_up):
            self._close(period)
        self._penstock.release_first(self._tell)

    def run_period(self, period: int) -> pl.DataFrame:
        """Carry a period through; returns its claims with their scores."""
        claims, days = self._source.claims(period), []
        for day, held in self._by_day(period, claims):
            asked = self._files.find_asked(period, day)
            if asked is None:
                asked = self._ask(held)
                self._files.put_asked(period, day, asked)
            days.append(asked)
        scored = claims.join(pl.concat(days), on=ID, how="left") if days else claims.clear()
        if not self._files.is_done(period):
            self._close(period)
            self._report(period)
            self._penstock.wait_settled(self._tell)
            self._files.finish(period)
        return scored

    def _by_day(self, period: int, claims: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
        start = self._source.start(period)
        for day in range(DAYS):
            begin, end = (start + timedelta(days=at) for at in (day, day + 1))
            held = claims.filter(pl.col(AT) >= begin, pl.col(AT) < end)
            if held.height:
                yield day, held

    def _ask(self, claims: pl.DataFrame) -> pl.DataFrame:
        """One request for each claim, as they come in."""
        inputs = claims.drop(ID, AT, LABEL).to_dicts()
        bodies = [{"rows": [row], "time": at.isoformat()} for row, at in zip(inputs, claims[AT].to_list(), strict=True)]
        found = [codec.decode(content, _Answers).predictions[0] for content in self._penstock.ask(bodies)]
        columns = {
            ID: claims[ID].to_list(),
            "prediction_id": [one.id for one in found],
            "score": [one.score for one in found],
        }
        return pl.DataFrame(columns, schema=ASKED)

    def _close(self, period: int) -> None:
        """Close the files that are due by the end of a period."""
        end = self._source.start(period + 1)
        self._files.close(period, closed_between(self._source, end - PERIOD, end))

    def _report(self, period: int) -> None:
        """Tell the frauds that were found out in a period."""
        begin, end = self._source.start(period), self._source.start(period + 1)
        outcomes = []
        for earlier in range(max(period - CLOSED_AFTER // PERIOD, self._source.warm_up), period + 1):
            asked = {name: found for name, found, _ in self._list_asked(earlier)}
            for name, at in self._source.claims(earlier).filter(pl.col(LABEL) == 1).select(ID, AT).iter_rows():
                found_at = at + find_delay(name)
                if begin <= found_at < end:
                    outcomes.append(Outcome(prediction_id=PredictionId(asked[name]), value=1, at=found_at))
        self._penstock.add_outcomes(outcomes)

    def _list_asked(self, period: int) -> list[tuple[str, str, float]]:
        held = [self._files.find_asked(period, day) for day in range(DAYS)]
        return [row for frame in held if frame is not None for row in frame.select(list(ASKED)).iter_rows()]


def find_delay(claim: str) -> timedelta:
    """How long after a claim its fraud is found out, always the same for a claim: any time until its file is closed."""
    return CLOSED_AFTER * (int.from_bytes(blake3(claim.encode()).digest(length=4)) / 2**32)


def closed_between(source: Claims, begin: datetime, end: datetime) -> pl.DataFrame:
    """The claims whose files are closed in a stretch of time."""
    first = (begin - CLOSED_AFTER - source.start(0)) // PERIOD
    held = [source.claims(period) for period in (first, first + 1) if 0 <= period < source.periods]
    if not held:
        return source.claims(0).clear()
    due = pl.col(AT) + CLOSED_AFTER
    return pl.concat(held).filter(due >= begin, due < end)
