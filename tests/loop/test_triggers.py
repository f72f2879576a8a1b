"""When an episode opens by itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from penstock.core.ids import AlertId, EpisodeId
from penstock.core.project.rates import Rate
from penstock.core.project.types import RetrainSection
from penstock.loop.triggers import QUIET, Facts, Firing, NewData, Waiting, choose_trigger
from penstock.loop.types import Episode
from penstock.monitoring.types import Alert

NOW = datetime(2011, 6, 1, tzinfo=UTC)
POLICY = RetrainSection(
    when=("drift", "performance", "new_data"), cooldown=timedelta(days=2), budget=Rate(3, timedelta(days=30))
)


def alert(kind: str, **given: Any) -> Alert:
    values: dict[str, Any] = {
        "id": AlertId(f"shop-{kind}"),
        "deployment": "shop",
        "kind": kind,
        "window_start": NOW - timedelta(days=1),
        "as_of": NOW,
        "opened_at": NOW,
        "summary": f"{kind} was seen",
    }
    return Alert(**(values | given))


def episode(number: int, days_ago: float, **given: Any) -> Episode:
    at = NOW - timedelta(days=days_ago)
    values: dict[str, Any] = {
        "id": EpisodeId(f"e{number}"),
        "project": "shop",
        "number": number,
        "trigger": "drift",
        "reason": "drift was seen",
        "state": "promoted",
        "as_of": at,
        "started_at": at,
        "ended_at": at,
        "ended_as_of": at,
    }
    return Episode(**(values | given))


def choose(**given: Any) -> Firing | Waiting:
    policy = given.pop("policy", POLICY)
    return choose_trigger(policy, Facts(**({"now": NOW, "has_champion": True} | given)))


def test_without_alerts_or_data_the_loop_waits_for_them() -> None:
    assert choose() == Waiting(QUIET)


def test_an_open_alert_of_a_kind_the_policy_names_opens_an_episode() -> None:
    firing = choose(alerts=[alert("drift")])
    assert isinstance(firing, Firing)
    assert (firing.trigger, firing.alert_id, firing.reason) == ("drift", "shop-drift", "drift was seen")


def test_an_alert_of_a_kind_the_policy_does_not_name_opens_none() -> None:
    only_performance = RetrainSection(when=("performance",))
    assert isinstance(choose(policy=only_performance, alerts=[alert("drift")]), Waiting)


def test_a_drop_in_performance_comes_before_drift() -> None:
    firing = choose(alerts=[alert("drift"), alert("performance")])
    assert isinstance(firing, Firing) and firing.trigger == "performance"


def test_nothing_fires_before_the_first_release() -> None:
    held = choose(has_champion=False, alerts=[alert("drift")], new_data=[NewData("events/2", 200, 100)])
    assert isinstance(held, Waiting) and "penstock run" in held.reason


def test_data_count_as_new_once_they_have_grown_by_the_share_the_policy_asks_for() -> None:
    assert isinstance(choose(new_data=[NewData("events/2", 109, 100)]), Waiting)
    firing = choose(new_data=[NewData("events/2", 110, 100)])
    assert isinstance(firing, Firing) and firing.trigger == "new_data"
    assert "10% more" in firing.reason


def test_the_cooldown_counts_in_event_time_from_the_end_of_any_episode() -> None:
    for state in ("promoted", "refused", "failed"):
        ended = episode(1, 1.5, state=state)
        held = choose(alerts=[alert("drift")], episodes=[ended])
        assert isinstance(held, Waiting) and "cooldown" in held.reason
    assert isinstance(choose(alerts=[alert("drift")], episodes=[episode(1, 2)]), Firing)


def test_before_any_traffic_the_clock_counts() -> None:
    first = episode(1, 0.5, as_of=None, ended_as_of=None)
    assert isinstance(choose(new_data=[NewData("events/2", 200, 100)], episodes=[first]), Firing)
    held = choose(new_data=[NewData("events/2", 200, 100)], episodes=[first], by_clock=True)
    assert isinstance(held, Waiting) and "cooldown" in held.reason


def test_a_spent_budget_holds_until_the_oldest_episode_has_left_its_span() -> None:
    spent = [episode(3, 3), episode(2, 10), episode(1, 29)]
    held = choose(alerts=[alert("drift")], episodes=spent)
    assert isinstance(held, Waiting) and "budget" in held.reason and "2011-06-02" in held.reason
    assert isinstance(choose(alerts=[alert("drift")], episodes=[*spent[:2], episode(1, 31)]), Firing)


def test_a_persons_own_runs_do_not_use_up_the_budget() -> None:
    manual = [episode(number, 3, trigger="manual") for number in range(5)]
    assert isinstance(choose(alerts=[alert("drift")], episodes=manual), Firing)


def test_an_alarm_that_flaps_for_ever_is_held_to_the_budget() -> None:
    episodes: list[Episode] = []
    fired = []
    for hour in range(24 * 90):
        now = NOW + timedelta(hours=hour)
        if isinstance(choose(now=now, alerts=[alert("drift")], episodes=episodes), Firing):
            fired.append(now)
            episodes.insert(0, episode(len(episodes), 0, as_of=now, ended_as_of=now, state="refused"))
    assert all(sum(start <= at < start + timedelta(days=30) for at in fired) <= 3 for start in fired)
    assert len(fired) >= 9


def test_a_time_that_has_come_since_the_last_episode_opens_one() -> None:
    policy = RetrainSection(when=("0 3 * * 1",), cooldown=timedelta(days=1))  # NOW is a Wednesday
    assert choose(policy=policy, episodes=[episode(1, 1.5)]) == Waiting(QUIET), "it was opened after that Monday's time"
    firing = choose(policy=policy, episodes=[episode(1, 6)])
    assert isinstance(firing, Firing) and firing.trigger == "schedule"
    assert firing.reason == "it is time: '0 3 * * 1' came at 2011-05-30 03:00"
    assert choose(policy=policy) == Waiting(QUIET), "nothing is late before there is traffic"
    assert isinstance(choose(policy=policy, since=NOW - timedelta(days=7)), Firing)
    busy = structs.replace(policy, budget=Rate(0.5, timedelta(days=7)))
    held = choose(policy=busy, episodes=[episode(1, 6)])
    assert isinstance(held, Waiting) and "it is time" in held.reason


def test_a_gain_that_probes_have_found_opens_an_episode_where_the_policy_says_so() -> None:
    policy = RetrainSection(when=("gain",), strategy="auto")
    firing = choose(policy=policy, gain="a model of all rows lost 0.1 less")
    assert isinstance(firing, Firing) and (firing.trigger, firing.reason[:7]) == ("gain", "a model")
    assert choose(gain="a model of all rows lost 0.1 less") == Waiting(QUIET)
