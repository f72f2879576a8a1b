"""`connect` finds the services: in this process, through the server that lives, or at a URL."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.app.app import open_app
from penstock.core.config import Config
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.identity import Actor, Role
from penstock.core.project.mistakes import ProjectFileError
from penstock.core.project.places import find_project_folder, project_config
from penstock.remote.discovery import LOCK_NAME, HomeLock, ServerInfo, write_server_file
from penstock.sdk.connect import connect
from penstock.server.app import build_server
from serving_http import serve

PROJECT = '[project]\nname = "churn"\ntask = "binary"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder, which is the working directory."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    (tmp_path / "penstock.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def url(project: Path) -> Iterator[str]:
    """A server of the project, over real HTTP."""
    config = project_config(project)
    services = open_app(config)
    with serve(build_server(services, config=config, owner=Actor("owner", Role.ADMIN), project=None)) as url:
        yield url
    services.close()


def last_actor(services: object) -> str:
    events = services.governance.list_events()  # type: ignore[attr-defined]
    return str(events[-1].actor)


def test_without_a_server_the_services_are_in_this_process(project: Path) -> None:
    services = connect()
    services.experiments.create_experiment("here")
    assert (project / ".penstock" / "penstock.db").is_file()
    services.close()
    again = connect(project)
    assert [found.name for found in again.experiments.list_experiments()] == ["Default", "here"]
    again.close()


def test_a_folder_below_the_project_finds_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "notebooks" / "deep").mkdir(parents=True)
    monkeypatch.chdir(project / "notebooks" / "deep")
    assert find_project_folder(Path.cwd()) == project


def test_a_url_names_a_server(project: Path, url: str) -> None:
    services = connect(url, actor="ada")
    services.experiments.create_experiment("there")
    assert last_actor(services) == "ada"
    services.close()


def test_the_environment_names_a_server(project: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_URL", url)
    services = connect()
    services.experiments.create_experiment("there")
    assert last_actor(services) == "owner"
    services.close()


def test_while_a_server_lives_it_is_used(project: Path, url: str) -> None:
    home = project_config(project).home
    lock = HomeLock(home / LOCK_NAME)
    lock.acquire()
    started_at = datetime.now(UTC)
    write_server_file(home, ServerInfo(url=url, gateway_url=url, pid=os.getpid(), started_at=started_at))
    services = connect()
    services.experiments.create_experiment("through-the-server")
    assert last_actor(services) == "owner"
    services.close()
    lock.release()
    alone = connect(actor="eve")
    alone.experiments.create_experiment("alone")
    assert last_actor(alone) == "eve"
    alone.close()


def test_outside_of_a_project_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match=r"no penstock\.toml in .*; change into a project folder.*penstock init"):
        connect()
    assert list(tmp_path.iterdir()) == []


def test_a_url_without_its_scheme_makes_no_folder(project: Path) -> None:
    with pytest.raises(NotFoundError, match="URL begins with http"):
        connect("127.0.0.1:5151")
    assert [path.name for path in project.iterdir()] == ["penstock.toml"]


def test_a_broken_project_file_is_told_with_its_line(project: Path) -> None:
    (project / "penstock.toml").write_text(PROJECT.replace("task", "taks"))
    with pytest.raises(ProjectFileError, match="did you mean 'task'"):
        connect()


def test_the_project_file_and_the_environment_place_the_state(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "penstock.toml").write_text(PROJECT + '[storage]\ndatabase = "sqlite:///other.db"\nobjects = "blobs"\n')
    config = project_config(project)
    assert (config.database_url, config.objects_url) == (f"sqlite:///{project / 'other.db'}", str(project / "blobs"))
    monkeypatch.setenv("PENSTOCK_HOME", str(project / "elsewhere"))
    monkeypatch.setenv("PENSTOCK_OBJECTS", str(project / "given"))
    config = project_config(project)
    assert (config.home, config.objects_url) == (project / "elsewhere", str(project / "given"))


def test_a_setting_of_the_wrong_type_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_PORT", "many")
    with pytest.raises(InvalidInputError, match="port"):
        project_config(project)


def test_a_config_alone_works(tmp_path: Path) -> None:
    services = open_app(Config(home=tmp_path / "home"))
    assert services.objects.get_bytes(services.objects.put_bytes(b"kept")) == b"kept"
    services.close()
