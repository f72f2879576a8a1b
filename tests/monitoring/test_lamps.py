"""The three lamps as a function of windows and alerts."""

from datetime import timedelta

from msgspec import structs

from penstock.core.ids import AlertId, Digest
from penstock.monitoring.lamps import read_lamps
from penstock.monitoring.types import (
    Alert,
    AlertKind,
    ColumnDrift,
    Estimate,
    EstimatorState,
    LossEvidence,
    Maturity,
    Window,
)
from shop_world import DAY, START

NOTHING = Digest("0" * 64)


def window(
    day: int,
    *,
    drifted: bool = False,
    estimate: Estimate | None = None,
    tolerated: float | None = 0.3,
    lost: bool = False,
    version: int = 1,
) -> Window:
    moved = ColumnDrift(column="age", test="ks", p_value=1e-9 if drifted else 0.5, drifted=drifted)
    loss = LossEvidence(mean_loss=0.2, groups=50, losses=NOTHING, tolerated=tolerated, lost=lost)
    return Window(
        deployment="d",
        start=START + day * DAY,
        end=START + (day + 1) * DAY,
        rows=100,
        outcomes=50,
        version=version,
        drift=[moved],
        loss=loss,
        estimate=estimate,
    )


def alert(kind: AlertKind, day: int, version: int = 1) -> Alert:
    start = START + day * DAY
    return Alert(
        id=AlertId(kind),
        deployment="d",
        kind=kind,
        window_start=start,
        as_of=start + timedelta(days=1),
        opened_at=start,
        summary=f"{kind} was seen",
        evidence={"version": version},
    )


ESTIMATED = Estimate(metric="accuracy", value=0.8, low=0.7, high=0.9)
WITHDRAWN = Estimate(metric="accuracy", note="withdrawn in May", state=EstimatorState(withdrawn="withdrawn in May"))


def test_before_the_first_window_nothing_is_known() -> None:
    lamps = read_lamps("d", [], [])
    assert {lamps.inputs.state, lamps.estimated.state, lamps.measured.state} == {"unknown"}
    assert lamps.inputs.since is None and lamps.version is None


def test_each_lamp_says_its_own_and_since_when() -> None:
    held = [window(0, estimate=ESTIMATED), window(1, drifted=True, estimate=ESTIMATED), window(2, drifted=True)]
    lamps = read_lamps("d", held, [])
    assert (lamps.inputs.state, lamps.inputs.since) == ("on", START + DAY)
    assert (lamps.estimated.state, lamps.estimated.since) == ("unknown", START + 2 * DAY)
    assert (lamps.measured.state, lamps.measured.since) == ("off", START)


def test_an_open_alert_keeps_its_lamp_on_though_the_newest_window_says_nothing_of_it() -> None:
    lamps = read_lamps("d", [window(0), window(1), window(2)], [alert("fairness", 1), alert("drift", 0, version=9)])
    assert (lamps.measured.state, lamps.measured.since, lamps.measured.why) == ("on", START + DAY, "fairness was seen")
    assert lamps.inputs.state == "off"  # the alert is about another version


def test_an_estimator_that_withdrew_makes_its_lamp_unknown_and_says_why() -> None:
    lamps = read_lamps("d", [window(0, estimate=WITHDRAWN)], [])
    assert (lamps.estimated.state, lamps.estimated.why) == ("unknown", "withdrawn in May")


def test_first_windows_cannot_tell_whether_more_is_lost() -> None:
    lamps = read_lamps("d", [window(0, tolerated=None)], [])
    assert lamps.measured.state == "unknown" and "first outcomes" in lamps.measured.why


def test_a_young_window_says_why_it_cannot_tell() -> None:
    young = structs.replace(window(0), maturity=Maturity(answered=100, known=0.1, note="10% are known"))
    lamps = read_lamps("d", [young], [])
    assert (lamps.measured.state, lamps.measured.why) == ("unknown", "2011-03-07 is young: 10% are known")
    assert lamps.measured.window == young.start


def test_where_outcomes_take_their_time_the_newest_window_they_are_known_of_speaks() -> None:
    young = Maturity(answered=100, known=0.1, note="10% are known", matures_at=START + 9 * DAY)
    held = [window(0), window(1), *(structs.replace(window(day), maturity=young) for day in (2, 3))]
    lamp = read_lamps("d", held, []).measured
    assert (lamp.state, lamp.since, lamp.window) == ("off", START, START + DAY)
    assert "in 2011-03-08; 2 later windows are young" in lamp.why
    late = [*held, structs.replace(window(9), maturity=young)]
    assert read_lamps("d", late, []).measured.state == "unknown"
    harm = [*held[:1], structs.replace(window(1, lost=True), maturity=None), *held[2:]]
    assert read_lamps("d", harm, []).measured.state == "on"


def test_only_the_version_that_answers_now_is_spoken_of() -> None:
    lamps = read_lamps("d", [window(0, drifted=True), window(1, version=2)], [])
    assert (lamps.version, lamps.inputs.state, lamps.inputs.since) == (2, "off", START + DAY)


def test_a_cause_that_several_alerts_share_is_told_once() -> None:
    cause = {"told": "The same rows turn out otherwise"}
    shared = [
        structs.replace(held, summary=f"{held.summary}. {cause['told']}", evidence={"version": 1, "cause": cause})
        for held in (alert("calibration", 1), alert("performance", 1))
    ]
    lamps = read_lamps("d", [window(0), window(1)], shared)
    assert lamps.measured.why == "performance was seen; calibration was seen. The same rows turn out otherwise"
