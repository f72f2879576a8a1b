"""The whole demo on real processes: from an empty folder to a table, and again from what it left."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.project.places import project_config
from penstock.demo.live import Handle
from penstock.demo.report import DemoResult
from penstock.demo.run import DemoOptions, run_demo
from penstock.processes.up import start_up
from penstock.remote.remote import open_remote
from penstock.storage.objects.open import open_object_store


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Handle]:
    """The processes of a project on free ports."""
    config = project_config(folder, port=0, gateway_port=0)
    with start_up(folder, config, lambda line: None) as running:
        running.wait_ready(threading.Event())
        services = open_remote(running.url, patience_s=60, objects=open_object_store(config.objects_url))
        with contextlib.closing(services):
            yield Handle(services, running.gateway_url, running.url, config.cache)


def never(folder: Path) -> contextlib.AbstractContextManager[Handle]:
    raise AssertionError(f"nothing should be started in {folder}")


def quiet(result: DemoResult) -> None:
    """Do not linger."""


@pytest.mark.slow
def test_the_demo_runs_to_its_table_and_tells_the_same_when_it_is_run_again(tmp_path: Path) -> None:
    options, console = DemoOptions(folder=tmp_path / "shop", weeks=3), Console(width=160)
    with console.capture() as first:
        result = run_demo(options, started, console, quiet)
    text = first.get()
    assert "episode 1 · promote: version 1 answers all requests" in text
    assert "clicks per 1,000 suggestions" in text
    assert result.episodes[0].state == "promoted"
    assert result.control is not None
    assert result.all_weeks.gains["popularity"].low > 0
    with console.capture():
        again = run_demo(options, started, console, quiet)
    assert again.all_weeks == result.all_weeks
    assert [episode.number for episode in again.episodes] == [episode.number for episode in result.episodes]


def test_too_few_weeks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="give --weeks 3 or more"):
        run_demo(DemoOptions(folder=tmp_path / "shop", weeks=2), never, Console(), quiet)


def test_a_missing_log_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    options = DemoOptions(folder=tmp_path / "shop", data=tmp_path / "nowhere.parquet")
    with pytest.raises(NotFoundError, match="there is no file"):
        run_demo(options, never, Console(), quiet)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_another_demo_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    options = DemoOptions(folder=tmp_path / "shop", weeks=3)
    with pytest.raises(AssertionError, match="nothing should be started"):
        run_demo(options, never, Console(quiet=True), quiet)
    other = DemoOptions(folder=tmp_path / "shop", weeks=4)
    with pytest.raises(ConflictError, match="other settings"):
        run_demo(other, never, Console(quiet=True), quiet)
