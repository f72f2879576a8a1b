"""`penstock data import dvc` and `export dvc`, as somebody who moves between the two uses them."""

import json
import os
from pathlib import Path

import pytest

from datasets.dvc.dvc_world import make_project, md5, write_out

FILES = {"a.txt": b"a", "sub/b": b"b" * 2_000_000}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder beside a project of DVC."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    cache = make_project(tmp_path / "theirs")
    write_out(tmp_path / "theirs", "data/im", FILES, cache)
    write_out(tmp_path / "theirs", "other/im", {"c": b"c"}, cache)
    write_out(tmp_path / "theirs", "one.csv", b"x\n1\n", cache)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_a_project_comes_in_and_goes_out(here: Path, penstock) -> None:
    said = penstock("data", "import", "dvc", "../theirs")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "one.csv: version 1 of one.csv, 1 files, 0.0 MB, 1 read\n"
        "data/im: version 1 of data-im, 2 files, 2.0 MB, 2 read\n"
        "other/im: version 1 of other-im, 1 files, 0.0 MB, 1 read\n"
    )
    assert penstock("data", "checkout").code == 0
    assert (here / "data" / "im" / "sub" / "b").read_bytes() == FILES["sub/b"]
    assert (here / "one.csv").read_bytes() == b"x\n1\n"
    assert penstock("data", "status").code == 0
    again = json.loads(penstock("data", "import", "dvc", "../theirs", "--json").out)
    assert [(row["version"], row["read"]) for row in again["versions"]] == [(1, 0)] * 3
    for what in ("data/im", "one.csv@1"):
        said = penstock("data", "export", "dvc", what, "--to", "../back")
        assert (said.code, said.err) == (0, "")
    for file in ("data/im.dvc", "one.csv.dvc"):
        assert (here.parent / "back" / file).read_bytes() == (here.parent / "theirs" / file).read_bytes()
    assert json.loads(penstock("data", "export", "dvc", "data-im", "--to", "../back", "--json").out)["written"] == 0


def test_within_the_project_itself_paths_stay_what_they_are(
    here: Path, penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.parent / "theirs" / ".penstock").mkdir()
    monkeypatch.chdir(here.parent / "theirs" / "data")
    assert penstock("data", "import", "dvc").out.startswith("data/im: version 1 of im, 2 files")
    assert '["data/im"' in (here.parent / "theirs" / "penstock.data").read_text()


def test_what_is_missing_is_named_and_the_rest_is_there(here: Path, penstock) -> None:
    key = md5(FILES["sub/b"])
    (here.parent / "theirs" / ".dvc" / "cache" / "files" / "md5" / key[:2] / key[2:]).unlink()
    said = penstock("data", "import", "dvc", "../theirs")
    assert said.code == 1
    assert f"missing: data/im/sub/b, as {key} is in no cache or remote" in said.err
    assert "dvc fetch" in said.err
    assert sorted(json.loads(line)[0] for line in (here / "penstock.data").read_text().splitlines()) == [
        "one.csv",
        "other/im",
    ]


def test_what_is_asked_for_wrongly_is_told(here: Path, penstock) -> None:
    assert "is in no project of DVC" in penstock("data", "import", "dvc", ".").err
    assert "no remote 'x'" in penstock("data", "import", "dvc", "../theirs", "--remote", "x").err
    penstock("data", "import", "dvc", "../theirs")
    assert "no dataset 'nothing'" in penstock("data", "export", "dvc", "nothing", "--to", "../back").err
    assert "no version 9" in penstock("data", "export", "dvc", "one.csv@9", "--to", "../back").err
    assert not (here.parent / "back").exists()
