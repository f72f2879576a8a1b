"""The sections of `penstock.toml` as records; a field's name is its key in the file."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct, field

from penstock.core.project.rates import Rate

Task = Literal["binary", "multiclass", "regression", "ranking", "forecast"]
Strategy = Literal["direct", "shadow", "canary", "ab"]
RowStrategy = Literal["growing", "sliding", "weighted", "auto"]
SpanName = Literal["all", "last", "change", "weighted"]
Decide = Literal["no_harm", "evidence"]
CheckAction = Literal["block", "warn", "quarantine"]
Monotonic = Literal["rising", "falling", "strictly_rising", "strictly_falling"]
Severity = Literal["notice", "page"]
ChannelKind = Literal["webhook", "slack", "email", "file", "stdout"]
ColumnType = Literal["integer", "number", "text", "boolean", "date", "datetime", "list"]
TASKS: tuple[Task, ...] = get_args(Task)

Name = Annotated[str, Meta(min_length=1, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.\-]{0,126}[A-Za-z0-9])?$")]
Text = Annotated[str, Meta(min_length=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Number = int | float
Scalar = bool | int | float | str


class Section(Struct, frozen=True, kw_only=True):
    """A table of the file. A field without a default has to be there."""


class ProjectSection(Section, frozen=True, kw_only=True):
    """`[project]`: one project is one model."""

    name: Name
    task: Task
    owner: str = ""


class CharterSection(Section, frozen=True, kw_only=True):
    """`[charter]`: what the model is for, and the number that says whether it is good enough."""

    goal: str = ""
    metric: str | None = None
    target: float | None = None
    intended_use: tuple[str, ...] = ()
    risk: Literal["low", "medium", "high"] | None = None


class VolumeBounds(Section, frozen=True, kw_only=True):
    """`check.volume`: how many rows a version may have, and how far that may be from the version before."""

    at_least: Annotated[int, Meta(ge=0)] | None = None
    at_most: Annotated[int, Meta(ge=0)] | None = None
    shrinks_by: Share | None = None  # at most, as a share of the rows of the version before
    grows_by: NotNegative | None = None  # at most, as a share of the rows of the version before


class DistributionBounds(Section, frozen=True, kw_only=True):
    """`check.distribution`: how far the values of a column may move; small and accidental moves are let pass."""

    like: int | Literal["previous"] = "previous"  # the version they are compared with
    at_most: Share = 0.1  # distance: Kolmogorov-Smirnov of numbers and times, total variation of other values
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.001  # a distance that chance brings about this often is no move


class CheckSection(Section, frozen=True, kw_only=True):
    """`[[data.NAME.check]]`: a rule of the data; all that it names must hold."""

    column: str | None = None
    columns: tuple[Text, ...] = ()  # several in place of one: the parts of a key, for unique and references
    type: ColumnType | None = None
    not_null: bool | None = None  # true: no row may lack a value
    between: tuple[Scalar, Scalar] | None = None  # both ends included; dates as ISO text
    allowed: tuple[Scalar, ...] | None = None
    pattern: str | None = None  # a regular expression the whole text has to match
    unique: bool | None = None
    references: str | None = None  # every value stands in another dataset too: `customers.customer_id`
    monotonic: Monotonic | None = None  # from row to row, over all files
    expression: str | None = None  # a condition of the row in SQL, such as `end >= start`; needs no column
    max_age: timedelta | None = None  # the newest value may be no older than this
    volume: VolumeBounds | None = None  # needs no column
    distribution: DistributionBounds | None = None
    required_columns: tuple[Text, ...] | None = None  # have to be there
    forbidden_columns: tuple[Text, ...] | None = None  # must not be there
    only_columns: tuple[Text, ...] | None = None  # no others may be there
    tolerance: Share = 0.0  # the share of rows that may break the rule
    action: CheckAction = "block"  # quarantine: the rows that break the rule are kept out and put aside


ROW_RULES = ("type", "not_null", "between", "allowed", "pattern", "unique", "references", "monotonic", "expression")
TABLE_RULES = ("volume", "required_columns", "forbidden_columns", "only_columns")  # and no column
CHECK_RULES = (*ROW_RULES, "max_age", "distribution", *TABLE_RULES)


class DataSection(Section, frozen=True, kw_only=True):
    """`[data.NAME]`: where rows come from, and what their columns mean."""

    source: Text  # files by a path or pattern, an HTTP address, an object-store URL, a Delta table, or an SQL query
    connection: str | None = None  # of a query: a URL, or NAME for the URL in PENSTOCK_CONNECTION_NAME
    incremental: str | None = None  # of a query: the number or time by which only new rows are fetched
    sha256: str | None = None  # of an HTTP address: what its file has to be
    time: str | None = None
    key: str | None = None
    label: str | None = None
    sensitive: tuple[str, ...] = ()  # for slices and fairness; not features unless asked
    mask: dict[str, str] = field(default_factory=dict)
    pandera: str | None = None  # a schema of pandera as `module:object`, whose rules are checks as well
    checks: tuple[CheckSection, ...] = field(default=(), name="check")


class ChecksFile(Struct, frozen=True, kw_only=True):
    """A file of checks alone, for a table of no project: what a section of data has besides its source."""

    time: str | None = None
    key: str | None = None
    label: str | None = None
    pandera: str | None = None
    checks: tuple[CheckSection, ...] = field(default=(), name="check")


class PipelineSection(Section, frozen=True, kw_only=True):
    """`[pipeline]`: the function that trains, as `module:function`, and its parameters."""

    entry: Text = "pipeline:train"
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0


class EvaluationSection(Section, frozen=True, kw_only=True):
    """`[evaluation]`: what a report holds beyond what the charter and the gates ask for."""

    metrics: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()  # columns; each value, or range, is a slice; of live rows those of 4 columns


class GateSection(Section, frozen=True, kw_only=True, tag_field="kind"):
    """`[[gate]]`: what has to hold before a model may be released. `kind` says which of the records below it is."""


class MetricGate(GateSection, frozen=True, kw_only=True, tag="metric"):
    """The metric reaches an absolute bar, on all rows or on one slice."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    slice: str | None = None


