"""kill -9 of any process while everything goes on: it goes on, nothing acknowledged is lost, no answer is wrong."""

import json
import random
import subprocess
import time

import pytest

import penstock as ps
from journeys.own_project import COMMAND, OwnProject, kill, make_customers
from journeys.traffic import QUESTIONS, Traffic
from patience import PATIENCE_S, wait_until
from penstock.catalogue.services import Services
from penstock.predictions.frames import read_predictions

NAMES = ("server", "gateway", "worker", "supervisor")


def kill_one(project: OwnProject, name: str) -> None:
    """End a process as power cuts do; the supervisor is started again, as a person or an init system would."""
    if name == "supervisor":
        project.kill_supervisor()
        project.start()
        return
    before = project.processes().get(name)
    if before is not None:
        kill(before)
    wait_until(lambda: project.processes().get(name) not in (None, before), what=f"the {name} is started again")


def storm(project: OwnProject, names: list[str], chance: random.Random) -> None:
    """Kill processes one after the other while a run, predictions, outcomes and logs go on; then look at it all."""
    with Traffic(project) as traffic:
        traffic.wait_for_more()
        run = subprocess.Popen(
            [*COMMAND, "run", "--param", "learning_rate=0.07", "--json"],
            cwd=project.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in names:
            time.sleep(chance.uniform(0.1, 1.5))
            kill_one(project, name)
            traffic.wait_for_more()
        run.communicate(timeout=PATIENCE_S)
        services = ps.connect(project.folder)
        wait_until(
            lambda: not any(episode.is_open for episode in services.loop.list_episodes("churned")),
            what="the episode comes to its end",
        )
    wait_until(lambda: services.loop.get_state("churned").settled, what="the loop has nothing left to do")
    print(f"{len(traffic.answers)} answers, {len(traffic.outcomes)} outcomes, {traffic.lost} requests without one")
    check_answers(project, services, traffic)
    check_facts(services, traffic)
    check_final_state(project, services)
    services.close()


def check_answers(project: OwnProject, services: Services, traffic: Traffic) -> None:
    """Each answer is what the version that it names says to that question."""
    assert {status for status, _ in traffic.refusals} <= {503}, traffic.refusals[:3]
    frame = make_customers(len(QUESTIONS), seed=7).select("age", "calls", "plan")
    right = {}
    for version in {row["version"] for _, row in traffic.answers.values()}:
        model = ps.load_model(f"models:/churned/{version}", services=services, cache=project.home / "cache")
        right[version] = model.predict(frame).to_dicts()
    for place, row in traffic.answers.values():
        expected = right[row["version"]][place]
        assert row["status"] == "ok"
        assert (row["prediction"], row["score"]) == (expected["prediction"], pytest.approx(expected["score"]))


def check_facts(services: Services, traffic: Traffic) -> None:
    """Every prediction, outcome, run and metric that was acknowledged is there."""
    wait_until(lambda: services.predictions.get_traffic("churned").rows >= len(traffic.answers), what="segments arrive")
    segments, after = [], 0
    while page := services.predictions.list_segments("churned", after=after):
        segments += page
        after = page[-1].number
    logged = read_predictions(services.objects, segments)
    known = dict(zip(logged["id"], logged["output"], strict=True))
    assert len(known) == logged.height  # no prediction twice
    assert set(traffic.answers) <= set(known)
    for identity, (_, row) in traffic.answers.items():
        assert json.loads(known[identity])["score"] == row["score"]
    told, after = {}, 0
    while page := services.predictions.list_outcomes("churned", after=after):
        told |= {outcome.prediction_id: outcome.value for outcome in page}
        after = page[-1].number
    assert {identity: told.get(identity) for identity in traffic.outcomes} == traffic.outcomes
    for identity, steps in traffic.runs.items():
        points = services.tracking.metric_history(identity, "loss").points
        assert {point.step for point in points} >= set(steps)
        assert len(points) == len({point.step for point in points})


def check_final_state(project: OwnProject, services: Services) -> None:
    """One champion, which serves; versions without holes; one decision at a time; everything whole."""
    versions = sorted(version.version for version in services.registry.list_versions("churned"))
    assert versions == list(range(1, len(versions) + 1))
    champion = services.registry.resolve("models:/churned@champion")
    (deployment,) = services.serving.list_deployments()
    assert deployment.stable is not None
    assert (deployment.stable.version, deployment.candidate) == (champion.version, None)
    for episode in services.loop.list_episodes("churned"):
        story = services.loop.get_episode(episode.id)
        assert [decision.number for decision in story.decisions] == list(range(1, len(story.decisions) + 1))
        assert episode.state in ("promoted", "refused")
    statuses = {run.status.value for run in services.tracking.list_runs("churned", limit=100)}
    assert statuses == {"finished"}
    assert project.json("audit", "verify")["problems"] == []
    assert project.run("verify").returncode == 0


@pytest.mark.slow
def test_each_process_that_is_killed_comes_back_and_nothing_is_lost(
    trained: OwnProject, request: pytest.FixtureRequest
) -> None:
    """Each once at a random moment, and with --thorough ten more of them."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    more = chance.choices(NAMES, k=10) if request.config.getoption("--thorough") else []
    trained.start()
    storm(trained, [*chance.sample(NAMES, len(NAMES)), *more], chance)
