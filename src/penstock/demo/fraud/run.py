"""`penstock demo --story fraud`: the claims office from an empty folder to a table."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import numpy as np
import polars as pl
from blake3 import blake3
from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock.core.errors import InvalidInputError
from penstock.demo.fraud.driver import Office
from penstock.demo.fraud.files import OfficeFiles, OfficeSettings
from penstock.demo.fraud.simulator import LIVE, WARM_UP, ClaimSettings, SimulatedClaims
from penstock.demo.fraud.source import LABEL, Claims
from penstock.demo.fraud.vehicle import VehicleClaims, read_vehicle
from penstock.demo.live import Handle, LivePenstock
from penstock.demo.port import EpisodeLine
from penstock.demo.scaffold import write_demo

PROJECT = "claims"
FILES = Path(__file__).parent / "project"
FEWEST_PERIODS = 5  # the first one is measured in the last of them
INSPECTED = 0.1  # share of the claims of a period that an inspector has time for

Start = Callable[[Path], AbstractContextManager[Handle]]


class FraudOptions(Struct, frozen=True, kw_only=True):
    """What `penstock demo --story fraud` was asked for."""

    folder: Path = Path("claims")
    data: Path | None = None  # a file of real claims; None for the simulator
    periods: int | None = None  # after the first release
    seed: int = 7


class PeriodResult(Struct, frozen=True, kw_only=True):
    """How a period went."""

    period: int
    claims: int
    frauds: int
    caught: int  # among the claims with the highest scores, as many as there is time to inspect


class FraudResult(Struct, frozen=True, kw_only=True):
    """All of it."""

    title: str
    periods: list[PeriodResult]
    episodes: list[EpisodeLine]
    page_url: str = ""

    @property
    def share_caught(self) -> float:
        """Of all frauds, those that were among the inspected claims."""
        return sum(held.caught for held in self.periods) / max(sum(held.frauds for held in self.periods), 1)


Linger = Callable[[FraudResult], None]


def run_fraud(options: FraudOptions, start: Start, console: Console, linger: Linger) -> FraudResult:
    """Lay out the project, drive it through its periods, and say what came of it. Begun anew, it goes on.

    Raises:
        NotFoundError, InvalidInputError: there is no such file, or it is none of claims; or the periods are too few.
        ConflictError: the folder holds something else.
    """
    if options.periods is not None and options.periods < FEWEST_PERIODS:
        raise InvalidInputError(
            f"{options.periods} periods of four weeks are too few: none is measured before the fifth",
            hint=f"give --weeks {4 * FEWEST_PERIODS} or more",
        )
    source, origin = _open_source(options)
    folder = options.folder.absolute()
    write_demo(folder, FILES, ("penstock.toml", "pipeline.py"))
    files = OfficeFiles(folder)
    files.open(OfficeSettings(source=origin, seed=options.seed, periods=source.periods))
    count = source.periods - source.warm_up
    console.print(f"[bold]{source.title}[/bold] in {folder}: {count} periods of four weeks after the release")
    with start(folder) as handle, closing(LivePenstock(handle, PROJECT)) as penstock:
        office = Office(source, penstock, files, lambda line: console.print(f"  [cyan]{escape(line)}[/cyan]"))
        office.warm_up()
        periods = []
        for period in range(source.warm_up, source.periods):
            periods.append(_measure(period, office.run_period(period)))
            _tell_period(console, source, periods[-1])
        result = FraudResult(
            title=source.title, periods=periods, episodes=penstock.list_episodes(), page_url=handle.page_url
        )
        _show(console, result)
        linger(result)
    return result


def _open_source(options: FraudOptions) -> tuple[Claims, str]:
    """The claims, and a name of where they come from that does not change between an interruption and going on."""
    if options.data is None:
        live = LIVE if options.periods is None else options.periods
        return SimulatedClaims(ClaimSettings(seed=options.seed, periods=WARM_UP + live)), "simulator"
    periods = None if options.periods is None else VehicleClaims.warm_up + options.periods
    source = VehicleClaims(read_vehicle(options.data), title=f"the claims of {options.data.name}", periods=periods)
    return source, blake3(options.data.read_bytes()).hexdigest()


def _measure(period: int, scored: pl.DataFrame) -> PeriodResult:
    inspected = scored.sort("score", descending=True).head(int(np.ceil(scored.height * INSPECTED)))
    return PeriodResult(
        period=period,
        claims=scored.height,
        frauds=int(scored[LABEL].sum()),
        caught=int(inspected[LABEL].sum()),
    )


def _tell_period(console: Console, source: Claims, held: PeriodResult) -> None:
    number = held.period - source.warm_up + 1
    console.print(
        f"[dim]period {number:>2} · {source.start(held.period):%d %b %Y} · {held.claims} claims ·[/dim] "
        f"{held.caught} of {held.frauds} frauds among the tenth that was inspected"
    )


def _show(console: Console, result: FraudResult) -> None:
    table = Table(title=f"Episodes · {result.title}", title_justify="left")
    for name in ("", "event time", "trigger", "state", "what the gates said"):
        table.add_column(name)
    for held in result.episodes:
        when = f"{held.at:%d %b %Y}" if held.at else "before traffic"
        table.add_row(str(held.number), when, held.trigger, held.state, escape(held.gates or held.summary))
    console.print(table)
    console.print(f"{result.share_caught:.0%} of all frauds were among the tenth that was inspected")