class ChampionGate(GateSection, frozen=True, kw_only=True, tag="champion"):
    """On the same rows the candidate is no worse than the champion by more than `margin`."""

    metric: str
    margin: NotNegative = 0.0
    no_worse_than: Literal["champion"] = "champion"


class FairnessGate(GateSection, frozen=True, kw_only=True, tag="fairness"):
    """A measure of fairness between the groups of a column stays within a bar."""

    measure: str
    by: str
    at_most: float | None = None
    at_least: float | None = None


class RobustnessGate(GateSection, frozen=True, kw_only=True, tag="robustness"):
    """The metric falls by no more than `max_drop` when the input is disturbed."""

    test: str
    max_drop: NotNegative
    metric: str | None = None


class LatencyGate(GateSection, frozen=True, kw_only=True, tag="latency"):
    """One prediction takes no longer than this at the 99th percentile."""

    p99_ms: Positive


class ApprovalGate(GateSection, frozen=True, kw_only=True, tag="approval"):
    """A person other than whoever trained the model says yes."""

    by: str


Gate = MetricGate | ChampionGate | FairnessGate | RobustnessGate | LatencyGate | ApprovalGate


class GuardSection(Section, frozen=True, kw_only=True):
    """`deploy.guard`: what a new revision must not do while it takes traffic."""

    error_rate: Share | None = None
    latency_p99_ms: Positive | None = None


class MarginsSection(Section, frozen=True, kw_only=True):
    """`deploy.margins`: by how much a new revision may be worse than the stable one; without one it is not compared."""

    error_rate: Share = 0.01  # more failed requests, as a share of all requests
    latency_p99: NotNegative | None = None  # slower 99th percentile, as a share; seen in steps of 12 %
    reward: Share | None = 0.01  # lower mean of what outcomes say of single answers, on a scale from 0 to 1
    metric: Share | None = None  # lower value of the metric of monitor.performance, on a scale from 0 to 1


