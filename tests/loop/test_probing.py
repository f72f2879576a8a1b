"""Before a full retrain it is asked whether one would help: probes, what they add up to, and what is done then."""

from pathlib import Path

import numpy as np
import pytest

from lending_world import PROJECT, Lender, truth_of
from penstock.core import failpoints
from penstock.core.errors import ConflictError, PenstockError
from penstock.loop.controller import LEASE_S, Controller
from penstock.loop.retraining.types import Standing
from penstock.loop.types import EpisodeStory
from penstock.monitoring.monitor import Monitor
from penstock.pipelines.types import PipelineRun, ProbeResult, RowSpan, name_version
from penstock.pipelines.values import arrays
from penstock.registry.types import CHAMPION
from penstock.storage.references import list_kept
from shop_world import DAY, START

AUTO = PROJECT.replace('source = "people.csv"', 'source = "people.csv"\ntime = "at"').replace(
    'when = ["performance", "estimate"]', 'when = ["performance"]\nstrategy = "auto"\nspans = ["all", "change"]'
)


@pytest.fixture
def lender(tmp_path: Path) -> Lender:
    return Lender.open_released(tmp_path, AUTO)


@pytest.fixture(scope="module")
def fall(tmp_path_factory: pytest.TempPathFactory) -> Lender:
    lender = Lender.open_released(tmp_path_factory.mktemp("fall"), AUTO)
    lender.live(5)
    lender.live(6, first=5, slope=-2.0)
    Monitor(lender.services, lender.project).tick()
    return lender


@pytest.fixture
def fallen(fall: Lender, tmp_path: Path) -> Lender:
    """Good days, and then the relation turned round: there is an alert, and the loop has not looked yet."""
    return fall.copy_to(tmp_path)


@pytest.fixture
def probing(fallen: Lender) -> Lender:
    """That lender when the loop has asked for a probe."""
    fallen.settle()
    return fallen


def claim(lender: Lender) -> PipelineRun:
    run = lender.services.pipelines.claim_run("lend", "worker", 30)
    assert run is not None
    return run


def answer(lender: Lender, losses: dict[str, float], problems: dict[str, str] | None = None) -> PipelineRun:
    """A worker's answer to a probe: what each loses on average, a little noise on top; versions by their name."""
    run = claim(lender)
    assert run.probe is not None
    rng, n = np.random.default_rng(0), 400
    noise = rng.normal(0, 0.02, n)
    held = {name: arrays.write(mean + noise, lender.services.objects) for name, mean in losses.items()}
    asked = {*run.probe.spans, *map(name_version, run.probe.versions)}
    losses = {name: value for name, value in held.items() if name in asked}
    probed = ProbeResult(losses=losses, problems=problems or {}, cpu_s=1.5)
    lender.services.pipelines.finish_probe(run.id, run.fence, probed)
    lender.settle()
    return run


def story(lender: Lender) -> EpisodeStory:
    (episode, *_) = lender.services.loop.list_episodes("lend")
    return lender.services.loop.get_episode(episode.id)


def actions(lender: Lender) -> list[str]:
    return [decision.action for decision in story(lender).decisions]


def standing(lender: Lender) -> Standing:
    found = lender.services.loop.find_standing("lend")
    assert found is not None
    return found


def test_a_probe_is_asked_before_a_full_retrain(probing: Lender) -> None:
    assert (story(probing).episode.state, actions(probing)) == ("probing", ["open", "probe"])
    asked = standing(probing)
    assert asked.run_id is not None and asked.tried is not None and asked.tried.rows >= 100
    run = probing.services.pipelines.get_run(asked.run_id)
    assert run.probe is not None and list(run.probe.spans) == ["all", "change"]
    assert run.probe.versions == (1,)
    assert run.until == asked.tried.since, "nobody learns from what is tried on"
    change = run.probe.spans["change"]
    assert change.since is not None and change.since < run.until and change.until is None


@pytest.mark.parametrize("fails", [False, True])
def test_rows_of_the_log_are_let_go_when_a_probe_ends(probing: Lender, fails: bool) -> None:
    run_id = standing(probing).run_id
    assert run_id is not None
    asked = probing.services.pipelines.get_run(run_id)
    assert asked.probe is not None
    assert asked.probe.table in {digest for _, digest in probing.db.read(list_kept)}
    if fails:
        run = claim(probing)
        probing.services.pipelines.fail_run(run.id, run.fence, "no memory")
        with pytest.raises(ConflictError, match="is a probe"):
            probing.services.pipelines.resume_run(run.id)
    else:
        answer(probing, {"version 1": 0.5, "all": 0.4, "change": 0.2})
    assert asked.probe.table not in {digest for _, digest in probing.db.read(list_kept)}


def test_a_gain_trains_on_the_rows_that_won(probing: Lender) -> None:
    probe = answer(probing, {"version 1": 0.5, "all": 0.4, "change": 0.2})
    assert actions(probing) == ["open", "probe", "train"]
    decision = story(probing).decisions[-1]
    assert "the rows since the change lost 0.300 ± " in decision.reason and "worth it from 0.030" in decision.reason
    run = claim(probing)
    assert probe.probe is not None and run.rows is not None
    assert run.rows.since == probe.probe.spans["change"].since and run.rows.until is None
    assert decision.evidence["probed"]["contenders"][0]["name"] == "change"
    assert decision.evidence["probed"]["cpu_s"] == 1.5


def test_no_gain_trains_nothing_and_says_so(probing: Lender) -> None:
    answer(probing, {"version 1": 0.5, "all": 0.5, "change": 0.495})
    told = story(probing)
    assert (told.episode.state, actions(probing)) == ("refused", ["open", "probe", "decline"])
    assert told.episode.summary.startswith("a retrain would not help: on ")
    assert probing.services.pipelines.list_runs("lend", limit=10)[0].probe is not None, "there was no other run"


