"""Versions go to a remote and come back, by command."""

import shutil
from pathlib import Path

import pytest

from cli.conftest import Penstock
from s3_server import S3Server


@pytest.fixture
def remote(s3: S3Server) -> str:
    return f"{s3.new_bucket()}/team"


def lose_objects(project: Path) -> None:
    shutil.rmtree(project / ".penstock" / "objects")


def test_a_version_that_was_pushed_comes_back_after_everything_here_was_lost(
    penstock: Penstock, project: Path, remote: str
) -> None:
    penstock("data", "add")
    (dataset,) = {each["dataset"] for each in penstock("data", "log", "--json").json}
    pushed = penstock("data", "push", "--remote", remote, "--json")
    assert pushed.code == 0, pushed.err
    assert pushed.json["versions"] == [f"dataset-version:{dataset}/1"] and pushed.json["packs"] >= 1
    again = penstock("data", "push", dataset, "--remote", remote)
    assert again.out == "pushed 1 version: nothing was missing there\n"
    lose_objects(project)
    assert penstock("verify").code == 1
    pulled = penstock("data", "pull", f"{dataset}@1", "--remote", remote)
    assert pulled.code == 0 and "pulled 1 version: " in pulled.out and "pack" in pulled.out
    assert penstock("verify").code == 0
    assert penstock("data", "pull", "--all-versions", "--remote", remote).out.endswith("nothing was missing here\n")


def test_the_remote_of_the_project_file_or_the_environment_is_taken(
    penstock: Penstock, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    penstock("data", "add")
    nowhere = penstock("data", "push")
    assert nowhere.code == 1 and "no remote" in nowhere.err and "--remote" in nowhere.err
    file = project / "penstock.toml"
    file.write_text(file.read_text() + '\n[storage]\nremote = "shared"\n')
    assert penstock("data", "push").code == 0
    assert list((project / "shared" / "packs").glob("*.pack"))
    monkeypatch.setenv("PENSTOCK_REMOTE", str(tmp_path / "elsewhere"))
    assert penstock("data", "push", "--everything").code == 0
    assert list((tmp_path / "elsewhere" / "packs").glob("*.pack"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["push", "nothing-of-this-name"], "there is no dataset"),
        (["pull", "nothing-of-this-name"], "there is no dataset"),
        (["push", "orders@x"], "names no version"),
        (["push", "--remote", "ftp://x"], "names no object store"),
    ],
)
def test_what_is_not_there_is_named(penstock: Penstock, project: Path, arguments: list[str], told: str) -> None:
    penstock("data", "add")
    given = arguments if "--remote" in arguments else [*arguments, "--remote", "remote"]
    said = penstock("data", *given)
    assert said.code == 1 and told in said.err


def test_a_version_that_the_remote_has_not_is_named(penstock: Penstock, project: Path, remote: str) -> None:
    penstock("data", "add")
    lose_objects(project)
    said = penstock("data", "pull", "--remote", remote)
    assert said.code == 1 and "in the store it should come from" in said.err
