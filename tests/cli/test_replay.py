from pathlib import Path

import polars as pl
import pytest

from cli.conftest import Penstock


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    path = tmp_path / "stream.csv"
    frame = pl.select(x=pl.int_range(500) % 17, z=pl.int_range(500) % 5)
    frame.with_columns(
        label=pl.when(pl.int_range(500) < 300).then(pl.col("x") > 8).otherwise(pl.col("x") < 8)
    ).write_csv(path)
    return path


def replay(stream: Path, *more: str) -> list[str]:
    return ["replay", "--data", str(stream), "--label", "label", "--chunks", "8", "--warmup", "0.3", *more]


def test_policies_are_compared_in_a_table_and_a_picture(penstock: Penstock, stream: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.html"
    arguments = replay(stream, "--policy", "static", "--policy", "sliding", "--html", str(picture))
    said = penstock(*arguments)
    assert said.code == 0, said.err
    assert "500 rows, 2 features, binary; 150 to warm up, then 8 chunks of 44" in said.out
    static, sliding = (
        next(line.split() for line in said.out.splitlines() if line.startswith(name)) for name in ("static", "sliding")
    )
    assert (static[3], sliding[3]) == ("0", "7")
    assert len(static[-1]) == 8
    page = picture.read_text()
    assert "<svg" in page
    assert "sliding" in page


def test_json_holds_every_policy_with_its_chunks(penstock: Penstock, stream: Path) -> None:
    found = penstock(*replay(stream, "--policy", "loop", "--json")).json["policies"]
    assert list(found) == ["loop"]
    assert set(found["loop"]) == {"score", "metric", "auc", "refits", "fits", "fit_cpu_s", "chunks"}
    assert [chunk["rows"] for chunk in found["loop"]["chunks"]] == [44] * 7 + [42]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--policy", "slidng"], "no policy 'slidng'"),
        (["--task", "clustering"], "no task"),
        (["--drop", "y"], "no column 'y'"),
        (["--warmup", "2"], "warm-up of 2"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_a_sentence(
    penstock: Penstock, stream: Path, more: list[str], message: str
) -> None:
    said = penstock(*replay(stream, *more))
    assert (said.code, said.out) == (1, "")
    assert message in said.err


def test_a_file_without_a_label_is_asked_for_one(penstock: Penstock, stream: Path) -> None:
    said = penstock("replay", "--data", str(stream))
    assert said.code == 1
    assert "which column to predict" in said.err


def test_a_missing_file_is_named(penstock: Penstock) -> None:
    said = penstock("replay", "--data", "nowhere.csv", "--label", "y")
    assert said.code == 1
    assert "nowhere.csv" in said.err


def test_a_project_is_replayed_by_what_its_file_says(penstock: Penstock, project: Path) -> None:
    said = penstock("replay", "--warmup", "0.5", "--chunks", "2", "--policy", "static")
    assert said.code == 0, said.err
    assert "60 rows, 2 features, binary; 30 to warm up, then 2 chunks of 25" in said.out


def test_a_project_whose_source_is_no_file_here_is_told_the_way_out(penstock: Penstock, project: Path) -> None:
    (project / "data" / "customers.csv").unlink()
    said = penstock("replay")
    assert said.code == 1
    assert "--data FILE" in said.err
