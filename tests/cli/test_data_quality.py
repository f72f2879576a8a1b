"""Checks inferred, edited and enforced on the command line; tables of no project too."""

from pathlib import Path

import pytest

import penstock as ps
from penstock.core.project.parse import load_project

TABLE = "id,age,plan\n" + "".join(f"{n},{20 + n % 50},{('free', 'pro')[n % 2]}\n" for n in range(100))


def test_checks_are_inferred_written_and_enforced(project: Path, penstock) -> None:
    penstock("data", "add")
    shown = penstock("data", "schema", "customers")
    assert shown.out.startswith("[[data.customers.check]]\n") and shown.code == 0
    before = (project / "penstock.toml").read_text()
    assert "checks were written into penstock.toml" in penstock("data", "schema", "customers", "--write").out
    after = (project / "penstock.toml").read_text()
    assert [line for line in after.splitlines() if line in before.splitlines()] and len(after) > len(before)
    assert all(line in after.splitlines() for line in before.splitlines())
    assert load_project(project).data["customers"].checks
    assert penstock("data", "schema", "customers", "--write").out == "penstock.toml has all of them already\n"
    assert penstock("data", "check").code == 0
    with open(project / "data" / "customers.csv", "a") as file:
        file.write("60,-41,basic,1\n")
    said = penstock("data", "check")
    assert said.code == 1 and "block" in said.out and "row 61" in said.out


def test_what_was_refused_can_be_looked_at_until_the_next_version(project: Path, penstock) -> None:
    file = project / "penstock.toml"
    file.write_text(file.read_text() + '\n[[data.customers.check]]\ncolumn = "age"\nbetween = [20, 60]\n')
    assert penstock("data", "quarantine", "customers").out == "No rows were put aside, and no files refused.\n"
    assert penstock("data", "add").code == 1
    assert penstock("gc", "--grace", "0").code == 0
    table = penstock("data", "quarantine", "customers").out.splitlines()
    assert table[1].split()[:4] == ["1", "refused", "60", "60"]
    said = penstock("data", "quarantine", "customers", "--to", "bad")
    assert said.code == 0
    assert said.out.splitlines()[0] == "the 60 rows that report 1 refused lie in bad" and "row 42" in said.out
    assert len((project / "bad" / "customers.csv").read_text().splitlines()) == 61
    file.write_text(file.read_text().replace("[20, 60]", "[20, 69]"))
    assert penstock("data", "add").code == 0
    assert penstock("gc", "--grace", "0").code == 0
    assert (project / "bad" / "customers.csv").is_file()
    assert penstock("data", "quarantine", "customers", "--to", "again").code == 0, "the version has the same files"


def test_a_table_of_no_project_is_profiled_and_checked(nowhere: Path, penstock) -> None:
    (nowhere / "t.csv").write_text(TABLE)
    assert penstock("data", "profile", "t.csv").out.splitlines()[0] == "t.csv: 100 rows, 3 columns"
    assert penstock("data", "profile", "t.csv", "--json").json["t.csv"]["columns"][0]["distinct"] == 100
    assert penstock("data", "check", "t.csv").code == 0
    (nowhere / "checks.toml").write_text(penstock("data", "schema", "t.csv").out)
    assert penstock("data", "check", "t.csv", "--checks", "checks.toml").code == 0
    (nowhere / "t.csv").write_text(TABLE + "7,33,gold\n")
    said = penstock("data", "check", "t.csv", "--checks", "checks.toml", "--json")
    assert said.code == 1
    found = {result["name"]: result["failed"] for result in said.json["t.csv"]["results"] if not result["passed"]}
    assert found == {"id unique": 2, "plan allowed": 1}


def test_the_profile_of_a_version_is_shown(project: Path, penstock) -> None:
    penstock("data", "add")
    assert penstock("data", "profile", "customers").out.startswith("customers version 1: 60 rows")
    assert (
        penstock("data", "profile", "customers", "--version", "1", "--json").json["customers version 1"]["rows"] == 60
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("data check t.csv --checks none.toml", "there is no file of checks none.toml"),
        ("data check t.csv --checks bad.toml", "bad.toml has 3 mistakes"),
        ("data check none.csv", "there is no file none.csv"),
        ("data profile none.parquet", "there is no file none.parquet"),
        ("data schema t.csv --write", "penstock data schema t.csv > checks.toml"),
        ("data check customers --checks bad.toml", "--checks goes with the path of a table"),
    ],
)
def test_what_cannot_be_checked_says_what_to_do(line: str, told: str, nowhere: Path, penstock) -> None:
    (nowhere / "t.csv").write_text(TABLE)
    (nowhere / "bad.toml").write_text('[[check]]\ncolumn = "id"\nuniqe = true\n\n[[check]]\nunique = true\n')
    said = penstock(*line.split())
    assert said.code != 0 and told in said.err, said.err


def test_a_version_is_split_listed_and_read_again(project: Path, penstock) -> None:
    penstock("data", "add")
    made = penstock("data", "split", "customers", "--shares", "0.6,0.4")
    assert made.code == 0 and made.out.startswith("customers version 1, split default by random")
    told = penstock("data", "split", "customers", "--list", "--json").json
    assert [(split["name"], sum(part["rows"] for part in split["parts"])) for split in told] == [("default", 60)]
    test = ps.load_split("customers", "test")
    again = ps.split_dataset("customers", ps.SplitRecipe(shares=(0.6, 0.4)))
    assert test.height == told[0]["parts"][1]["rows"] == again.parts[1].rows
    assert (
        "--by is one of random, stratified, grouped, time" in penstock("data", "split", "customers", "--by", "tme").err
    )
    for option, value in (("--shares", "0.5,x"), ("--cuts", "soon"), ("--gap", "7 days"), ("--leaks", "maybe")):
        said = penstock("data", "split", "customers", option, value)
        assert said.code != 0 and value in said.err and "Traceback" not in said.err
