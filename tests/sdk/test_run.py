"""`start_run` records one execution, and ends it as it went."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock as ps
from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import RunId
from penstock.tracking.types import Run, RunStatus


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    opened = open_app(Config(home=tmp_path / "home"))
    yield opened
    opened.close()


def read(services: Services, run_id: RunId) -> Run:
    return services.tracking.get_run(run_id)


def test_what_is_logged_is_kept(services: Services) -> None:
    with ps.start_run("shop", name="first", params={"rate": 0.1}, tags={"team": "a"}, services=services) as run:
        run.log(loss=0.5, step=1)
        run.log(loss=0.25, accuracy=1, step=2)
        run.log_params({"depth": 3})
        run.set_tags({"team": "b", "stage": "try"})
    found = read(services, run.id)
    assert (found.experiment, found.name, found.status) == ("shop", "first", RunStatus.FINISHED)
    assert found.params == {"rate": "0.1", "depth": "3"}
    assert found.tags == {"team": "b", "stage": "try"}
    assert {key: (metric.number, metric.step) for key, metric in found.metrics.items()} == {
        "loss": (0.25, 2),
        "accuracy": (1.0, 2),
    }
    assert [point.number for point in services.tracking.metric_history(run.id, "loss").points] == [0.5, 0.25]


def test_the_source_is_captured(services: Services) -> None:
    run = ps.start_run("shop", seed=7, services=services)
    run.end()
    source = read(services, run.id).source
    assert source.seed == 7
    assert source.environment_lock is not None
    assert b"numpy" in services.objects.get_bytes(source.environment_lock)


def test_a_file_and_a_folder_are_kept_as_artifacts(services: Services, tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    (plots / "deep").mkdir(parents=True)
    (plots / "a.txt").write_text("a")
    (plots / "deep" / "ü b.bin").write_bytes(b"\0" * 10)
    (tmp_path / "report.md").write_text("# fine")
    with ps.start_run(services=services) as run:
        run.log_artifact(tmp_path / "report.md")
        run.log_artifact(tmp_path / "report.md", "docs/last.md")
        run.log_artifact(plots)
    kept = {found.path: found for found in services.artifacts.list_artifacts(run.id)}
    assert set(kept) == {"report.md", "docs/last.md", "plots/a.txt", "plots/deep/ü b.bin"}
    assert services.objects.get_bytes(kept["plots/deep/ü b.bin"].digest) == b"\0" * 10
    assert kept["plots/deep/ü b.bin"].size_bytes == 10


def test_a_missing_file_is_named(services: Services, tmp_path: Path) -> None:
    with ps.start_run(services=services) as run, pytest.raises(NotFoundError, match=r"nowhere\.png"):
        run.log_artifact(tmp_path / "nowhere.png")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no"), RunStatus.FAILED),
        (KeyboardInterrupt(), RunStatus.KILLED),
        (SystemExit(1), RunStatus.FAILED),
        (SystemExit(0), RunStatus.FINISHED),
    ],
)
def test_an_error_that_leaves_the_block_ends_the_run_as_it_went(
    error: BaseException, status: RunStatus, services: Services
) -> None:
    with pytest.raises(type(error)), ps.start_run(services=services) as run:
        raise error
    found = read(services, run.id)
    assert found.status == status
    assert found.ended_at is not None


def test_a_param_keeps_its_value(services: Services) -> None:
    with ps.start_run(services=services, params={"rate": 0.1}) as run:
        run.log_params({"rate": 0.1})
        with pytest.raises(ConflictError, match="rate"):
            run.log_params({"rate": 0.2})


def test_an_experiment_needs_a_name(services: Services) -> None:
    with pytest.raises(InvalidInputError, match="experiment"):
        ps.start_run("", services=services)


def test_a_dataset_that_is_not_there_is_named(services: Services) -> None:
    with pytest.raises(NotFoundError, match="customers"):
        ps.load_dataset("customers", services=services)
    with pytest.raises(NotFoundError, match="churn"):
        ps.load_model("models:/churn@champion", services=services)


def test_the_own_project_is_used_and_closed_when_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_URL", raising=False)
    (tmp_path / "penstock.toml").write_text('[project]\nname = "churn"\ntask = "binary"\n')
    monkeypatch.chdir(tmp_path)
    with ps.start_run("shop") as run:
        run.log(loss=1.0)
    services = ps.connect()
    assert read(services, run.id).status == RunStatus.FINISHED
    services.close()