def test_small_losses_add_up_until_a_retrain_is_worth_it(tmp_path: Path) -> None:
    lender = Lender.open_released(tmp_path, AUTO.replace('["performance"]', '["gain"]'))
    for day in range(4):
        lender.live(2, first=2 * day)
        lender.settle()
        if not lender.services.loop.list_episodes("lend"):
            answer(lender, {"version 1": 0.2, "all": 0.188})
    told = story(lender)
    assert (told.episode.trigger, actions(lender)) == ("gain", ["open", "probe", "train"])
    assert "what the champion has cost so far is 0.036" in told.episode.reason
    assert claim(lender).rows == RowSpan(), "all rows"


def test_what_was_comes_again_so_its_model_does(lender: Lender) -> None:
    second = lender.register()
    lender.services.serving.deploy("lend", "lend", second.version)
    lender.services.registry.move_alias("lend", CHAMPION, second.version, "it was better")
    for day in range(9):
        inputs = lender.people(300)
        lender.request(START + day * DAY, inputs, truth_of(inputs, lender.rng, 2.0 if day < 4 else -2.0), revision=2)
    lender.settle()
    run = answer(lender, {"version 2": 0.5, "version 1": 0.2, "all": 0.4})
    assert run.probe is not None and run.probe.versions == (2, 1)
    told = story(lender)
    assert [decision.action for decision in told.decisions] == ["open", "probe", "recall", "deploy", "promote"]
    assert (told.episode.version, told.episode.state) == (1, "promoted")
    alias = lender.services.registry.find_alias("lend", CHAMPION)
    assert alias is not None and alias.version == 1


def test_nobody_learns_from_broken_rows(tmp_path: Path) -> None:
    lender = Lender.open_released(tmp_path, AUTO.replace('["performance"]', '["gain"]'))
    for day in range(3):
        inputs = lender.people(300)
        truth = truth_of(inputs, lender.rng, -2.0)
        lender.request(START + day * DAY, inputs.with_columns(debt=None), truth, score=lender.score(inputs))
    lender.settle()
    probed = standing(lender).newest
    assert probed is not None and probed.is_broken and "debt is missing in 100% more of the rows" in probed.problem
    assert [run for run in lender.services.pipelines.list_runs("lend") if run.probe is not None] == []
    assert lender.services.loop.list_episodes("lend") == []


def test_a_probe_that_fails_leaves_it_to_the_gates(probing: Lender) -> None:
    run = claim(probing)
    probing.services.pipelines.fail_run(run.id, run.fence, "the pipeline cannot be traced")
    probing.settle()
    assert actions(probing) == ["open", "probe", "train"]
    assert "the pipeline cannot be traced" in story(probing).decisions[-1].reason


def test_a_champion_that_cannot_be_tried_leaves_it_to_the_gates(probing: Lender) -> None:
    answer(probing, {"all": 0.1}, {"version 1": "its code may not run"})
    assert "its code may not run" in story(probing).decisions[-1].reason


def test_a_person_who_asks_for_a_retrain_gets_it(lender: Lender) -> None:
    lender.live(3)
    lender.services.loop.open_episode("lend")
    lender.settle()
    assert actions(lender) == ["open", "train"]


def test_without_a_column_of_time_nothing_is_tried(fall: Lender, tmp_path: Path) -> None:
    lender = fall.copy_to(tmp_path, AUTO.replace('time = "at"\n', ""))
    lender.settle()
    assert actions(lender) == ["open", "train"]
    assert "no column of time" in story(lender).decisions[-1].reason


def test_a_candidate_that_the_gates_refuse_ends_what_seemed_to_be_lost(probing: Lender) -> None:
    answer(probing, {"version 1": 0.5, "all": 0.2})
    assert standing(probing).case.lost.total > 0.2
    run = claim(probing)
    probing.services.pipelines.finish_run(run.id, run.fence, probing.candidate(run.id))
    probing.settle()
    assert story(probing).episode.state in ("refused", "failed")


@pytest.mark.every(2)
@pytest.mark.parametrize("crash", ["loop.before_decision", "storage.writer.before_commit", "loop.after_decision"])
def test_a_controller_that_dies_anywhere_asks_once(fallen: Lender, crash: str) -> None:
    for number in range(40):
        controller = Controller(fallen.services, fallen.project, holder=f"c{number}")
        failpoints.arm(f"{crash}=eio" if number % 2 else "")
        try:
            at_rest = not controller.tick() and not number % 2
        except Exception:  # whatever a dying controller throws
            at_rest = False
        finally:
            failpoints.arm("")
        fallen.clock.advance(seconds=LEASE_S + 1)
        if at_rest:
            break
    assert actions(fallen) == ["open", "probe"]
    runs = [run for run in fallen.services.pipelines.list_runs("lend") if run.probe is not None]
    assert [run.id for run in runs] == [standing(fallen).run_id]
    answer(fallen, {"version 1": 0.5, "all": 0.2})
    assert actions(fallen) == ["open", "probe", "train"]


def test_only_the_holder_of_the_lease_may_ask(probing: Lender) -> None:
    with pytest.raises(ConflictError):
        probing.services.loop.put_standing(standing(probing), 999)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('when = ["gain"]', "only the strategy auto asks them"),
        ('strategy = "auto"\nspans = ["all", "weighted"]', "weighted rows need a window"),
    ],
)
def test_a_project_that_cannot_be_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PenstockError, match=told):
        Lender(tmp_path, PROJECT.replace('when = ["performance", "estimate"]', text))
