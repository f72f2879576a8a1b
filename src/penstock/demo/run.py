"""`penstock demo`: the whole of it, from an empty folder to a table."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import msgspec
from blake3 import blake3
from msgspec import Struct
from rich.console import Console

from penstock.core.errors import InvalidInputError
from penstock.demo.book import Book, DemoSettings
from penstock.demo.driver import Driver
from penstock.demo.live import Handle
from penstock.demo.live_shop import ShopPenstock
from penstock.demo.report import DemoResult, summarize
from penstock.demo.retail import RetailLog, read_retail
from penstock.demo.scaffold import write_shop
from penstock.demo.screen import Screen, show_result
from penstock.demo.shop import WARM_UP, SimulatedShop
from penstock.demo.simulator import ShopSettings
from penstock.demo.source import Score, Source

LIVE_WEEKS = 24
CONTROL_WEEKS = 12
FEWEST_WEEKS = 3
CONTROL = "control"  # the folder of the control, inside the demo's

Start = Callable[[Path], AbstractContextManager[Handle]]
Linger = Callable[[DemoResult], None]


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What `penstock demo` was asked for."""

    folder: Path = Path("shop")
    data: Path | None = None  # a real log; None for the simulator
    weeks: int | None = None  # after the first release; None for all of the log, or the simulator's usual number
    seed: int = 7


def run_demo(options: DemoOptions, start: Start, console: Console, linger: Linger) -> DemoResult:
    """Lay out the project, drive it through its weeks, and say what came of it. Begun anew, it goes on.

    Args:
        options: which demo.
        start: starts the processes of a project folder, and stops them when the block is left.
        console: where people read along.
        linger: called with the result at the end, while the processes still run.

    Raises:
        NotFoundError, InvalidInputError: there is no such log, or it is none.
        ConflictError: the folder holds something else.
    """
    if options.weeks is not None and options.weeks < FEWEST_WEEKS:
        raise InvalidInputError(
            f"{options.weeks} weeks are too few to compare anything", hint=f"give --weeks {FEWEST_WEEKS} or more"
        )
    source, origin = _open_source(options)
    folder = options.folder.absolute()
    settings = DemoSettings(source=origin, seed=options.seed, weeks=source.weeks)
    write_shop(folder)
    Book(folder).open(settings)
    console.print(f"[bold]{source.title}[/bold] in {folder}: {source.weeks - source.warm_up} weeks after the release")
    with start(folder) as handle:
        result = _run(source, settings, folder, handle, console)
        if options.data is None:
            result = msgspec.structs.replace(result, control=_run_control(options, folder / CONTROL, start, console))
        Book(folder).put_result("result", result)
        show_result(console, result)
        linger(result)
    return result


def _run_control(options: DemoOptions, folder: Path, start: Start, console: Console) -> DemoResult:
    """The same shop without any change: there the loop has nothing to gain, and must not lose."""
    weeks = WARM_UP + min(CONTROL_WEEKS, options.weeks or CONTROL_WEEKS)
    source = SimulatedShop(ShopSettings(seed=options.seed, weeks=weeks, changes=False))
    settings = DemoSettings(source="control", seed=options.seed, weeks=source.weeks)
    found = Book(folder).find_result("result", DemoResult)
    if found is not None:
        return found
    console.print(f"\n[bold]control: {source.title}[/bold] in {folder}")
    write_shop(folder)
    with start(folder) as handle:
        result = _run(source, settings, folder, handle, console)
    Book(folder).put_result("result", result)
    return result


def _run(source: Source, settings: DemoSettings, folder: Path, handle: Handle, console: Console) -> DemoResult:
    book = Book(folder)
    book.open(settings)
    weeks = range(source.warm_up, source.weeks)
    scores: list[Score] = []
    with closing(ShopPenstock(handle)) as penstock, Screen(console, source) as screen:
        driver = Driver(source, penstock, book, screen.tell)
        driver.warm_up()
        for week in weeks:
            held = driver.run_week(week)
            screen.tell_week(week, held)
            scores += held
        episodes = penstock.list_episodes()
    late = [score for score in scores if score.week >= weeks.start + len(weeks) * 2 // 3]
    return DemoResult(
        title=source.title,
        measure=source.measure,
        weeks=len(weeks),
        all_weeks=summarize(scores, source.arms, source.measure),
        last_third=summarize(late, source.arms, source.measure),
        episodes=episodes,
        page_url=handle.page_url,
    )


def _open_source(options: DemoOptions) -> tuple[Source, str]:
    """The weeks, and a name of where they come from that does not change between an interruption and going on."""
    if options.data is None:
        settings = ShopSettings(seed=options.seed, weeks=WARM_UP + (options.weeks or LIVE_WEEKS))
        return SimulatedShop(settings), "simulator"
    weeks = None if options.weeks is None else RetailLog.warm_up + options.weeks
    source = RetailLog(read_retail(options.data), title=f"the log {options.data.name}", weeks=weeks)
    return source, blake3(options.data.read_bytes()).hexdigest()
