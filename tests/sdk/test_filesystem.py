"""`penstock://` is a file system for whatever speaks fsspec."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest

from docs.pages import ROOT
from penstock.app.app import open_app
from penstock.core.config import load_config
from penstock.core.identity import Actor, Role
from penstock.datasets.types import FilesDraft
from penstock.sdk.filesystem import PenstockFileSystem
from penstock.server.app import build_server
from penstock.storage.objects.folders.scanning import Rules
from serving_http import serve

BODY = bytes(range(256)) * 20_000


@pytest.fixture(params=["here", "server"])
def files(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[fsspec.spec.AbstractFileSystem]:
    """Two versions of a folder, in a folder without a project or behind a server."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    PenstockFileSystem.clear_instance_cache()
    fsspec.register_implementation("penstock", PenstockFileSystem, clobber=True)
    folder = tmp_path / "f"
    (folder / "t" / "year=2023").mkdir(parents=True)
    (folder / "t" / "year=2024").mkdir()
    for year in (2023, 2024):
        frame = pl.DataFrame({"id": range(2_000), "x": [n + year for n in range(2_000)]})
        frame.write_parquet(folder / "t" / f"year={year}" / "a.parquet", row_group_size=500)
    (folder / "large.bin").write_bytes(BODY)
    (folder / "t.csv").write_text("a,b\n1,x\n2,y\n")
    (folder / "to").symlink_to("t/year=2024")
    config = load_config(home=tmp_path / ".penstock")
    services = open_app(config)
    for _ in range(2):
        added = services.objects.add_folder(folder, rules=Rules("keep"))
        draft = FilesDraft(source="f", tree=added.digest.hex(), files=added.files, size=added.size)
        services.datasets.record_files("f", draft)
        (folder / "new.txt").write_text("new")
    if request.param == "here":
        services.close()
        yield fsspec.filesystem("penstock")
        return
    with serve(build_server(services, config=config, owner=Actor("owner", Role.ADMIN), project=None)) as url:
        monkeypatch.setenv("PENSTOCK_URL", url)
        yield fsspec.filesystem("penstock")
        PenstockFileSystem.clear_instance_cache()


def test_the_entry_point_names_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["fsspec.specs"] == {
        "penstock": f"{PenstockFileSystem.__module__}:{PenstockFileSystem.__qualname__}"
    }


def test_folders_are_listed_walked_and_searched(files: PenstockFileSystem) -> None:
    assert files.ls("penstock://", detail=False) == ["f"]
    assert files.ls("f@1", detail=False) == ["f@1/large.bin", "f@1/t", "f@1/t.csv", "f@1/to"]
    assert "f/new.txt" in files.ls("f", detail=False)
    assert files.ls("f@1/t.csv", detail=False) == ["f@1/t.csv"]
    assert files.info("penstock://f@1/large.bin")["size"] == len(BODY)
    assert files.info("f@1/to")["type"] == "directory"
    assert files.glob("f@1/t/*/*.parquet") == ["f@1/t/year=2023/a.parquet", "f@1/t/year=2024/a.parquet"]
    assert files.glob("penstock://f@1/**/*.csv") == ["f@1/t.csv"]
    walked = {top: (sorted(folders), sorted(found)) for top, folders, found in files.walk("f@1")}
    assert walked["f@1"] == (["t", "to"], ["large.bin", "t.csv"])
    assert walked["f@1/to"] == ([], ["a.parquet"])
    assert files.checksum("f@1/to/a.parquet") == files.checksum("f@1/t/year=2024/a.parquet")
    assert files.du("f@1/t.csv") == 12


def test_parts_of_files_are_read(files: PenstockFileSystem) -> None:
    assert files.cat_file("f@1/large.bin", 1_000_000, 1_000_010) == BODY[1_000_000:1_000_010]
    assert files.cat_file("f@1/large.bin", -3) == BODY[-3:]
    assert files.cat_file("f@1/t.csv", end=-4) == b"a,b\n1,x\n"
    assert files.cat_file("f@1/t.csv", 50, 60) == b""
    ranges = files.cat_ranges(["f@1/large.bin"] * 2, [0, 300], [4, 305])
    assert ranges == [BODY[:4], BODY[300:305]]
    with files.open("penstock://f@2/large.bin") as stream:
        stream.seek(2_000_000)
        assert stream.read(5) == BODY[2_000_000:2_000_005]
    with fsspec.open("penstock://f@2/new.txt", "rt") as stream:
        assert stream.read() == "new"
    assert files.cat("f@1/t.csv") == b"a,b\n1,x\n2,y\n"


def test_pandas_polars_and_pyarrow_read_through_it(files: PenstockFileSystem) -> None:
    assert pd.read_csv("penstock://f@1/t.csv")["a"].tolist() == [1, 2]
    assert pd.read_parquet("penstock://f@1/to/a.parquet", columns=["x"])["x"].sum() == sum(range(2_024, 4_024))
    with files.open("f@1/to/a.parquet") as stream:
        assert pl.scan_parquet(stream).filter(pl.col("id") == 7).collect()["x"].to_list() == [2_031]
    table = ds.dataset("f@1/t", filesystem=files, format="parquet", partitioning="hive")
    found = table.to_table(filter=(ds.field("year") == 2023) & (ds.field("id") < 2))
    assert found.to_pydict() == {"id": [0, 1], "x": [2_023, 2_024], "year": [2_023, 2_023]}
    lazy = pl.scan_pyarrow_dataset(table).filter(pl.col("id") == 1).select("x").collect()
    assert sorted(lazy["x"].to_list()) == [2_024, 2_025]


def test_what_is_not_there_is_told_as_others_expect_it(files: PenstockFileSystem) -> None:
    for path in ("f@1/none", "f@9/t.csv", "f@x/t.csv", "other@1", "f@1/t.csv/below", "f@1/none/"):
        assert not files.exists(path)
        with pytest.raises(FileNotFoundError):
            files.info(path)
        with pytest.raises(FileNotFoundError):
            files.open(path)
    with pytest.raises(FileNotFoundError, match="is a folder"):
        files.cat_file("f@1/t")


def test_nothing_can_be_written(files: PenstockFileSystem) -> None:
    with pytest.raises(OSError, match="Read-only"):
        files.open("f@1/t.csv", "wb")
    with pytest.raises((OSError, NotImplementedError)):
        files.rm("f@1/t.csv")
    assert files.exists("f@1/t.csv")
