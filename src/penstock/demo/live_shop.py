"""The shop's port filled by running processes: requests go one by one, as they would from a shop's pages."""

from collections.abc import Sequence

from msgspec import Struct

from penstock.core import codec
from penstock.demo.live import Handle, LivePenstock
from penstock.demo.port import Ask, Reply
from penstock.registry.format.ranking import RankingModel

PROJECT = "suggest"
SHOWN = 20


class _Suggestion(Struct, frozen=True):
    id: str
    items: list[str]


class _Suggestions(Struct, frozen=True):
    predictions: list[_Suggestion]


class ShopPenstock(LivePenstock):
    """A penstock that serves the shop's project."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle, PROJECT)

    def load_first(self) -> RankingModel:
        """The model that was released first."""
        return RankingModel.load(self.fetch_first())

    def predict(self, asked: Sequence[Ask]) -> list[Reply]:
        """One request each, some at a time."""
        bodies = [
            {"rows": [ask.inputs], "time": ask.at.isoformat(), "k": SHOWN, "exclude": ask.exclude} for ask in asked
        ]
        answers = [codec.decode(content, _Suggestions).predictions[0] for content in self.ask(bodies)]
        return [Reply(answer.id, answer.items) for answer in answers]
