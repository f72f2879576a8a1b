"""The records of probing: what is tried on, what each lost, and where the question stands."""

from datetime import datetime

from msgspec import Struct

from penstock.core.ids import RunId
from penstock.loop.retraining.case import Case
from penstock.pipelines.types import RowSpan


class Tried(Struct, frozen=True, kw_only=True):
    """The rows that challengers are tried on: answered by the champion, their outcomes known."""

    since: datetime  # event time of the first
    until: datetime  # after the last
    windows_until: datetime  # the end of the newest window of the monitor that they lie in
    rows: int


class Contender(Struct, frozen=True, kw_only=True):
    """What one way to go on would gain over the champion on the rows that were tried."""

    name: str  # all, last, change, weighted: learn from these rows; or `version 3`: go back to it
    gain: float  # mean loss of the champion less its own; above zero it is better
    error: float  # standard error of that
    span: RowSpan | None = None  # what it learns from; None of a version
    problem: str = ""  # why it could not be tried


class Probed(Struct, frozen=True, kw_only=True):
    """What the newest probe found."""

    run_id: RunId | None = None  # None where nothing could be asked
    tried: Tried
    champion: float = 0.0  # its mean loss
    contenders: list[Contender] = []
    problem: str = ""  # why it found nothing
    is_broken: bool = False  # because the rows are
    cpu_s: float = 0.0


class Standing(Struct, frozen=True, kw_only=True):
    """Where the question stands whether a retrain of a project's model would help."""

    project: str
    case: Case
    version: int | None = None  # the champion that it is about
    until: datetime | None = None  # the end of the newest window that was tried on
    run_id: RunId | None = None  # of the probe under way ...
    tried: Tried | None = None  # ... and what that tries on
    newest: Probed | None = None  # of the newest probe that has ended; None before the first with this champion
