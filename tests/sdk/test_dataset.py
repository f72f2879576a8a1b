"""`penstock.dataset` reads a version in this process and through a server, and closes what it opened."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import penstock
from penstock.app.app import open_app
from penstock.core.config import load_config
from penstock.core.errors import NotFoundError
from penstock.core.identity import Actor, Role
from penstock.core.project.types import DataSection
from penstock.datasets.ingest import add_version
from penstock.server.app import build_server
from serving_http import serve

PROJECT = '[project]\nname = "shop"\ntask = "binary"\n'


@pytest.fixture(params=["here", "bucket", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where `connect` leads: a project of this process, whose files may lie in a bucket, or a server at a URL."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    (tmp_path / "penstock.toml").write_text(PROJECT)
    pl.DataFrame({"id": range(9_000), "half": [n / 2 for n in range(9_000)]}).write_parquet(
        tmp_path / "sales.parquet", row_group_size=1_000
    )
    if request.param == "bucket":
        monkeypatch.setenv("PENSTOCK_OBJECTS", f"{request.getfixturevalue('s3').new_bucket()}/objects")
    config = load_config(os.environ, home=tmp_path / ".penstock")
    services = open_app(config)
    add_version(services.datasets, services.objects, "sales", DataSection(source="sales.parquet"), tmp_path)
    monkeypatch.chdir(tmp_path)
    if request.param != "server":
        services.close()
        yield str(tmp_path)
        return
    with serve(build_server(services, config=config, owner=Actor("owner", Role.ADMIN), project=None)) as url:
        monkeypatch.setenv("PENSTOCK_URL", url)
        yield url
        gc.collect()


def test_a_version_is_read_from_wherever_it_is(place: str) -> None:
    for name in ("sales", "sales@1"):
        reader = penstock.dataset(name)
        assert (reader.name, reader.schema.names, reader.profile.rows) == ("sales@1", ("id", "half"), 9_000)
        rows = reader.to_polars()
        del reader
        gc.collect()  # what was opened stays open as long as a frame needs it
        assert rows.filter(pl.col("id") >= 8_998).collect()["half"].to_list() == [4499.0, 4499.5]
    assert [file.path for file in penstock.dataset("sales").files()] == ["sales.parquet"]
    with pytest.raises(NotFoundError, match="no version 2"):
        penstock.dataset("sales@2")


def test_services_that_are_given_stay_open(place: str) -> None:
    services = penstock.connect()
    assert penstock.dataset("sales", services=services).to_polars().collect().height == 9_000
    gc.collect()
    assert services.datasets.get_version("sales").version == 1
    services.close()
