"""Every refusal is `error:` and a way out on standard error, exit code 1, and never a trace."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import warm_python

COMMAND = [sys.executable, "-m", "penstock"]

OUTSIDE = [
    "up",
    "stop",
    "status",
    "run",
    "runs list",
    "runs show 1",
    "models list",
    "models show",
    "promote 1",
    "deploy 1",
    "rollback",
    "data add",
    "data check",
    "data diff events 1 2",
    "predict --sample",
    "outcomes add x.jsonl --url ''",
    "monitor",
    "episodes list",
    "episodes show 1",
    "audit list",
    "audit verify",
    "lineage run:1",
    "verify",
]
WRONG = {
    "staus": ("there is no command 'staus'", "did you mean 'status'?"),
    "xyzzy": ("there is no command 'xyzzy'", "known here: alerts, audit,"),
    "runs lst": ("no such command 'lst'", "'penstock runs --help' says what it takes"),
    "run --nope": ("no such option: --nope", "'penstock run --help' says what it takes"),
    "promote": ("missing argument 'version'", "'penstock promote --help' says what it takes"),
    "promote many": ("invalid value for 'version'", "'penstock promote --help' says what it takes"),
    "runs list --limit many": ("invalid value for '--limit'", "'penstock runs list --help' says what it takes"),
    "init": ("say which table", "penstock init --data FILE --label COLUMN"),
    "init --data nowhere.csv --label y": ("there is no file nowhere.csv", ""),
}
INSIDE = {
    "promote 7": ("there is no model 'churned'", ""),
    "deploy 7": ("there is no model 'churned'", ""),
    "deploy 7 --strategy cannary": ("there is no strategy 'cannary'", "did you mean 'canary'?"),
    "monitor chruned": ("there is no deployment 'chruned'", ""),
    "models show": ("there is no model 'churned'", ""),
    "models show 7": ("there is no model 'churned'", ""),
    "rollback": ("there is no deployment 'churned'", ""),
    "runs show 1": ("there is no run '1'", "'penstock runs list'"),
    "runs compare 1 2": ("there is no run '1'", "'penstock runs list'"),
    "episodes show 1": ("there is no episode 1", "'penstock episodes list'"),
    "episodes show x": ("there is no episode 'x'", "penstock episodes"),
    "episodes cancel x": ("there is no episode 'x'", "penstock episodes"),
    "data add costumers": ("penstock.toml has no [data.costumers]", "did you mean 'customers'?"),
    "data check costumers": ("penstock.toml has no [data.costumers]", "did you mean 'customers'?"),
    "data diff customers 1 2": ("there is no dataset 'customers'", ""),
    "lineage run": ("'run' is no reference", "write kind:id"),
    "status --url here": ("'here' is no URL of a server", "--url http://127.0.0.1:5151"),
    "lineage run:1 --up --down": ("choose one of --up and --down", ""),
    "predict": ("give rows as JSON, or --sample", "penstock predict '{"),
    "predict {": ("the rows cannot be read", "penstock predict '{"),
    "predict 7": ("the rows cannot be read", "penstock predict '{"),
    "predict {}": ("this project is not up", "penstock up"),
    "predict --sample": ("this project is not up", "penstock up"),
    "outcomes add": ("name a file of outcomes, or one --prediction", ""),
    "outcomes add nowhere.jsonl": ("there is no file 'nowhere.jsonl'", ""),
    "outcomes add broken.jsonl": ("line 2 of broken.jsonl: there is no field 'vlue' here", "did you mean 'value'?"),
    "run --param x": ("'x' is no param", "write --param NAME=VALUE"),
    "run --resume": ("no episode is open", "start one with 'penstock run'"),
    "stop": ("nothing is up for", "start it with 'penstock up'"),
    "up --port 99999999": ("the server has no port 99999999", "--port takes 0 to 65535"),
    "up --host 0.0.0.0": ("listening on 0.0.0.0 would let anyone on the network in", "PENSTOCK_TOKEN"),
}


def words(line: str) -> list[str]:
    return [word.strip("'") for word in line.split() if word not in ("--url", "''")] if "''" in line else line.split()


def check(said, message: str, hint: str) -> None:
    assert said.code == 1
    assert said.out == ""
    first, *rest = said.err.splitlines()
    assert first.startswith(f"error: {message}")
    assert "Traceback" not in said.err
    assert hint in " ".join(rest)
    assert len(rest) <= 1


@pytest.mark.parametrize("line", OUTSIDE)
def test_outside_of_a_project_every_command_says_where_to_go(line: str, nowhere: Path, penstock) -> None:
    Path("x.jsonl").write_text("")
    said = penstock(*words(line))
    check(said, "there is no penstock.toml in", "penstock init")
    assert [path.name for path in nowhere.iterdir()] == ["x.jsonl"]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_answered_with_what_would_be_right(line: str, nowhere: Path, penstock) -> None:
    check(penstock(*line.split()), *WRONG[line])


@pytest.mark.parametrize("line", INSIDE)
def test_what_a_project_does_not_have_is_named(line: str, project: Path, penstock) -> None:
    Path("broken.jsonl").write_text('{"prediction_id": "a-0", "value": 1}\n{"prediction_id": "a-1", "vlue": 1}\n')
    check(penstock(*line.split()), *INSIDE[line])


@pytest.mark.parametrize("line", ["staus", "run --nope", "models show 7", "predict {}", "lineage run", "status"])
def test_with_json_an_error_is_json_on_standard_error(line: str, project: Path, penstock) -> None:
    if line == "status":
        (project / "penstock.toml").write_text("nonsense")
    said = penstock(*line.split(), "--json")
    assert (said.code, said.out) == (1, "")
    told = json.loads(said.err)
    assert set(told) == {"error_code", "message", "hint"}
    assert told["error_code"].isupper()
    assert told["message"]


def test_all_mistakes_of_a_project_file_are_told_at_once(project: Path, penstock) -> None:
    text = (project / "penstock.toml").read_text()
    text = text.replace('task = "binary"', 'task = "binry"').replace("[retrain]", "[retrian]")
    (project / "penstock.toml").write_text(text)
    said = penstock("status")
    assert said.code == 1
    assert "did you mean 'binary'?" in said.err
    assert "did you mean 'retrain'?" in said.err
    assert said.err.count("penstock.toml:") == 2


def test_a_missing_data_file_is_named(project: Path, penstock) -> None:
    (project / "data" / "customers.csv").unlink()
    said = penstock("data", "add")
    assert said.code == 1
    assert said.err.startswith("error: ")
    assert "data/customers.csv" in said.err


def test_blocked_data_names_the_rows(project: Path, penstock) -> None:
    with open(project / "data" / "customers.csv", "a") as file:
        file.write("60,41,plus,\n")
    said = penstock("data", "add")
    assert said.code == 1
    assert "row 61 of customers.csv" in said.err
    checked = penstock("data", "check")
    assert checked.code == 1
    assert "churned" in checked.out


def test_a_param_that_the_pipeline_has_not_ends_the_episode(project: Path, penstock) -> None:
    said = penstock("run", "--param", "learning_rte=1")
    assert (said.code, said.err) == (1, "")
    assert "did you mean 'learning_rate'?" in said.out.splitlines()[-2]
    assert said.out.splitlines()[-1].startswith("mend it and run again; 'penstock runs show ")


def test_a_database_that_is_none_is_told_without_a_trace(project: Path) -> None:
    (project / ".penstock").mkdir()
    (project / ".penstock" / "penstock.db").write_bytes(b"this is no database" * 1_000)
    ended = warm_python.run(["-m", "penstock", "status"])
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "penstock.db" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_home_that_cannot_be_written_is_told(project: Path, penstock) -> None:
    (project / ".penstock").write_text("in the way")
    said = penstock("status")
    assert said.code == 1
    assert said.err.startswith("error: ")
    assert ".penstock" in said.err


def test_somebody_who_reads_only_the_beginning_ends_it_quietly(nowhere: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*COMMAND, "--help"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert ended.stderr == b""


@pytest.mark.parametrize(("environment", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_an_error_is_coloured_in_a_terminal_only(environment: dict[str, str], is_coloured: bool, nowhere: Path) -> None:
    screen, terminal = pty.openpty()
    given = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    subprocess.run([*COMMAND, "staus"], stderr=terminal, env=given, check=False)
    shown = os.read(screen, 10_000)
    os.close(screen)
    os.close(terminal)
    assert (b"\033[" in shown) is is_coloured
    assert b"did you mean 'status'?" in shown
