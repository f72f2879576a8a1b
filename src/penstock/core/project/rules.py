"""What a project file must hold beyond names and types: rules between keys, by section."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from penstock.core.codec import nearest_hint
from penstock.core.cron import read_cron
from penstock.core.errors import InvalidInputError
from penstock.core.project.conditions import check_condition
from penstock.core.project.metrics import COMPARED_HINT, is_compared, metric_problem
from penstock.core.project.positions import KeyPath
from penstock.core.project.reading import Reader
from penstock.core.project.types import (
    CHECK_RULES,
    ROW_RULES,
    TABLE_RULES,
    TRIGGERS,
    AlertSection,
    ChampionGate,
    CharterSection,
    CheckSection,
    DataSection,
    DeploySection,
    EvaluationSection,
    MetricGate,
    OutcomesSection,
    PerformanceSection,
    PipelineSection,
    Project,
    RetrainSection,
    RobustnessGate,
    RulesSection,
    Task,
)
from penstock.core.secret_values import is_reference

_ENTRY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_REFERENCE = re.compile(r"[A-Za-z0-9][\w.\-]*?\.[^.\s][^.]*")
_MASKS = ("redact", "hash", "tokenise", "truncate", "generalise", "shift_dates")
_MASKS_WITH_NUMBER = ("truncate", "generalise", "shift_dates")


def check_rules(reader: Reader) -> None:
    """Report every rule that the records read so far break."""
    task = _task(reader)
    for record, path in reader.records:
        rule = _RULES.get(type(record))
        if rule is not None:
            rule(record, path, reader, task)


def _task(reader: Reader) -> Task | None:
    if not reader.is_sound(("project", "task")):
        return None
    return next((record.task for record, _ in reader.records if isinstance(record, Project)), None)


def _metric(name: str | None, path: KeyPath, reader: Reader, task: Task | None) -> None:
    problem = metric_problem(name, task) if name and task else None
    if problem:
        reader.report((*path, "metric"), *problem)


def _charter(record: CharterSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    _metric(record.metric, path, reader, task)
    if record.target is not None and record.metric is None:
        reader.report((*path, "target"), "a target needs to know its metric", "add charter.metric")


def _evaluation(record: EvaluationSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    for name in record.metrics:
        problem = metric_problem(name, task) if task else None
        if problem:
            reader.report((*path, "metrics"), *problem)


def _project(record: Project, path: KeyPath, reader: Reader, task: Task | None) -> None:
    for name in record.data:
        if not name.isidentifier():
            hint = "its name is an argument of the pipeline: use letters, digits and '_'"
            reader.report(("data", name), f"{name!r} cannot name a table of data", hint)
    labels = [rule.label for rule in record.alerts]
    for index, label in enumerate(labels):
        if label in labels[:index]:
            reader.report(("alert", index), f"two alerts are called {label!r}", "give one of them a name")
    watched = record.monitor.performance
    if record.deploy.margins.metric is not None:
        place = ("deploy", "margins", "metric")
        if watched is None:
            reader.report(place, "no metric is watched that could be compared", "add monitor.performance")
        elif not is_compared(watched.metric):
            problem = f"revisions cannot be compared by {watched.metric!r} while they serve"
            reader.report(place, problem, f"leave it out, or {COMPARED_HINT} as monitor.performance")


def _data(record: DataSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    if record.pandera is not None and not _ENTRY.fullmatch(record.pandera):
        hint = "write module:object, as in schemas:Customers"
        reader.report((*path, "pandera"), f"{record.pandera!r} names no schema", hint)
    for column, mask in record.mask.items():
        kind, _, number = mask.partition(":")
        where = (*path, "mask", column)
        if kind not in _MASKS:
            reader.report(where, f"{mask!r} is not one of {', '.join(_MASKS)}", nearest_hint(kind, _MASKS))
        elif (kind in _MASKS_WITH_NUMBER) != number.isdigit():
            how = f"{kind}:3" if kind in _MASKS_WITH_NUMBER else kind
            reader.report(where, f"{mask!r} is not how this mask is written", f"write {how!r}")


def _check(record: CheckSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    rules = [name for name in CHECK_RULES if getattr(record, name) is not None]
    if not rules:
        reader.report(path, "the check has no rule", f"add one of {', '.join(CHECK_RULES)}")
    _check_columns(record, rules, path, reader)
    rowless = [name for name in rules if name not in ROW_RULES]
    if record.action == "quarantine" and rowless:
        hint = "take block or warn, or give it a check of its own"
        reader.report((*path, "action"), f"{rowless[0]} names no rows that could be put aside", hint)
    if record.tolerance and rowless:
        reader.report((*path, "tolerance"), f"{rowless[0]} is not about a share of rows", "give it a check of its own")
    if record.between is not None and not _is_rising(record.between):
        reader.report((*path, "between"), "the lower end comes first, and both are of one type")
    if record.pattern is not None:
        try:
            re.compile(record.pattern)
        except re.error as error:
            reader.report((*path, "pattern"), f"{record.pattern!r} is no regular expression: {error}")
    if record.references is not None and not _REFERENCE.fullmatch(record.references):
        hint = "write dataset.column, as in customers.customer_id"
        reader.report((*path, "references"), f"{record.references!r} names no column of a dataset", hint)


def _check_columns(record: CheckSection, rules: list[str], path: KeyPath, reader: Reader) -> None:
    if record.columns:
        others = [name for name in rules if name not in ("unique", "references")]
        if record.column is not None:
            reader.report((*path, "columns"), "the check names column and columns", "leave one of them out")
        elif others:
            reader.report((*path, "columns"), f"{others[0]} is about one column", "name it with column")
    elif record.column is None and not set(rules) <= {*TABLE_RULES, "expression"}:
        reader.report((*path, "column"), "the check has to name its column")


def _is_rising(pair: tuple[Any, Any]) -> bool:
    try:
        return bool(pair[0] <= pair[1])
    except TypeError:
        return False


def _pipeline(record: PipelineSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    if not _ENTRY.fullmatch(record.entry):
        reader.report(
            (*path, "entry"), f"{record.entry!r} names no function", "write module:function, as in pipeline:train"
        )


def _bar(record: MetricGate | PerformanceSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    _metric(record.metric, path, reader, task)
    if isinstance(record, MetricGate) and record.at_least is None and record.at_most is None:
        sound = reader.is_sound((*path, "at_least")) and reader.is_sound((*path, "at_most"))
        if sound:
            reader.report(path, "the gate has no bar", "add at_least or at_most")


def _gate_metric(record: ChampionGate | RobustnessGate, path: KeyPath, reader: Reader, task: Task | None) -> None:
    _metric(record.metric, path, reader, task)


def _deploy(record: DeploySection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    steps = record.steps
    rising = steps is None or all(low < high for low, high in zip((0.0, *steps), steps, strict=False))
    if steps is not None and (not steps or not rising or steps[-1] != 1):
        reader.report((*path, "steps"), "shares of traffic have to rise from above 0 and end with 1.0")
    if record.strategy == "ab":
        if not 0 < record.share < 1:
            reader.report((*path, "share"), "an A/B test gives each side a share between 0 and 1", "give 0.5")
        if record.key is None:
            hint = "name the input column that says who asks, as key"
            reader.report((*path, "strategy"), "an A/B test needs a key, so that a customer stays on one side", hint)
    if task not in (None, "ranking") and record.rules != RulesSection():
        reader.report((*path, "rules"), f"a model of the task {task!r} shows no lists of items", "leave the rules out")


def _lists(record: RulesSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    for name in ("bury", "block"):
        for index, held in enumerate(getattr(record, name)):
            problem = None if isinstance(held, str) else check_condition(held)
            if problem is not None:
                reader.report((*path, name, index), problem)
    for name in ("bury", "block"):
        both = [item for item in record.pin if item in getattr(record, name)]
        if both:
            reader.report((*path, "pin"), f"{both[0]!r} stands in {name} too", "leave it out of one of them")
    if len(set(record.pin)) < len(record.pin):
        reader.report((*path, "pin"), "an item stands there twice")


def _outcomes(record: OutcomesSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    if record.absent == "negative" and task not in (None, "binary"):
        reader.report((*path, "absent"), f"a model of the task {task!r} has no negative class", "leave it out")
    if record.after is not None and record.absent != "negative":
        hint = 'add absent = "negative", or leave it out'
        reader.report((*path, "after"), "absence means nothing here, whenever it is", hint)
    for name in ("horizon", "after"):
        length = getattr(record, name)
        if length is not None and length <= timedelta(0):
            reader.report((*path, name), "it has to be longer than nothing", "write it as in 30d")


def _retrain(record: RetrainSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    if record.strategy in ("sliding", "weighted") and record.window is None:
        hint = 'say how long it is: window = "180d"'
        reader.report((*path, "strategy"), f"a {record.strategy} strategy needs a window", hint)
    if record.strategy == "growing" and record.window is not None:
        hint = 'leave it out, or take strategy = "sliding"'
        reader.report((*path, "window"), "a growing strategy reads all rows, so a window says nothing", hint)
    if "weighted" in record.spans and record.window is None:
        hint = 'say after how long a row counts half: window = "180d"'
        reader.report((*path, "spans"), "weighted rows need a window", hint)
    if "gain" in record.when and record.strategy != "auto":
        hint = 'add strategy = "auto"'
        reader.report((*path, "when"), "gain is what probes find, and only the strategy auto asks them", hint)
    for index, trigger in enumerate(record.when):
        if trigger in TRIGGERS:
            continue
        if " " in trigger:
            try:
                read_cron(trigger)
            except InvalidInputError as error:
                reader.report((*path, "when", index), error.message, error.hint)
        else:
            hint = nearest_hint(trigger, TRIGGERS)
            problem = f"{trigger!r} is neither one of {', '.join(TRIGGERS)} nor a time such as '0 3 * * 1'"
            reader.report((*path, "when", index), problem, hint if hint.startswith("did") else "")


def _alert(record: AlertSection, path: KeyPath, reader: Reader, task: Task | None) -> None:
    wanted = _OF_CHANNEL[record.to]
    for name, is_needed in wanted.items():
        if is_needed and not getattr(record, name):
            reader.report(path, f"an alert to {record.to} needs {name}", f"add {name}")
    for name in {key for keys in _OF_CHANNEL.values() for key in keys} - set(wanted):
        if getattr(record, name):
            reader.report((*path, name), f"{name} is not for {record.to}", "leave it out")
    secrets = ("secret", "password", *(("url",) if record.to == "slack" else ()))
    for name in secrets:
        value = getattr(record, name)
        if value is not None and not is_reference(value):
            hint = "write env:NAME for an environment variable, or file:PATH"
            reader.report((*path, name), f"{name} is a secret and does not stand in this file", hint)
    if (record.user is None) != (record.password is None):
        reader.report((*path, "user"), "user and password go together", "add the other, or leave both out")


# What a channel takes, and whether it has to be there.
_OF_CHANNEL: dict[str, dict[str, bool]] = {
    "webhook": {"url": True, "secret": True},
    "slack": {"url": True},
    "email": {"recipients": True, "sender": True, "smtp": True, "user": False, "password": False},
    "file": {"path": True},
    "stdout": {},
}


_RULES: dict[type, Callable[[Any, KeyPath, Reader, Task | None], None]] = {
    Project: _project,
    CharterSection: _charter,
    EvaluationSection: _evaluation,
    DataSection: _data,
    CheckSection: _check,
    PipelineSection: _pipeline,
    MetricGate: _bar,
    PerformanceSection: _bar,
    ChampionGate: _gate_metric,
    RobustnessGate: _gate_metric,
    DeploySection: _deploy,
    OutcomesSection: _outcomes,
    RulesSection: _lists,
    RetrainSection: _retrain,
    AlertSection: _alert,
}
