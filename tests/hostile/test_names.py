"""Names that people choose come back exactly as they were given, or are refused with a reason."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile.world import Database, World
from penstock.catalogue.services import Services
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import RunId, new_id
from penstock.datasets.types import CheckReport
from penstock.registry.format.types import ModelInfo
from penstock.remote.remote import open_remote
from penstock.tracking.types import Metric

ODD = ["", " ", ".", "..", "a/..", "../a", "a/b", "/a", "a/", "a//b", "a\\b", "C:", "con", "a:b", "a?b", "a#b", "a%2fb"]
ODD += [
    "a%b",
    "%",
    "a+b",
    "a b",
    " a ",
    "é",
    "漢字",
    "👩‍👩‍👧",
    "e\u0301",
    "\u202eabc",
    "a\0",
    "a\n",
    "\u200b",
    "-",
    "--",
    "latest",
    "1",
]
ODD += [
    "null",
    "None",
    "true",
    "__proto__",
    "'; DROP TABLE runs; --",
    "x" * 128,
    "x" * 129,
    "x" * 250,
    "x" * 251,
    "\ud800",
]
NAMES = st.sampled_from(ODD) | st.text(max_size=40) | st.text("aZ0_.-/", min_size=1, max_size=130)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def remote(world: World, database: Database) -> Iterator[Services]:
    """The services at the other end of an HTTP connection."""
    held = open_remote(world.url)
    yield held
    held.close()
    database.restore()


def _check(keep: Callable[[], Any], read: Callable[[], str | None], name: str) -> None:
    """Kept and found again under exactly this name, or refused before anything was kept."""
    try:
        keep()
    except (InvalidInputError, NotFoundError, UnicodeEncodeError) as error:
        assert str(error)
        return
    assert read() == name


@FEW
@given(name=NAMES)
def test_an_experiment(name: str, remote: Services) -> None:
    _check(
        lambda: remote.tracking.create_run(name),
        lambda: remote.experiments.get_experiment(name).name,
        name,
    )


@FEW
@given(name=NAMES, key=NAMES, value=st.text(max_size=30))
def test_a_run_with_its_params_tags_and_metrics(name: str, key: str, value: str, remote: Services) -> None:
    run_id = RunId(new_id())
    _check(
        lambda: remote.tracking.create_run("names", name, run_id=run_id, tags={key: value}),
        lambda: remote.tracking.get_run(run_id).name,
        name or f"run-{run_id[-6:]}",
    )
    run = remote.tracking.create_run("names")
    _check(
        lambda: remote.tracking.log_batch(run.id, [Metric(key, 1.0)], {key: value}, {key: value}),
        lambda: remote.tracking.metric_history(run.id, key).points[0].key,
        key,
    )
    held = remote.tracking.get_run(run.id)
    assert held.params in ({}, {key: value}) and held.tags == held.params and set(held.metrics) == set(held.params)


@FEW
@given(name=NAMES)
def test_a_run_id_that_a_caller_chose(name: str, remote: Services) -> None:
    if name:
        _check(
            lambda: remote.tracking.create_run("ids", run_id=RunId(name)),
            lambda: remote.tracking.get_run(RunId(name)).id,
            name,
        )


@FEW
@given(path=NAMES)
def test_an_artifact_path(path: str, remote: Services, world: World) -> None:
    run_id = remote.tracking.create_run("tries").id  # of its own: no path may be a file here and a folder there
    _check(
        lambda: remote.artifacts.log_artifact(run_id, path, world.digest, 1),
        lambda: remote.artifacts.get_artifact(run_id, path).path,
        path,
    )


@FEW
@given(name=NAMES, alias=NAMES)
def test_a_model_and_its_aliases(name: str, alias: str, remote: Services, world: World) -> None:
    version = remote.registry.get_version("churn", 1)
    info = {"flavor": version.flavor, "task": version.task, "signature": version.signature}
    _check(
        lambda: remote.registry.register(name, None, version.tree, _info(info), tags={alias: name}),
        lambda: remote.registry.get_model(name).name,
        name,
    )
    _check(
        lambda: remote.registry.move_alias("churn", alias, 1),
        lambda: getattr(remote.registry.find_alias("churn", alias), "alias", None),
        alias,
    )


@FEW
@given(name=NAMES)
def test_a_dataset_and_a_deployment(name: str, remote: Services, world: World) -> None:
    report = CheckReport(passed=False, tree=world.digest, rows=1, results=())
    _check(
        lambda: remote.datasets.record_check_report(name, report),
        lambda: getattr(remote.datasets.latest_checks(name), "dataset", None),
        name,
    )
    _check(
        lambda: remote.serving.deploy(name, "churn", 1),
        lambda: remote.serving.get_deployment(name).name,
        name,
    )


def _info(fields: dict[str, Any]) -> ModelInfo:
    return ModelInfo(**fields)
