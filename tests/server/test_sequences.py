"""Confidence sequences: they lie where the numbers say, the bar parts the sides, and nothing needs its colour."""

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from penstock.core.ids import RolloutId
from penstock.server.web.drawings.sequences import (
    GOOD_ENOUGH,
    TOO_BAD,
    Judged,
    draw_measures,
    draw_sequence,
    read_judged,
)
from penstock.serving.types import Rollout, RolloutEvent, RolloutMeasures

START = datetime(2026, 1, 5, tzinfo=UTC)
ERRORS: dict[str, Any] = {
    "name": "error_rate",
    "beside": "stable",
    "scale": "difference",
    "good": "below",
    "bar": 0.01,
    "estimate": 0.002,
    "low": -0.004,
    "high": 0.03,
    "state": "unknown",
    "candidate": 0.01,
    "stable": 0.008,
    "n": [500, 1500],
    "says": "5 of 500 requests failed, against 12 of 1500",
    "wanted": "at most 1.000% of requests more fail",
}
REWARD = ERRORS | {"name": "reward", "good": "above", "bar": -0.05, "low": -0.2, "high": 0.1, "state": "unknown"}


def judged(number: int, *measures: dict[str, Any], share: float = 0.25) -> Judged:
    return Judged(START + timedelta(minutes=number), share, measures)


def narrowing(count: int = 5, **changes: Any) -> list[Judged]:
    """A sequence of errors that narrows with every moment."""
    return [
        judged(number, ERRORS | {"n": [100 * number, 300 * number], "high": 0.002 + 0.05 / number} | changes)
        for number in range(1, count + 1)
    ]


def read(drawing: str) -> ElementTree.Element:
    """The drawing as XML; a text that is not escaped would not be any."""
    return ElementTree.fromstring(drawing)


def find(root: ElementTree.Element, css: str) -> ElementTree.Element:
    return next(element for element in root.iter() if css in element.get("class", "").split())


def texts(root: ElementTree.Element) -> dict[str, float]:
    """Where each text stands, from the top."""
    return {element.text or "": float(element.get("y", "nan")) for element in root.iter("text")}


@pytest.mark.parametrize(("measure", "is_above"), [(ERRORS, True), (REWARD, False)])
def test_the_hatched_part_lies_beyond_the_bar_and_has_a_name(measure: dict[str, Any], is_above: bool) -> None:
    root = read(draw_sequence(measure["name"], "stable", [judged(0, measure)]))
    bar, beyond = float(find(root, "bar").get("y1", "nan")), find(root, "beyond")
    top = float(beyond.get("y", "nan"))
    bottom = top + float(beyond.get("height", "nan"))
    assert bottom - top > 15
    assert (bottom if is_above else top) == pytest.approx(bar, abs=0.2)
    names = texts(root)
    assert top < names[TOO_BAD] < bottom
    assert not top < names[GOOD_ENOUGH] < bottom


def test_the_whisker_spans_what_is_known_now() -> None:
    root = read(draw_sequence("error_rate", "stable", narrowing()))
    ends = find(root, "whisker").get("d", "").replace("M", " ").replace("V", " ").replace("H", " ").split()
    ticks = {float(e.text or ""): float(e.get("y", "nan")) for e in root.iter("text") if e.get("x") == "52"}
    zero, one = ticks[0.0] - 4, ticks[1.0] - 4  # a percent of requests
    high, low = (zero + (one - zero) * percent for percent in (1.2, -0.4))
    assert float(ends[1]) == pytest.approx(high, abs=0.3)
    assert float(ends[2]) == pytest.approx(low, abs=0.3)


def test_an_end_of_which_nothing_is_known_leaves_the_drawing() -> None:
    root = read(draw_sequence("error_rate", "stable", narrowing(low=None, high=None)))
    inner = next(element for element in root.iter("svg") if element.get("y"))
    top, height = float(inner.get("y", "nan")), float(inner.get("height", "nan"))
    heights = [float(pair.split(",")[1]) for pair in find(root, "band-1").get("points", "").split()]
    assert min(heights) < top
    assert max(heights) > top + height


