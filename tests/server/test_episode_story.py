"""An episode as it is told: seen, tried, decided, released, ended."""

from datetime import UTC, datetime
from html import unescape

import pytest

from penstock.core.ids import EpisodeId
from penstock.loop.types import Decision, Episode, EpisodeState
from penstock.server.web.loop.episodes import trace_milestones
from penstock.server.web.loop.story import tell_acts
from server.reading import open_page
from server.seeding import Shop


def story(shop: Shop, url: str, number: int) -> str:
    episode = next(held for held in shop.services.loop.list_episodes() if held.number == number)
    return unescape(open_page(f"{url}/episodes/{episode.id}").text)


def acts(text: str) -> list[str]:
    names = ("seen", "tried", "decided", "released", "ended")
    return [name for name in names if f'<section class="card" id="{name}">' in text]


def test_a_promoted_episode_is_told_from_what_was_seen_to_what_it_brought(shop: Shop, shop_url: str) -> None:
    text = story(shop, shop_url, 2)
    assert acts(text) == ["seen", "tried", "decided", "released", "ended"]
    assert 'href="/deployments/suggest/windows/2026-03-09T00:00/aisle"' in text  # a picture of what moved leads on
    assert "The inputs that moved" in text and text.count('class="strip tall"') == 1
    assert "What was known of each measure at the end" in text and 'class="chart half sequence"' in text
    assert "before it was seen: 8 windows" in text and "with the new version: 8 windows" in text
    for ref in ("/runs/", "/rollouts/", "/models/suggest/2", "/data/events/2", "/lineage/episode:"):
        assert f'href="{ref}' in text, ref


def test_a_refused_episode_shows_each_gate_against_its_bar(shop: Shop, shop_url: str) -> None:
    text = story(shop, shop_url, 3)
    assert acts(text) == ["seen", "tried", "decided"]
    assert "The inputs had not moved" in text
    decided = text.partition('id="decided"')[2].partition("</section>")[0]
    assert decided.count('class="reference"') == 2  # a bar in the strip of each gate
    assert "bar 0.3000" in decided and "Worse than the champion" in decided


def test_an_episode_by_hand_saw_nothing_and_one_that_goes_on_says_what_it_waits_for(shop: Shop, shop_url: str) -> None:
    assert "window by window" not in story(shop, shop_url, 1)
    assert "waits for rollout at 25%" in story(shop, shop_url, 4)


@pytest.mark.parametrize(
    ("action", "act"), [("open", "seen"), ("weigh", "tried"), ("refuse", "decided"), ("fail", "ended")]
)
def test_every_decision_has_its_place_and_one_that_nobody_named_was_tried(action: str, act: str) -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    decision = Decision(episode=EpisodeId("e"), number=1, action=action, reason="so it is", at=at)
    assert [held.name for held in tell_acts([decision], "shop") if held.chapters] == [act]


@pytest.mark.parametrize(
    ("state", "taken", "told"),
    [
        ("probing", "open probe", "Probe now, Train ahead, Register ahead, Judge ahead, Release ahead, Promote ahead"),
        ("refused", "open probe decline", "Probe done, Declined ended"),
        ("promoted", "open probe recall deploy promote", "Probe done, Recall done, Release done, Promote done"),
        ("training", "open train", "Train done, Register now, Judge ahead, Release ahead, Promote ahead"),
        ("refused", "open train register refuse", "Train done, Register done, Refused ended"),
    ],
)
def test_how_far_an_episode_came(state: EpisodeState, taken: str, told: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    episode = Episode(
        id=EpisodeId("e"), project="shop", number=1, trigger="drift", reason="", state=state, started_at=at
    )
    decisions = [
        Decision(episode=episode.id, number=number, action=action, reason="", at=at)
        for number, action in enumerate(taken.split())
    ]
    found = trace_milestones(episode, decisions)
    assert ", ".join(f"{milestone.name} {milestone.state}" for milestone in found) == told
