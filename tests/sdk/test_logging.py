"""What `log` and its neighbours take, and what they refuse at once."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import penstock as ps
from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.sdk.run import ActiveRun
from penstock.sdk.system_metrics import SystemProbe


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    opened = open_app(Config(home=tmp_path / "home"))
    yield opened
    opened.close()


def steps(services: Services, run: ActiveRun, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.number) for point in services.tracking.metric_history(run.id, key).points]


def test_dicts_keywords_and_scalars_are_metrics(services: Services) -> None:
    with ps.start_run(services=services) as run:
        run.log({"a/b": np.float32(0.5), "step": 3}, c=np.int64(2), step=np.int32(4))
        run.log({f"m{number}": number for number in range(12_000)}, step=0)
        run.log()
    assert steps(services, run, "a/b") == [(4, 0.5)]
    assert steps(services, run, "step") == [(4, 3.0)]
    assert steps(services, run, "c") == [(4, 2.0)]
    assert len(services.tracking.get_run(run.id).metrics) == 12_003


def test_a_step_that_is_not_given_follows_the_last_one_of_its_metric(services: Services) -> None:
    with ps.start_run(services=services) as run:
        for value in (3, 2, 1):
            run.log(loss=value)
            run.log(accuracy=value)
        run.log(loss=0, step=10)
        run.log(loss=0)
    assert [step for step, _ in steps(services, run, "loss")] == [0, 1, 2, 10, 11]
    assert [step for step, _ in steps(services, run, "accuracy")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("metrics", "step", "said"),
    [
        ({"loss": "high"}, 1, "'loss' is 'high'"),
        ({"loss": None}, 1, "NoneType"),
        ({"loss": [1, 2]}, 1, "list"),
        ({"": 1.0}, 1, "metrics"),
        ({"a\nb": 1.0}, 1, "metrics"),
        ({"loss": 1.0}, 1.5, "step 1.5"),
        ({"loss": 1.0}, 2**63, "64 bits"),
        ({"loss": 10**400}, 1, "loss"),
    ],
)
def test_what_no_metric_can_be_is_refused_where_it_is_logged(
    services: Services, metrics: dict[str, object], step: int, said: str
) -> None:
    with ps.start_run(services=services) as run:
        with pytest.raises(InvalidInputError, match=said):
            run.log(metrics, step=step)
        run.log(loss=1.0)
    assert len(services.tracking.get_run(run.id).metrics) == 1


def test_small_things_are_kept_as_files(services: Services) -> None:
    with ps.start_run(services=services) as run:
        run.log_text("grüße", "notes/hello.txt")
        run.log_dict({"a": [1, np.float64(2.5)]}, "a.json")
        run.log_dict({"a": 1}, "a.yaml")
        run.log_table({"x": [1, 2], "y": ["a", None]}, "t.parquet")
        run.log_table([{"x": 1}, {"x": 2}], "t.csv")
        with pytest.raises(InvalidInputError, match="csv"):
            run.log_table({"x": [1]}, "t.xlsx")
        with pytest.raises(InvalidInputError, match="no figure"):
            run.log_figure(object(), "f.png")
    kept = {found.path: services.objects.get_bytes(found.digest) for found in services.artifacts.list_artifacts(run.id)}
    assert kept["notes/hello.txt"].decode() == "grüße"
    assert kept["a.json"] == b'{\n  "a": [\n    1,\n    2.5\n  ]\n}'
    assert kept["a.yaml"] == b"a: 1\n"
    assert pl.read_parquet(kept["t.parquet"]).to_dict(as_series=False) == {"x": [1, 2], "y": ["a", None]}
    assert kept["t.csv"] == b"x\n1\n2\n"


def test_a_run_that_nobody_knows_cannot_be_gone_on_with(services: Services) -> None:
    with pytest.raises(NotFoundError, match="cafe"):
        ps.start_run(run_id="cafe", services=services)


def test_a_run_has_a_page_where_a_server_shows_it(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    with ps.start_run(services=services) as run:
        assert run.url == ""
    monkeypatch.setenv("PENSTOCK_URL", "http://127.0.0.1:9/")
    away = ps.start_run()
    assert away.url == f"http://127.0.0.1:9/runs/{away.id}"
    away.end(wait_s=0.0)


def test_the_machine_is_watched_until_the_run_ends(services: Services) -> None:
    with ps.start_run(services=services, system_metrics=0.05) as run:
        run.log(loss=1.0)
    found = services.tracking.get_run(run.id).metrics
    assert {"system/cpu_percent", "system/memory_percent", "system/disk_percent", "system/process_memory_mb"} <= set(
        found
    )
    assert all(math.isfinite(metric.number) for metric in found.values())


@pytest.mark.parametrize(("value", "watched"), [("0", False), ("", False), ("60", True), ("true", True)])
def test_a_setting_says_whether_the_machine_is_watched(
    services: Services, value: str, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_SYSTEM_METRICS", value)
    run = ps.start_run(services=services)
    run.end()
    assert ("system/cpu_percent" in services.tracking.get_run(run.id).metrics) is watched


def test_an_interval_that_is_none_is_refused(services: Services) -> None:
    with pytest.raises(InvalidInputError, match="every -1"):
        ps.start_run(services=services, system_metrics=-1)


def test_a_probe_measures_rates_since_the_last_time() -> None:
    probe = SystemProbe()
    first, second = probe.measure(), probe.measure()
    assert set(first) == set(second)
    assert all(name.startswith("system/") for name in first)
