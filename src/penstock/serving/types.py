"""The records of serving: deployments, revisions, rollouts, and the routing that gateways follow."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from penstock.core.ids import Digest, Ref, RolloutId
from penstock.core.project.types import Decide, GuardSection, MarginsSection, RulesSection, Strategy

RevisionState = Literal["candidate", "stable", "replaced", "aborted", "rolled_back"]
RolloutState = Literal["running", "promoted", "aborted"]


class Fence(Struct, frozen=True):
    """The lease under which somebody acts; an effect with a fence that is no longer held is refused."""

    lease: str
    number: int


class Revision(Struct, frozen=True, kw_only=True):
    """A model version at its place in a deployment; numbered 1, 2, 3 ... and never changed."""

    deployment: str
    number: int
    model: str
    version: int
    tree: Digest  # the model directory
    state: RevisionState
    replaced: int | None = None  # the revision that was stable when this one became it
    created_at: datetime

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return Ref("revision", f"{self.deployment}/{self.number}")


class Deployment(Struct, frozen=True, kw_only=True):
    """A name that predictions are asked of, and the revisions that answer."""

    name: str
    key: str | None = None  # the input column that keeps a customer on one revision
    default: dict[str, Any] = {}  # the answer when every revision fails; empty for none
    rules: RulesSection = RulesSection()
    stable: Revision | None = None
    candidate: Revision | None = None  # gets `share` of the traffic while a rollout runs; copies where that is 0
    share: float = 0.0
    rollout: RolloutId | None = None  # the one that runs
    updated_at: datetime

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return Ref("deployment", self.name)


class RolloutEvent(Struct, frozen=True, kw_only=True):
    """One step of a rollout, and why it was taken."""

    action: Literal["start", "advance", "promote", "abort"]
    share: float  # of the traffic, from then on
    at: datetime
    actor: str
    reason: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


class Rollout(Struct, frozen=True, kw_only=True):
    """How a revision takes over the traffic."""

    id: RolloutId
    deployment: str
    revision: int
    baseline: int | None = None  # the stable revision it is compared with; None for a first release
    strategy: Strategy
    steps: tuple[float, ...] = ()  # shares of traffic, rising; at 0 it gets copies, and nobody hears its answers
    step: int = 0
    state: RolloutState
    guard: GuardSection = GuardSection()
    margins: MarginsSection = MarginsSection()
    decide: Decide = "no_harm"
    min_requests: int = 200
    key: str | None = None  # what keeps a customer on one revision
    events: tuple[RolloutEvent, ...] = ()
    started_at: datetime
    step_started_at: datetime
    ended_at: datetime | None = None

    @property
    def share(self) -> float:
        """The share of traffic at the present step."""
        if self.state == "running":
            return self.steps[self.step]
        return 1.0 if self.state == "promoted" else 0.0

    @property
    def is_in_shadow(self) -> bool:
        """Whether the revision gets copies, and nobody hears its answers."""
        return self.state == "running" and self.share == 0

    @property
    def place(self) -> str:
        """Where it stands, as in `at 25%`."""
        return "in the shadow" if self.is_in_shadow else f"at {self.share:.0%}"

    @property
    def exposed_at(self) -> datetime | None:
        """When callers began to get its answers; None as long as it is in the shadow."""
        if self.steps[0] > 0:
            return self.started_at
        return next((event.at for event in self.events if event.share > 0), None)

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return Ref("rollout", self.id)


class RolloutMeasures(Struct, frozen=True, kw_only=True):
    """What the judge saw of a rollout at one moment."""

    rollout: RolloutId
    at: datetime
    step: int
    share: float
    decision: str  # hold, advance or abort
    reason: str
    evidence: dict[str, Any] = {}  # `measures`, each with its interval and its bar, and what else was counted


class RevisionRoute(Struct, frozen=True):
    """What a gateway needs to know of a revision."""

    number: int
    model: str
    version: int
    tree: Digest
    fast: Digest | None = None  # a copy of it with a fast form, made after it was registered


class DeploymentRoute(Struct, frozen=True, kw_only=True):
    """Where the requests of one deployment go."""

    deployment: str
    key: str | None = None
    stable: RevisionRoute
    candidate: RevisionRoute | None = None
    share: float = 0.0  # of the candidate
    shadow: RevisionRoute | None = None  # gets copies
    previous: RevisionRoute | None = None  # answers when the stable one fails
    default: dict[str, Any] = {}  # and this when all fail; empty for none
    rules: RulesSection = RulesSection()


class Routing(Struct, frozen=True):
    """Where all requests go. The number grows with every change."""

    number: int = 0
    deployments: tuple[DeploymentRoute, ...] = ()


class LoadFailure(Struct, frozen=True, kw_only=True):
    """A revision that a gateway could not load; it gets no traffic there."""

    deployment: str
    revision: int
    model: str
    version: int
    problem: str


class GatewayReport(Struct, frozen=True, kw_only=True):
    """What one gateway says of itself."""

    gateway: str
    routing: int  # the number of the routing that requests follow there
    revisions: dict[str, list[int]]  # deployment -> revisions that are loaded and in use
    failures: list[LoadFailure] = field(default_factory=list)
    waiting_segments: int = 0  # finished, but not shipped yet
    dropped_copies: int = 0  # rows that a revision in the shadow was not asked, as the gateway was busy
    at: datetime
