"""Evidence as people read it: named facts, a table of what moved, a table of what a rollout's judge looked at."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape
from msgspec import Struct

from penstock.core import codec
from penstock.loop.retraining.weighing import CONTENDERS
from penstock.monitoring.causes.types import find_cause
from penstock.server.web.words.formats import (
    format_interval,
    format_measure,
    format_milliseconds,
    format_moment,
    format_number,
    format_p_value,
    format_share,
    read_moment,
    shorten,
)
from penstock.server.web.words.measures import MEASURES, STATES, tell_bar, tell_sequence, tell_side
from penstock.server.web.words.refs import link_ref

Text = str | Markup

NAMES = {
    "alpha": "chance of a needless abort",
    "as_of": "event time",
    "cost_so_far": "loss that a retrain would have spared so far",
    "decide": "goes on by",
    "detector": "detector, as a share of an alarm",
    "environment_lock": "environment",
    "level": "level of the test",
    "mean_loss": "mean loss",
    "tolerated": "loss that is put up with",
    "until": "reads rows before",
    "window_start": "window from",
    "worth_from": "worth a retrain from",
}
TESTS = {"chi2": "chi-square", "ks": "Kolmogorov–Smirnov", "none": "not tested"}
REFS = {"run": "run", "run_id": "run", "alert": "alert", "episode": "episode", "rollout": "rollout"}
SHARES = ("share", "rate", "at_most", "new_share", "alpha")
HIDDEN = ("low", "high")  # told with their value
DIGEST_LENGTH = 64
MOST_LISTED = 12


class Fact(Struct, frozen=True):
    """One thing that is known."""

    name: str
    text: Text


class Table(Struct, frozen=True):
    """Facts of the same kind side by side."""

    title: str
    columns: list[str]
    rows: list[list[Text]]


class Evidence(Struct, frozen=True):
    """All that a decision rests on, sorted by how it is shown."""

    facts: list[Fact]
    tables: list[Table] = []
    gates: list[Mapping[str, Any]] = []
    warnings: list[str] = []


def read_evidence(evidence: Mapping[str, Any], model: str = "") -> Evidence:
    """Sort evidence into facts, tables and gates.

    Args:
        evidence: as a decision, an alert or a rollout keeps it.
        model: whose versions its numbers of versions are; empty where they are not to be linked.
    """
    known = dict(evidence)
    if (cause := find_cause(known)) is not None:
        known["cause"] = cause.told or cause.note
    tables = []
    if isinstance(columns := known.get("columns"), dict) and all(isinstance(held, dict) for held in columns.values()):
        tables.append(_tell_columns(known.pop("columns")))
    if isinstance(probed := known.get("probed"), dict):
        tables.append(tell_probe(known.pop("probed")))
        known |= {"rows tried on": probed["tried"]["rows"], "CPU seconds of the probe": probed.get("cpu_s", 0.0)}
    if isinstance(known.get("requests"), dict):
        tables.append(_tell_judge(known.pop("requests"), known.pop("measures", [])))
    gates, warnings = known.pop("gates", None) or [], known.pop("warnings", None) or []
    return Evidence(_tell_facts(known, model), tables, gates, warnings)


def _tell_facts(known: Mapping[str, Any], model: str) -> list[Fact]:
    facts = []
    for key, value in known.items():
        if key in HIDDEN and "value" in known:
            continue
        if isinstance(value, dict) and value:
            facts += [
                Fact(f"{_say(key)}: {_say(inner)}", tell_value(inner, held, model)) for inner, held in value.items()
            ]
        elif value not in (None, "", [], {}):
            facts.append(Fact(_say(key), _tell_with_interval(key, known, model)))
    return facts


def _tell_with_interval(key: str, known: Mapping[str, Any], model: str) -> Text:
    text = tell_value(key, known[key], model)
    if key == "value" and known.get("low") is not None:
        return f"{text} [{format_interval(known['low'], known.get('high'))}]"
    return text


def _say(key: str) -> str:
    return NAMES.get(key, key.replace("_", " "))


def tell_value(key: str, value: Any, model: str = "") -> Text:
    """One value as text; things become links, digests are shortened, moments and shares are written as such."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _tell_number(key, value, model)
    if isinstance(value, str):
        return _tell_text(key, value)
    if isinstance(value, list):
        told = [escape(tell_value(key, held, model)) for held in value[:MOST_LISTED]]
        more = [f"and {len(value) - MOST_LISTED} more"] if len(value) > MOST_LISTED else []
        return Markup(", ").join([*told, *more])
    if value is None or value == {}:
        return "none"
    return Markup("<code>{}</code>").format(codec.encode_text(value))


def _tell_number(key: str, value: float, model: str) -> Text:
    if key.endswith("_ms"):
        return format_milliseconds(value)
    if key == "p_value":
        return format_p_value(value)
    if key in SHARES or key == "steps":
        return format_share(value)
    if key in ("version", "champion") and model and isinstance(value, int):
        return link_ref(f"model-version:{model}/{value}")
    return format_number(value)


def _tell_text(key: str, value: str) -> Text:
    moment = read_moment(value)
    if moment is not None:
        return format_moment(moment)
    if len(value) == DIGEST_LENGTH and value.isalnum():
        return Markup('<span class="mono">{}</span>').format(shorten(value))
    if key in REFS and value:
        return link_ref(f"{REFS[key]}:{value}")
    if key in ("window", "source") and ":" in value:
        return link_ref(value)
    return value


def _tell_columns(columns: Mapping[str, Mapping[str, Any]]) -> Table:
    rows: list[list[Text]] = [
        [
            name,
            TESTS.get(str(held.get("test")), str(held.get("test", ""))),
            format_measure(held.get("distance")),
            format_p_value(held.get("p_value")),
            format_number(held.get("level")),
            format_share(held.get("new_share")),
        ]
        for name, held in columns.items()
    ]
    titles = ["Column", "Test", "Distance", "p-value", "Level", "New to the model"]
    return Table("Columns that moved", titles, rows)


def tell_probe(probed: Mapping[str, Any]) -> Table:
    """What each way to go on would gain over the champion, on rows that none of them has seen."""
    rows: list[list[Text]] = []
    for held in probed.get("contenders", []):
        since, problem = (held.get("span") or {}).get("since"), held.get("problem", "")
        gain = problem or f"{held['gain']:+.3f} ± {held['error']:.3f}"
        name = CONTENDERS.get(held["name"], held["name"])
        rows.append([name, tell_value("since", since) if since else "", gain])
    return Table("What was tried", ["Instead of the champion", "Learns from", "Loses less, a row"], rows)


def _tell_judge(requests: Mapping[str, Any], measures: Sequence[Mapping[str, Any]]) -> Table:
    """What the judge of a rollout looked at: each measure with its confidence sequence and its bar."""
    needed = f"at least {format_number(requests.get('needed'))}"
    rows: list[list[Text]] = [["Requests at this step", format_number(requests.get("step")), "", "", needed, ""]]
    for measure in measures:
        values = [tell_side(measure, side, place) for place, side in enumerate(("candidate", "stable"))]
        name, state = MEASURES.get(measure["name"], measure["name"]), STATES.get(measure["state"], measure["state"])
        rows.append([name, *values, tell_sequence(measure), tell_bar(measure), state])
    return Table("What was looked at", ["", "Candidate", "Stable", "Lies between", "Bar", ""], rows)
