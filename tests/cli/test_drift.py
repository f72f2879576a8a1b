"""`penstock drift`: exit codes, JSON, and a report that needs nothing else."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from penstock.cli.main import run


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    rng = np.random.default_rng(1)
    paths = {}
    for name, shift in (("old", 0.0), ("same", 0.0), ("new", 5.0)):
        frame = pl.DataFrame({"age": rng.normal(40 + shift, 9, 1500), "<colour>": rng.choice(["<b>r</b>", "g"], 1500)})
        paths[name] = str(tmp_path / f"{name}.parquet")
        frame.write_parquet(paths[name])
    return paths


def test_the_exit_code_says_whether_anything_moved(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drift", files["old"], files["same"]]) == 0
    assert "no column moved" in capsys.readouterr().out
    assert run(["drift", files["old"], files["new"]]) == 1
    assert "1 of 2 columns moved" in capsys.readouterr().out
    assert run(["drift", files["old"], files["new"], "--columns", "<colour>"]) == 0
    assert run(["drift", files["old"], "none.csv"]) == 2
    assert run(["drift", files["old"], files["new"], "--level", "7"]) == 2
    assert run(["drift", files["old"]]) == 2


def test_json_holds_what_was_found(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drift", files["old"], files["new"], "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["drifted"] == ["age"]
    assert found["columns"][0]["result"]["test"] == "ks"
    assert sum(bar["after"] for bar in found["columns"][0]["spread"]["bars"]) == pytest.approx(1)


def test_a_kept_sketch_stands_for_the_reference(files: dict[str, str], tmp_path: Path) -> None:
    kept = str(tmp_path / "old.sketch")
    assert run(["drift", files["old"], files["same"], "--keep", kept]) == 0
    Path(files["old"]).unlink()
    assert run(["drift", kept, files["new"]]) == 1


def test_the_report_holds_its_pictures_and_styles_and_no_markup_of_the_data(
    files: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    assert run(["drift", files["old"], files["new"], "--html", str(report)]) == 1
    text = report.read_text()
    assert "1 of 2 columns moved" in text and "<svg" in text
    assert "<b>r</b>" not in text and "&lt;colour&gt;" in text
    assert "http://" not in text.replace("http://www.w3.org", "") and "<script" not in text and "<link" not in text


def test_segments_are_compared_where_columns_to_cut_by_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, paths = np.random.default_rng(2), []
    for name, moved in (("old", 0.0), ("new", 12.0)):
        plan = rng.choice(["free", "pro"], 2500, p=[0.95, 0.05])
        age = rng.normal(40, 9, 2500) + moved * (plan == "pro")
        paths.append(str(tmp_path / f"{name}.parquet"))
        pl.DataFrame({"age": age, "plan": plan}).write_parquet(paths[-1])
    kept = str(tmp_path / "old.sketch")
    assert run(["drift", *paths, "--level", "0.001"]) == 0
    assert run(["drift", *paths, "--level", "0.001", "--by", "plan", "--keep", kept]) == 1
    assert "moved where plan=pro" in capsys.readouterr().out
    assert run(["drift", kept, paths[1], "--json"]) == 1
    (segment,) = json.loads(capsys.readouterr().out)["columns"][0]["result"]["segments"]
    assert (segment["segment"], segment["drifted"]) == ("plan=pro", True)
    assert run(["drift", kept, paths[1], "--by", "age"]) == 2
    assert "no segments by 'age'" in capsys.readouterr().err


def test_columns_that_make_no_segments_are_named_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, paths = np.random.default_rng(3), []
    for name, own in (("old", "e"), ("new", "f")):
        columns = {each: rng.choice(["x", "y"], 300) for each in ("a", "b", "c", "d", own)}
        paths.append(str(tmp_path / f"{name}.parquet"))
        pl.DataFrame({**columns, "id": [f"{name} {number}" for number in range(300)]}).write_parquet(paths[-1])
    kept, report = str(tmp_path / "old.sketch"), tmp_path / "report.html"
    run(["drift", *paths, "--by", "id,e,a,b", "--keep", kept, "--html", str(report)])
    said = capsys.readouterr().out
    assert "no segments by id: 300 different values in 300 rows: it names the row" in said
    assert f"no segments by e: {paths[1]} has no such column" in said.replace("\n", "")
    assert "no segments by id: 300 different values" in report.read_text()
    run(["drift", kept, paths[0], "--by", "id,a", "--json"])
    assert json.loads(capsys.readouterr().out)["segment_notes"] == [
        "no segments by id: 300 different values in 300 rows: it names the row"
    ]
    run(["drift", paths[0], paths[0], "--by", "a,b,c,d,e", "--json"])
    (note,) = json.loads(capsys.readouterr().out)["segment_notes"]
    assert note == "no segments by e: rows are cut by 4 columns at most, which are a, b, c, d"
