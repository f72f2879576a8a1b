"""The whole life of a small model on real processes: init, up, run, predict, outcomes, a second version, rollback."""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

import penstock as ps
from journeys.own_project import OwnProject, make_customers, questions
from patience import PATIENCE_S, wait_until
from penstock.core.ids import RunId
from penstock.predictions.types import Outcome


@pytest.mark.slow
def test_a_model_lives_through_everything(project: OwnProject) -> None:
    project.start()
    assert set(project.processes()) == {"server", "gateway", "worker"}
    release_first(project)
    ids = ask_and_tell(project)
    walk_back_to_the_source(project, ids[0])
    release_second(project)
    go_back(project)
    look_around(project)
    assert project.run("stop").stdout.startswith("stopped")
    assert project.up is not None
    project.up.communicate(timeout=PATIENCE_S)
    assert project.up.returncode == 0
    assert project.processes() == {}
    assert project.json("audit", "verify")["problems"] == []


def release_first(project: OwnProject) -> None:
    said = project.run("run").stdout.splitlines()
    assert said[0] == "episode 1 of churned: " + said[0].partition(": ")[2]
    assert said[-1].startswith("promoted: ")
    assert [entry["model"]["latest_version"] for entry in project.json("models", "list")] == [1]


def ask_and_tell(project: OwnProject) -> list[str]:
    wait_until(lambda: project.predict(questions(1)).is_success)
    answers = project.predict(questions(30)).json()["predictions"]
    assert {answer["version"] for answer in answers} == {1}
    assert all(0 <= answer["score"] <= 1 and answer["prediction"] in (0, 1) for answer in answers)
    refused = project.predict([{"age": "old", "calls": 1, "plan": "basic"}])
    assert (refused.status_code, "age" in refused.json()["message"]) == (422, True)
    truth = project.folder / "truth.jsonl"
    truth.write_text("".join(json.dumps({"prediction_id": a["id"], "value": 1}) + "\n" for a in answers))
    assert project.json("outcomes", "add", "truth.jsonl")["accepted"] == 30
    again = project.json("outcomes", "add", "truth.jsonl")
    assert (again["accepted"], again["repeated"]) == (0, 30)
    one = project.json("predict", "--sample")["predictions"][0]
    assert project.json("outcomes", "add", "--prediction", one["id"], "--value", "0")["accepted"] == 1
    services = ps.connect(project.folder)
    wait_until(lambda: services.predictions.get_traffic("churned").outcomes == 31, what="the outcomes are matched")
    services.close()
    return [answer["id"] for answer in answers]


def walk_back_to_the_source(project: OwnProject, prediction: str) -> None:
    found = project.json("lineage", f"prediction:{prediction}")
    reached = {edge["source"]["kind"] for edge in found["edges"]}
    assert {"revision", "model-version", "run", "dataset-version", "source"} <= reached
    assert "source:data/customers.csv" in project.run("lineage", f"prediction:{prediction}").stdout


def release_second(project: OwnProject) -> None:
    table = project.folder / "data" / "customers.csv"
    make_customers(2_500, seed=1).write_csv(table)  # 500 more of the same
    assert project.run("data", "add").stdout == "customers version 2: 2,500 rows, added\n"
    services = ps.connect(project.folder)
    episode = wait_until(lambda: next(iter(services.loop.list_episodes("churned", "releasing")), None))
    assert (episode.trigger, episode.number) == ("new_data", 2)
    customers = make_customers(200, seed=5)
    while services.loop.get_episode(episode.id).episode.is_open:
        answers = project.predict(customers.select("age", "calls", "plan").to_dicts()).json()["predictions"]
        truth = zip(answers, customers["churned"].to_list(), strict=True)
        outcomes = [Outcome(prediction_id=a["id"], value=value, at=datetime.now(UTC)) for a, value in truth]
        services.predictions.add_outcomes(outcomes)  # the canary is judged by these
    assert services.loop.get_episode(episode.id).episode.state == "promoted"
    wait_until(lambda: {a["version"] for a in project.predict(questions(20)).json()["predictions"]} == {2})
    services.close()


def go_back(project: OwnProject) -> None:
    assert "version 1 again" in project.run("rollback", "--reason", "a feeling").stdout
    wait_until(lambda: {a["version"] for a in project.predict(questions(20)).json()["predictions"]} == {1})
    wait_until(lambda: project.json("models", "show")["version"]["version"] == 1, what="the champion follows")


def look_around(project: OwnProject) -> None:
    status = project.json("status")
    assert [stage["number"] for stage in status["stages"] if not stage["holds"]] in ([], [7])
    assert project.run("verify").returncode == 0
    story = project.run("episodes", "show", "2").stdout
    assert "promote" in story
    for path in ("/", "/models/churned/2", "/data", "/audit", "/health", "/api/v1/openapi.json"):
        page = httpx.get(project.url + path, follow_redirects=True)
        assert page.status_code == 200, path
    logs = {path.name for path in (project.home / "logs").iterdir()}
    assert {"server.log", "gateway.log", "worker.log"} <= logs
    for name in sorted(logs):
        assert "Traceback" not in (project.home / "logs" / name).read_text(), name


@pytest.mark.slow
def test_without_a_server_a_run_does_everything_here(trained_once: OwnProject) -> None:
    assert trained_once.processes() == {}
    (version,) = trained_once.json("models", "list")
    assert version["aliases"][0]["alias"] == "champion"
    (episode,) = trained_once.json("episodes", "list")
    assert (episode["state"], episode["trigger"]) == ("promoted", "manual")
    run = trained_once.json("runs", "show", episode["run_id"])["run"]
    assert run["status"] == "finished"
    assert "roc_auc" in run["metrics"]


def test_what_python_code_logs_stands_beside_the_pipeline_runs(trained: OwnProject) -> None:
    services = ps.connect(trained.folder)
    with ps.start_run("notebook", services=services) as run:
        run.log(loss=0.5)
    model = ps.load_model("models:/churned@champion", services=services, cache=Path(trained.home / "cache"))
    frame = model.predict(make_customers(5, seed=3).select("age", "calls", "plan"))
    assert frame.columns == ["prediction", "score"]
    assert ps.load_dataset("customers", services=services).height == 2_000
    services.close()
    assert trained.json("runs", "show", RunId(run.id))["run"]["experiment"] == "notebook"
