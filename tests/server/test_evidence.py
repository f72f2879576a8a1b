"""Evidence becomes facts that a person can read."""

from typing import Any

from markupsafe import escape

from penstock.server.web.words.evidence import read_evidence, tell_value
from penstock.server.web.words.refs import link_ref, name_ref

DIGEST = "25262989e328a6675ac3c582507b804f183a6105086a451b2db1353d0f8a1d08"
REQUESTS = {"all": 87, "needed": 40, "step": 87}
ERRORS: dict[str, Any] = {
    "name": "error_rate",
    "beside": "stable",
    "scale": "difference",
    "good": "below",
    "bar": 0.01,
    "estimate": 0.0086,
    "low": -0.004,
    "high": 0.0712,
    "state": "unknown",
    "candidate": 0.0115,
    "stable": 0.0029,
    "n": [87, 1713],
}
LATENCY = ERRORS | {
    "name": "latency_p99",
    "beside": "guard",
    "scale": "value",
    "bar": 50.0,
    "low": None,
    "high": 12.6,
    "state": "not_worse",
    "candidate": 10.0,
    "stable": None,
    "n": [87, 0],
}
REWARD = ERRORS | {
    "name": "reward",
    "good": "above",
    "bar": -0.01,
    "low": -0.126,
    "high": 0.412,
    "candidate": 0.1717,
    "stable": None,
    "n": [36, 712],
}
RATIO = LATENCY | {"beside": "stable", "scale": "ratio", "bar": 1.3, "low": 1.41, "high": None, "state": "worse"}
JUDGED: dict[str, Any] = {
    "alpha": 0.05,
    "decide": "no_harm",
    "measures": [ERRORS, LATENCY, REWARD, RATIO],
    "requests": REQUESTS,
}


def told(evidence: dict[str, Any], model: str = "") -> dict[str, str]:
    return {fact.name: str(fact.text) for fact in read_evidence(evidence, model).facts}


def test_columns_that_moved_become_a_table() -> None:
    moved = {"test": "chi2", "distance": 0.41, "p_value": 3e-10, "level": 0.0013, "new_share": 0.08}
    (table,) = read_evidence({"columns": {"aisle": moved}, "rows": 160}).tables
    assert table.rows == [["aisle", "chi-square", "0.4100", "< 0.0001", "0.0013", "8%"]]


def test_what_a_rollout_was_judged_by_becomes_a_table() -> None:
    found = read_evidence(JUDGED)
    assert found.tables[0].rows == [
        ["Requests at this step", "87", "", "", "at least 40", ""],
        ["Failed", "1.1% over 87", "0.3% over 1,713", "−0.4% to +7.1%", "at most +1%", "not known yet"],
        ["99 of 100 within", "10 ms over 87", "", "up to 13 ms", "at most 50 ms", "shown not worse"],
        [
            "Mean reward",
            "0.1717 over 36",
            "none over 712",
            "−0.1260 to +0.4120",
            "at least −0.0100",
            "not known yet",
        ],
        ["99 of 100 within", "10 ms over 87", "", "from 1.41 times", "at most 1.3 times", "shown worse"],
    ]
    assert [(fact.name, fact.text) for fact in found.facts] == [
        ("chance of a needless abort", "5%"),
        ("goes on by", "no_harm"),
    ]


def test_what_nobody_measured_is_told_as_such() -> None:
    nothing = ERRORS | {"low": None, "high": None, "candidate": None, "n": [0, 0], "stable": None}
    rows = read_evidence({"requests": {"all": 3, "needed": 40, "step": 3}, "measures": [nothing]}).tables[0].rows
    assert rows[1] == ["Failed", "", "", "nothing known", "at most +1%", "not known yet"]


def test_a_value_is_told_with_its_interval() -> None:
    assert told({"metric": "recall_at_20", "value": 0.11056, "low": 0.0936, "high": 0.1276}) == {
        "metric": "recall_at_20",
        "value": "0.1106 [0.0936 to 0.1276]",
    }


def test_things_become_links_and_digests_are_shortened() -> None:
    facts = told({"run": "01m7x403ptsm30k1gh5gde6f3c", "model": DIGEST, "champion": 2, "empty": None}, "suggest")
    assert 'href="/runs/01m7x403ptsm30k1gh5gde6f3c"' in facts["run"]
    assert facts["model"] == f'<span class="mono"><span title="{DIGEST}">{DIGEST[:10]}</span></span>'
    assert 'href="/models/suggest/2"' in facts["champion"]
    assert "empty" not in facts


def test_gates_and_warnings_stand_by_themselves() -> None:
    found = read_evidence({"gates": [{"kind": "metric"}], "warnings": ["a slice is worse"], "report": DIGEST})
    assert (found.gates, found.warnings, len(found.facts)) == ([{"kind": "metric"}], ["a slice is worse"], 1)


def test_anything_else_is_told_somehow() -> None:
    odd = {
        "a": {"b": {"c": [1, {"d": None}]}},
        "steps": [0.05, 1.0],
        "many": list(range(30)),
        "yes": True,
        "columns": 3,
    }
    facts = told(odd)
    assert facts["a: b"] == "<code>{&#34;c&#34;:[1,{&#34;d&#34;:null}]}</code>"
    assert facts["steps"] == "5%, 100%"
    assert facts["many"].endswith("11, and 18 more")
    assert facts["columns"] == "3"


def test_text_in_evidence_stays_text() -> None:
    for key in ("reason", "run", "window", "model"):
        assert "<script>" not in escape(tell_value(key, "<script>:x"))


def test_things_are_called_as_people_call_them() -> None:
    names = {
        "model-version:suggest/3": ("model version", "suggest 3", "/models/suggest/3"),
        "dataset-version:events/2": ("dataset version", "events 2", "/data/events/2"),
        "run:01m7x403ptsm30k1gh5gde6f3c": ("run", "de6f3c", "/runs/01m7x403ptsm30k1gh5gde6f3c"),
        "window:suggest/2026-05-11T00:00": (
            "window",
            "suggest, 11 May 2026",
            "/deployments/suggest/windows/2026-05-11T00:00",
        ),
        "alert:suggest-drift-20260511T0600": (
            "alert",
            "drift, 11 May 2026, 06:00",
            "/lineage/alert:suggest-drift-20260511T0600",
        ),
        "source:data/events/*.parquet": ("source", "data/events/*.parquet", "/lineage/source:data/events/%2A.parquet"),
        "deployment:a/b": ("deployment", "a/b", "/deployments/a%2Fb"),
        "model-version:odd": ("model version", "odd", "/lineage/model-version:odd"),
        "alert:odd": ("alert", "odd", "/lineage/alert:odd"),
    }
    for ref, (kind, name, page) in names.items():
        named = name_ref(ref)
        assert (named.kind, named.name.strip(), named.page) == (kind, name, page)
    assert "&lt;b&gt;" in link_ref("source:<b>")
