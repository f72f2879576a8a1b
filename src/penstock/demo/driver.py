"""Drives a penstock through the weeks of a shop: requests, outcomes, the log; then waits for the loop to act."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from penstock.core.ids import PredictionId
from penstock.demo.book import Book
from penstock.demo.events import History, read_goods, request_inputs
from penstock.demo.port import Ask, Penstock, Reply, Tell
from penstock.demo.source import Arm, Score, Source, Visit
from penstock.predictions.types import Outcome
from penstock.registry.format.ranking import RankingModel

ASKED_AT_ONCE = 64  # answers that an interruption may lose
SHOWN = 20


class Driver:
    """One run over a source; begun anew after an interruption, it goes on with the week that was not finished.

    Args:
        source: the shop's weeks.
        penstock: what answers and learns.
        book: what was written down.
        tell: called with lines for people.
    """

    def __init__(self, source: Source, penstock: Penstock, book: Book, tell: Tell) -> None:
        self._source = source
        self._penstock = penstock
        self._book = book
        self._tell = tell
        self._history = History()
        self._frozen: RankingModel | None = None

    def warm_up(self) -> None:
        """Write the log before the first release, and release the first model."""
        weeks = range(self._source.warm_up)
        if not all(self._book.has_events(week) for week in weeks):
            for week, events in enumerate(self._source.warm_up_events()):
                self._book.put_events(week, events)
            self._book.put_catalogue(self._source.catalogue(self._source.warm_up - 1))
        for week in weeks:
            self._history.add(self._book.events(week))
        self._penstock.release_first(self._tell)
        self._frozen = self._penstock.load_first()

    def run_week(self, week: int) -> list[Score]:
        """Carry a week through, or read what was noted of it."""
        if self._book.is_done(week):
            self._history.add(self._book.events(week))
            return self._book.scores(week)
        visits = self._source.visits(week)
        replies = self._ask(week, visits)
        result = self._source.answer(week, self._lists(week, visits, replies))
        self._book.put_catalogue(self._source.catalogue(week))
        self._book.put_events(week, result.events)
        self._penstock.add_outcomes(_outcomes(replies, result.wanted, self._source.week_start(week + 1)))
        self._penstock.wait_settled(self._tell)
        self._history.add(result.events)
        self._book.finish(week, result.scores)
        return result.scores

    def _ask(self, week: int, visits: Sequence[Visit]) -> dict[str, Reply]:
        """Ask the live endpoint for everyone whose arm is the loop; who was answered before is not asked again."""
        replies = self._book.replies(week)
        gone, goods = sorted(self._source.sold_out(week)), read_goods(self._source.catalogue(week - 1))
        open_visits = [visit for visit in visits if "loop" in visit.arms and visit.user not in replies]
        for start in range(0, len(open_visits), ASKED_AT_ONCE):
            part = open_visits[start : start + ASKED_AT_ONCE]
            asked = [
                Ask(visit.at, request_inputs(visit.user, self._history.recent(visit.user), goods), gone)
                for visit in part
            ]
            answers = dict(zip((visit.user for visit in part), self._penstock.predict(asked), strict=True))
            self._book.note_replies(week, answers)
            replies |= answers
        return replies

    def _lists(
        self, week: int, visits: Sequence[Visit], replies: Mapping[str, Reply]
    ) -> dict[Arm, dict[str, list[str]]]:
        gone = self._source.sold_out(week)
        popular = self._history.popular()
        users = {arm: [visit.user for visit in visits if arm in visit.arms] for arm in self._source.arms}
        lists: dict[Arm, dict[str, list[str]]] = {"loop": {user: replies[user].items for user in users["loop"]}}
        lists["frozen"] = {user: self._suggest_frozen(user) for user in users["frozen"]}
        lists["popularity"] = dict.fromkeys(users["popularity"], popular)
        if "repeat" in users:
            lists["repeat"] = self._history.repeats(users["repeat"], popular)
        return {arm: {user: _cut(items, gone) for user, items in held.items()} for arm, held in lists.items()}

    def _suggest_frozen(self, user: str) -> list[str]:
        assert self._frozen is not None, "warm_up comes first"
        return self._frozen.suggest(self._history.recent(user))[0]


def _cut(items: Sequence[str], gone: frozenset[str]) -> list[str]:
    cut: list[str] = []
    for item in items:
        if item not in gone:
            cut.append(item)
            if len(cut) == SHOWN:
                break
    return cut


def _outcomes(replies: Mapping[str, Reply], wanted: Mapping[str, Sequence[str]], end: datetime) -> list[Outcome]:
    at = end - timedelta(seconds=1)
    return [
        Outcome(prediction_id=PredictionId(reply.prediction_id), value=list(wanted[user]), at=at)
        for user, reply in replies.items()
    ]