def test_every_moment_can_be_pointed_at() -> None:
    root = read(draw_sequence("error_rate", "stable", narrowing(3)))
    told = [element.text for element in root.iter("title")]
    assert told[-1] == "05 Jan, 00:03, 300: +0.2%, \u22120.4% to +1.9%"
    assert len(told) == 3


def test_the_drawing_says_in_words_what_it_shows() -> None:
    root = read(draw_sequence("error_rate", "stable", narrowing()))
    told = find(root, "sequence").get("aria-label")
    assert told == "Failed: +0.2%, \u22120.4% to +1.2%; at most +1% is allowed: not known yet"


def test_steps_are_marked_where_the_share_changed() -> None:
    moments = narrowing(4)
    shares = [
        Judged(moment.at, share, moment.measures)
        for moment, share in zip(moments, [0.05, 0.05, 0.25, 1.0], strict=True)
    ]
    root = read(draw_sequence("error_rate", "stable", shares))
    assert [element.text for element in root.iter("text") if element.get("class") == "step-label"] == ["25%", "100%"]


def test_what_was_seen_in_the_shadow_is_not_drawn_with_the_rest() -> None:
    shadow = [Judged(moment.at, 0.0, moment.measures) for moment in narrowing(4)]
    traffic = [judged(9, ERRORS | {"n": [50, 90]})]
    (drawn,) = draw_measures([*shadow, *traffic])
    assert len(list(read(drawn.drawing).iter("title"))) == 1
    assert len(list(read(draw_measures(shadow)[0].drawing).iter("title"))) == 4


def test_a_measure_of_which_nothing_was_seen_is_told_without_a_drawing() -> None:
    (drawn,) = draw_measures([judged(0, ERRORS | {"n": [0, 3], "estimate": None, "low": None, "high": None})])
    assert (drawn.estimate, drawn.between) == ("nothing is known", "nothing known")
    assert "Nothing was seen of it yet" in drawn.drawing


def test_names_and_sentences_of_measures_stay_text() -> None:
    evil = "<script>alert(1)</script>"
    (drawn,) = draw_measures([judged(0, ERRORS | {"name": evil, "says": evil})])
    assert "<script>" not in drawn.drawing
    read(drawn.drawing)


def test_no_moment_draws_nothing() -> None:
    assert draw_measures([]) == []


def test_events_tell_what_was_seen_before_they_changed_the_share() -> None:
    events = (
        RolloutEvent(action="start", share=0.05, at=START, actor="ada"),
        RolloutEvent(action="advance", share=0.25, at=START, actor="ada", evidence={"measures": [ERRORS]}),
        RolloutEvent(action="abort", share=0.0, at=START, actor="ada", evidence={"load_problem": "broken"}),
    )
    rollout = Rollout(
        id="r",  # type: ignore[arg-type]
        deployment="shop",
        revision=2,
        strategy="canary",
        steps=(0.05, 0.25, 1.0),
        state="aborted",
        events=events,
        started_at=START,
        step_started_at=START,
    )
    assert read_judged(rollout) == [Judged(START, 0.05, [ERRORS])]


def test_what_was_noted_between_the_events_is_drawn_too() -> None:
    events = tuple(
        RolloutEvent(action=action, share=share, at=START + timedelta(hours=hour), actor="ada", evidence=evidence)
        for action, share, hour, evidence in (
            ("start", 0.05, 0, {}),
            ("advance", 0.25, 2, {"measures": [ERRORS | {"n": [200, 600]}]}),
        )
    )
    rollout = Rollout(
        id=RolloutId("r"),
        deployment="shop",
        revision=2,
        strategy="canary",
        state="running",
        events=events,
        started_at=START,
        step_started_at=START,
    )
    noted = [
        RolloutMeasures(
            rollout=rollout.id,
            at=START + timedelta(hours=hour),
            step=0,
            share=share,
            decision="hold",
            reason="",
            evidence={"measures": [ERRORS | {"n": [100 * hour, 300 * hour]}]} if hour != 4 else {},
        )
        for hour, share in ((1, 0.05), (3, 0.25), (4, 0.25))
    ]
    assert [(held.share, held.measures[0]["n"][0]) for held in read_judged(rollout, noted)] == [
        (0.05, 100),
        (0.05, 200),
        (0.25, 300),
    ]
