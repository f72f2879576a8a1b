"""Tells what happens in an episode, while it happens: decisions, the data that is read, the steps of its run."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import datetime

from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.output import console
from penstock.core.errors import PenstockError
from penstock.core.ids import EpisodeId, RunId
from penstock.pipelines.types import StepRun, StepStatus

PAUSE_S = 0.3
TOLD_OTHERWISE = ("open", "promote", "refuse", "decline", "fail")  # the first and the last line of the command say them

Line = tuple[datetime, str, str]  # when, in a word, in a sentence


class Teller:
    """Prints what is new in an episode each time it is asked. Not safe to share between threads."""

    def __init__(self, services: Services, episode: EpisodeId) -> None:
        self._services = services
        self._episode = episode
        self._told: set[tuple[object, ...]] = set()

    def tell(self) -> None:
        """Print what was not told yet, in the order in which it happened."""
        for at, word, sentence in self.read_news():
            console.print(f"  [dim]{at:%H:%M:%S}[/dim] [bold]{word:<9}[/bold] {escape(sentence)}")

    def read_news(self) -> list[Line]:
        """What was not told yet. Decisions are read first: what they rest on has happened by then."""
        story = self._services.loop.get_episode(self._episode)
        news = [
            (decision.at, decision.action, decision.reason)
            for decision in story.decisions
            if decision.action not in TOLD_OTHERWISE and self._is_new("decision", decision.number)
        ]
        if story.episode.run_id is not None:
            news += self._read_data(story.episode.run_id) + self._read_steps(story.episode.run_id)
        return sorted(news, key=lambda line: line[0])

    def _read_data(self, run: RunId) -> list[Line]:
        found = self._services.tracking.get_run(run)
        news = []
        for ref in found.inputs:
            dataset, _, number = ref.id.rpartition("/")
            if ref.kind == "dataset-version" and self._is_new("data", ref.id):
                version = self._services.datasets.get_version(dataset, int(number))
                news.append((found.started_at, "data", f"{dataset} version {number}, {version.rows:,} rows"))
        return news

    def _read_steps(self, run: RunId) -> list[Line]:
        steps = self._services.pipelines.list_steps(run)
        return [_describe(step) for step in steps if self._is_new("step", step.name, step.attempt, step.status)]

    def _is_new(self, *key: object) -> bool:
        is_new = key not in self._told
        self._told.add(key)
        return is_new


@contextlib.contextmanager
def telling(services: Services, episode: EpisodeId) -> Iterator[None]:
    """Tell what happens in an episode from a thread of its own, as whoever works on it may be busy for long."""
    teller = Teller(services, episode)
    over = threading.Event()

    def tell_all() -> None:
        while not over.wait(PAUSE_S):
            with contextlib.suppress(PenstockError):  # such as a server that starts again; there is a next time
                teller.tell()

    thread = threading.Thread(target=tell_all, name="telling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    teller.tell()


def _describe(step: StepRun) -> Line:
    at = step.ended_at or step.started_at
    match step.status:
        case StepStatus.CACHED:
            return at, "step", f"{step.name} is reused: code, parameters and data are as they were"
        case StepStatus.FINISHED:
            return at, "step", f"{step.name} took {step.wall_s or 0:.1f} s"
        case StepStatus.FAILED:
            return at, "step", f"{step.name} failed"
        case _:
            again = f", attempt {step.attempt}" if step.attempt > 1 else ""
            return step.started_at, "step", f"{step.name} runs{again}"
