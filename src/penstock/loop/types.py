"""The records of the loop: episodes, the decisions taken in them, and what the loop waits for."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from penstock.core.ids import AlertId, EpisodeId, Ref, RolloutId, RunId

Trigger = Literal[
    "manual", "drift", "estimate", "performance", "calibration", "fairness", "gain", "new_data", "schedule"
]
EpisodeState = Literal["opened", "probing", "training", "judging", "releasing", "promoted", "refused", "failed"]
ENDED: tuple[EpisodeState, ...] = ("promoted", "refused", "failed")


class Episode(Struct, frozen=True, kw_only=True):
    """One reason to act on a model, and all that was done about it."""

    id: EpisodeId
    project: str
    number: int  # 1, 2, 3 ... in its project
    trigger: Trigger
    reason: str  # why it was opened, in plain words
    state: EpisodeState = "opened"
    alert_id: AlertId | None = None
    params: dict[str, Any] = {}  # of the pipeline, on top of the project's own
    as_of: datetime | None = None  # event time when it was opened; None before there was any traffic
    started_at: datetime  # on the clock
    run_id: RunId | None = None
    version: int | None = None  # of the model, once it is registered
    rollout_id: RolloutId | None = None
    ended_at: datetime | None = None
    ended_as_of: datetime | None = None  # event time when it ended
    summary: str = ""  # how it ended, in plain words

    @property
    def ref(self) -> Ref:
        """How lineage and audit point at this episode."""
        return Ref("episode", self.id)

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done."""
        return self.state not in ENDED


class Decision(Struct, frozen=True, kw_only=True):
    """One step of an episode: what was done, why, and on what evidence."""

    episode: EpisodeId
    number: int  # 1, 2, 3 ... in its episode
    action: (
        str  # open; probe, decline, recall; train, register, pass, refuse; deploy, advance, abort; promote, fail, ...
    )
    reason: str  # in plain words
    evidence: dict[str, Any] = {}  # numbers, ids, digests
    at: datetime  # on the clock
    fence: int = 0  # of the controller's lease; 0 for a person


class EpisodeStory(Struct, frozen=True, kw_only=True):
    """An episode with its decisions, oldest first."""

    episode: Episode
    decisions: list[Decision]


class LoopState(Struct, frozen=True, kw_only=True):
    """Whether there is anything left to do."""

    project: str
    settled: bool  # nothing to do until new traffic, outcomes or data arrive, or a person acts
    waiting_for: str  # in plain words
    episode: EpisodeId | None = None  # the open one


class Seen(Struct, frozen=True):
    """How far the controller had read when it looked; equal to what is there now, nothing has happened since."""

    events: int  # number of the newest audit event
    segments: int  # number of the newest segment of predictions
    outcomes: int  # number of the newest outcome


class Look(Struct, frozen=True, kw_only=True):
    """What a controller found when it last had nothing to do."""

    project: str
    seen: Seen
    settled: bool
    waiting_for: str
    problem: str = ""  # what keeps it from knowing all it should: as long, it promotes nobody and starts nothing
    at: datetime