class AtMostPerSection(Section, frozen=True, kw_only=True):
    """`deploy.rules.at_most_per`: how many of the items that are shown may have one value of a column."""

    column: Text  # of the model's table of items
    count: Annotated[int, Meta(ge=1)]


class RulesSection(Section, frozen=True, kw_only=True):
    """`deploy.rules`: what holds for lists of items whatever the model says.

    An item is named by its id, or many of them by a condition on the model's table of items, as in
    `{ category = "books", price = { at_most = 20 } }`.
    """

    pin: tuple[str, ...] = ()  # these stand first, in this order
    bury: tuple[str | dict[str, Any], ...] = ()  # these stand last
    block: tuple[str | dict[str, Any], ...] = ()  # these are not shown, pinned or not
    at_most_per: AtMostPerSection | None = None  # and so many of a kind


class DeploySection(Section, frozen=True, kw_only=True):
    """`[deploy]`: how a new version takes over the traffic."""

    strategy: Strategy = "canary"
    steps: tuple[Share, ...] | None = None  # shares of traffic, rising to 1; of a canary, or after the shadow
    share: Share = 0.5  # of the traffic, for ab
    guard: GuardSection = GuardSection()
    margins: MarginsSection = MarginsSection()
    decide: Decide | None = None  # a step is left when nothing is shown worse (canary), or on evidence (shadow, ab)
    min_requests: Annotated[int, Meta(ge=1)] = 200  # that a step has to see before it may be left
    key: str | None = None  # the input column that keeps a customer on one revision
    default: dict[str, Any] = field(default_factory=dict)  # the answer when every revision fails: each output column
    rules: RulesSection = RulesSection()  # of lists of items
    workers: Annotated[int, Meta(ge=1, le=64)] = 1  # processes that answer predictions, all on one port


