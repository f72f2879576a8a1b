"""`penstock data export croissant` and `import croissant` in a folder without a project."""

import json
import os
import tomllib
from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, penstock) -> Path:
    """A folder in which a table was added as a file."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("id,name\n1,a\n2,b\n")
    assert penstock("data", "add", "t.csv").code == 0
    return tmp_path


def test_a_version_goes_out_with_its_files_and_comes_in_as_a_table(here: Path, penstock) -> None:
    said = penstock("data", "export", "croissant", "t.csv@1", "--to", "out", "--license", "CC0-1.0")
    assert (said.code, said.err) == (0, "")
    assert said.out == "out/croissant.json: describes 1 files, which lie beside it\n"
    described = json.loads((here / "out" / "croissant.json").read_text())
    assert (described["license"], described["distribution"][0]["contentUrl"]) == ("CC0-1.0", "t.csv")
    assert "is there already" in penstock("data", "export", "croissant", "t.csv", "--to", "out").err
    described["recordSet"] = {
        "@type": "cr:RecordSet",
        "@id": "r",
        "field": {
            "@type": "cr:Field",
            "@id": "r/id",
            "dataType": "cr:Int64",
            "source": {"fileObject": {"@id": "t.csv"}, "extract": {"column": "id"}},
        },
    }
    (here / "out" / "croissant.json").write_text(json.dumps(described))
    said = penstock("data", "import", "croissant", "out/croissant.json", "--name", "a.table")
    assert (said.code, said.err) == (0, "")
    first, _, section = said.out.partition("\n")
    assert first == "a.table version 1: 2 rows, 1 files"
    assert tomllib.loads(section.partition("penstock.toml:\n")[2])["data"]["a.table"]["check"] == [
        {"column": "id", "type": "integer"}
    ]
    again = json.loads(penstock("data", "import", "croissant", "out/croissant.json", "--name", "a.table", "--json").out)
    assert (again["version"], again["rows"]) == (1, 2)


def test_a_description_alone_is_printed_with_where_its_files_are(here: Path, penstock) -> None:
    said = penstock("data", "export", "croissant", "t.csv")
    assert "give it by --license" in said.err
    assert json.loads(said.out)["distribution"][0]["contentUrl"] == "penstock://t.csv@1/t.csv"
    said = penstock("data", "export", "croissant", "t.csv", "--base", "https://example.org/", "--license", "MIT")
    assert json.loads(said.out)["distribution"][0]["contentUrl"] == "https://example.org/t.csv"
    assert "cannot be given together" in penstock("data", "export", "croissant", "t", "--to", "o", "--base", "x").err
    assert "no dataset 'nothing'" in penstock("data", "export", "croissant", "nothing").err


def test_a_folder_that_is_new_to_penstock_will_do(
    here: Path, tmp_path: Path, penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    penstock("data", "export", "croissant", "t.csv", "--to", "out")
    fresh = tmp_path.parent / f"{tmp_path.name}-fresh"
    fresh.mkdir()
    monkeypatch.chdir(fresh)
    said = penstock("data", "import", "croissant", str(here / "out" / "croissant.json"))
    assert (said.code, said.out) == (0, "t.csv version 1: 0 rows, 1 files\n")
    assert (fresh / ".penstock").is_dir()


def test_what_is_asked_for_wrongly_is_told(here: Path, penstock) -> None:
    assert "no file none.json" in penstock("data", "import", "croissant", "none.json").err
    assert "cannot be 'maybe'" in penstock("data", "import", "croissant", "none.json", "--types", "maybe").err
    (here / "bad.json").write_text("{}")
    assert "conforms to Croissant" in penstock("data", "import", "croissant", "bad.json").err
