"""What a writer remembers: what was acknowledged, what was refused, and what nobody answered."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from journeys.storm.wire import Fate


class Register:
    """A place that one writer alone sets, one value after the other, such as a tag or an artifact.

    A request without an answer was carried out before the next one was begun, or never will be.
    """

    def __init__(self, value: Any = None) -> None:
        self._held = value
        self._perhaps: list[Any] = []

    @property
    def allowed(self) -> list[Any]:
        """The values that it may have now; None stands for nothing at all."""
        return [self._held, *self._perhaps]

    def set(self, value: Any, fate: Fate) -> None:
        """A value was sent."""
        if fate is Fate.DONE:
            self._held, self._perhaps = value, []
        elif fate is Fate.UNKNOWN:
            self._perhaps.append(value)


@dataclass
class Batch:
    """What was sent at once: `size` points at step `number`, with parameters and tags of that number."""

    number: int
    size: int
    texts: int
    fate: Fate


@dataclass
class RunJournal:
    """All that a writer did to one run.

    Attributes:
        run_id: of the run.
        root: of its artifacts, as a path of the proxy.
        points: of the series `loss`, by step.
        batches: in the order in which they were sent.
        params: those that were sent alone.
        tags: by key; so are `files`, by path, as digests.
    """

    run_id: str
    root: str
    points: dict[int, Fate] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    params: dict[str, Fate] = field(default_factory=dict)
    tags: dict[str, Register] = field(default_factory=dict)
    files: dict[str, Register] = field(default_factory=dict)
    status: Register = field(default_factory=lambda: Register("RUNNING"))


@dataclass
class Journal:
    """All that one writer did.

    Attributes:
        name: of the writer; its models have it, too.
        runs: those it was told the id of.
        tokens: a mark of every run it asked for, whether it was answered or not.
        experiments: by name.
        versions: model -> mark of the version -> number that was answered, 0 without an answer.
        moves: of the alias of its own model: version and fate.
        acknowledged: how many writes were.
    """

    name: str
    runs: list[RunJournal] = field(default_factory=list)
    tokens: dict[str, Fate] = field(default_factory=dict)
    experiments: dict[str, Fate] = field(default_factory=dict)
    versions: dict[str, dict[str, int]] = field(default_factory=dict)
    moves: list[tuple[int, Fate]] = field(default_factory=list)
    acknowledged: int = 0


def value_at(step: int) -> float:
    """The value of every point at a step."""
    return step / 7


def digest(data: bytes) -> str:
    """What stands for a file's bytes in a journal."""
    return hashlib.sha256(data).hexdigest()