class PerformanceSection(Section, frozen=True, kw_only=True):
    """`monitor.performance`: the metric that is measured as outcomes arrive, and its bar."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None


class MonitorSection(Section, frozen=True, kw_only=True):
    """`[monitor]`: how live predictions are watched."""

    window: timedelta = timedelta(days=1)
    false_alarms: Rate = Rate(1, timedelta(days=90))
    performance: PerformanceSection | None = None
    columns: tuple[str, ...] = ()  # the input columns that are watched; empty for all
    groups: tuple[str, ...] = ()  # columns whose values are groups to be treated alike; empty for the sensitive ones
    keep_inputs: timedelta | None = None  # how long the inputs of predictions stay in their log; None: for ever


class OutcomesSection(Section, frozen=True, kw_only=True):
    """`[outcomes]`: how what really happened belongs to predictions, and when enough of it is known."""

    horizon: timedelta | None = None  # how long after a prediction its outcome may come; None: 30 days for the join
    join: Literal["last", "all"] = "last"  # of an entity's predictions within the horizon, those an outcome belongs to
    matured: Annotated[float, Meta(gt=0, le=1)] = 0.95  # the share of outcomes to come that must be there to compare
    absent: Literal["unknown", "negative"] = "unknown"  # what it means in the end when no outcome came
    after: timedelta | None = None  # when absence means that; None: when the label-delay curve says all have come
    by: tuple[str, ...] = ()  # input columns; each of their values has a label-delay curve of its own as well

    @property
    def join_horizon(self) -> timedelta:
        """How long before an outcome the prediction may lie that it belongs to."""
        return self.horizon or timedelta(days=30)


class RetrainSection(Section, frozen=True, kw_only=True):
    """`[retrain]`: when to train again, on what, and how often at most."""

    when: tuple[str, ...] = ()  # performance, calibration, fairness, estimate, drift, gain, new_data, or a cron line
    strategy: RowStrategy | None = None  # by default sliding with a window, else growing; auto: probes choose
    window: timedelta | None = None  # how far back to train, or after how long a row counts half; None for all rows
    spans: tuple[SpanName, ...] = ("all", "last", "change")  # what probes compare: all rows, the window, since a change
    cost: Share = 0.03  # loss of a row that would be put up with, for one window, to be spared a retrain
    cooldown: timedelta = timedelta(hours=6)
    budget: Rate = Rate(10, timedelta(days=90))
    new_rows: Positive = 0.1  # new rows, as a share of the rows trained on, that count as new data


ModelTrigger = Literal["performance", "calibration", "fairness", "estimate", "drift"]  # kinds of alerts; gravest first
MODEL_TRIGGERS: tuple[ModelTrigger, ...] = get_args(ModelTrigger)
TRIGGERS: tuple[str, ...] = (*MODEL_TRIGGERS, "gain", "new_data")


class AlertSection(Section, frozen=True, kw_only=True):
    """`[[alert]]`: who is told of incidents. An address or secret may be `env:NAME` or `file:PATH`."""

    to: ChannelKind
    name: str = ""  # of the rule; what it is and where it goes, if not given
    when: tuple[Text, ...] = ()  # only incidents of these kinds: drift, performance, episode; empty for all
    severity: Severity = "notice"  # page: only incidents that page somebody
    after: timedelta | None = None  # only when nobody has acknowledged for so long
    url: str | None = None  # of webhook and slack; slack's is a secret
    secret: str | None = None  # of webhook: what messages are signed with
    recipients: tuple[Text, ...] = ()  # of email
    sender: str | None = None  # of email
    smtp: str | None = None  # of email: smtp://HOST:587 (STARTTLS), smtps://HOST:465, or smtp+plain://HOST:25
    user: str | None = None  # of email
    password: str | None = None  # of email; a secret
    path: str | None = None  # of file: JSON Lines, from the project's folder on

    @property
    def label(self) -> str:
        """The rule's name, or what it is and where it goes, without what might be secret."""
        if self.name:
            return self.name
        target = self.path or ", ".join(self.recipients) or self.url or ""
        if "://" in target:
            target = target.partition("://")[2].partition("/")[0].rpartition("@")[2]
        return f"{self.to} {target}".strip()[:200]

    @property
    def digest(self) -> str:
        """Names the rule in the ids of its messages."""
        return hashlib.blake2b(self.label.encode(), digest_size=8).hexdigest()


class StorageSection(Section, frozen=True, kw_only=True):
    """`[storage]`: where state is kept; empty for the project's own `.penstock` folder."""

    database: str | None = None
    objects: str | None = None
    link: Literal["copy", "hardlink", "reflink"] = "copy"  # how 'penstock data checkout' writes files
    remote: str | None = None  # the store that `penstock data push` and `pull` speak to


class Project(Struct, frozen=True, kw_only=True):
    """One `penstock.toml`."""

    root: Path  # the folder the file lies in; sources and code are found from here
    project: ProjectSection
    charter: CharterSection = CharterSection()
    data: dict[str, DataSection] = field(default_factory=dict)
    pipeline: PipelineSection = PipelineSection()
    evaluation: EvaluationSection = EvaluationSection()
    gates: tuple[Gate, ...] = field(default=(), name="gate")
    deploy: DeploySection = DeploySection()
    monitor: MonitorSection = MonitorSection()
    outcomes: OutcomesSection = OutcomesSection()
    retrain: RetrainSection = RetrainSection()
    alerts: tuple[AlertSection, ...] = field(default=(), name="alert")
    storage: StorageSection = StorageSection()

    @property
    def name(self) -> str:
        """The project's name, which is also its model's, its deployment's and its experiment's."""
        return self.project.name

    @property
    def task(self) -> Task:
        """What kind of prediction the model makes."""
        return self.project.task
