"""What people see while a demo runs, and the table it ends with."""

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from penstock.demo.port import EpisodeLine
from penstock.demo.report import DemoResult, Estimate, own_episodes
from penstock.demo.source import Measure, Score, Source

_TONES = {"promoted": "green", "refused": "yellow", "failed": "red"}


class Screen:
    """A bar over the weeks, and a line for whatever happens."""

    def __init__(self, console: Console, source: Source) -> None:
        self._console = console
        self._source = source
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("week {task.completed}/{task.total}"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._bar.add_task(source.title, total=source.weeks - source.warm_up)

    def __enter__(self) -> "Screen":
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def tell(self, line: str) -> None:
        """A line about the loop."""
        self._console.print(f"  [cyan]{escape(line)}[/cyan]")

    def tell_week(self, week: int, scores: list[Score]) -> None:
        """How a week went."""
        start = self._source.week_start(week)
        results = "  ".join(f"{arm} {_mean(scores, arm, self._source.measure)}" for arm in self._source.arms)
        asked = sum(score.arm == "loop" for score in scores)
        self._console.print(
            f"[dim]week {week - self._source.warm_up + 1:>2} · {start:%d %b %Y} · {asked} asked ·[/dim] {results}"
        )
        self._bar.advance(self._task)


def show_result(console: Console, result: DemoResult) -> None:
    """The table, the episodes, the control, and where to look."""
    console.print()
    console.print(_table(result))
    console.print(_verdict(result))
    console.print("\n[bold]Episodes[/bold]")
    for episode in result.episodes:
        console.print(_episode(episode))
    if result.control is not None:
        _show_control(console, result.control)


def _show_control(console: Console, control: DemoResult) -> None:
    told = _interval(control.all_weeks.gains["frozen"], control.measure, signed=True)
    count = len(own_episodes(control.episodes))
    console.print(
        f"\n[bold]Control[/bold] ({control.title}, {control.weeks} weeks): loop - frozen {told}; "
        f"{count} episode{'' if count == 1 else 's'} of its own"
    )


def _table(result: DemoResult) -> Table:
    whole, third = result.all_weeks, result.last_third
    table = Table(title=f"{result.measure.name} · {result.title}", title_justify="left", caption_justify="left")
    table.add_column("")
    table.add_column(f"all {result.weeks} weeks", justify="right")
    table.add_column("last third", justify="right")
    for arm in sorted(whole.arms, key=["frozen", "loop", "popularity", "repeat"].index):
        table.add_row(arm, *(_interval(held.arms[arm], result.measure) for held in (whole, third)))
    table.add_section()
    for arm in whole.gains:
        cells = [_interval(held.gains[arm], result.measure, signed=True) for held in (whole, third)]
        table.add_row(f"[bold]loop - {arm}[/bold]", *cells)
    table.caption = (
        f"{whole.customers:,} customers, {whole.suggestions:,} lists; in brackets 95 % intervals over customers"
    )
    return table


def _verdict(result: DemoResult) -> str:
    """What the last third says, in a sentence."""
    found = result.last_third.gains["frozen"]
    if found.low > 0:
        return "[green]In the last third of the weeks the loop is better than the frozen model.[/green]"
    if found.high < 0:
        return "[red]In the last third of the weeks the loop is worse than the frozen model.[/red]"
    return "[yellow]In the last third of the weeks nobody can tell the loop from the frozen model.[/yellow]"


def _episode(episode: EpisodeLine) -> str:
    tone = _TONES.get(episode.state, "cyan")
    version = f" version {episode.version}" if episode.version else ""
    why = escape(episode.reason)
    how = escape(episode.gates or episode.summary)
    when = f"{episode.at:%d %b %Y}" if episode.at else "before traffic"
    return (
        f"  {episode.number:>2}  {when}  [bold]{episode.trigger}[/bold]: {why}\n"
        f"      [{tone}]{episode.state}{version}[/{tone}] [dim]{how}[/dim]"
    )


def _interval(estimate: Estimate, measure: Measure, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    value, low, high = (f"{x:{sign}.{measure.digits}f}" for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]".replace("[", r"\[")


def _mean(scores: list[Score], arm: str, measure: Measure) -> str:
    own = [score for score in scores if score.arm == arm]
    offered = sum(score.offered for score in own)
    return f"{measure.factor * sum(score.gained for score in own) / offered:.{measure.digits}f}" if offered else "-"
