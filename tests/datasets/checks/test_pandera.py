"""Schemas of pandera are accepted as they are, and their failures are results of checks."""

from pathlib import Path

import polars as pl
import pytest
from msgspec import structs

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.project.types import DataSection
from penstock.datasets.checks import pandera_schema
from penstock.datasets.ingest import check_source
from penstock.datasets.types import CheckReport

pytestmark = pytest.mark.filterwarnings("ignore")  # what pandera says of its own affairs

SCHEMAS = """
import pandera.pandas as pda
import pandera.polars as pap
import polars as pl
import rules

class Visits(pap.DataFrameModel):
    id: int = pap.Field(unique=True)
    age: int = pap.Field(ge=rules.LEAST)
    plan: str = pap.Field(isin=["a", "b"])

    @pap.dataframe_check
    def not_old(cls, data):
        return data.lazyframe.select(pl.col("age") < 90)

checks = {"id": pda.Column(int, unique=True), "age": pda.Column(int, pda.Check.ge(18)), "plan": pda.Column(str)}
for_pandas = pda.DataFrameSchema(checks)
narrow = pap.DataFrameSchema({"age": pap.Column(str)})
number = 5
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "schemas.py").write_text(SCHEMAS)
    (tmp_path / "rules.py").write_text("LEAST = 18\n")
    (tmp_path / "wrong.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "odd.py").write_text("1 / 0\n")
    return tmp_path


def check(root: Path, schema: str, frame: pl.DataFrame) -> CheckReport:
    (root / "data").mkdir(exist_ok=True)
    for number, part in enumerate(frame.iter_slices(2)):
        part.write_csv(root / "data" / f"{number}.csv")
    return check_source(DataSection(source="data/*.csv", pandera=schema), root)


GOOD = pl.DataFrame({"id": [1, 2, 3], "age": [18, 20, 30], "plan": ["a", "b", "a"]})
BAD = pl.DataFrame({"id": [1, 1, 2], "age": [17, 20, 95], "plan": ["a", "c", None]})


@pytest.mark.parametrize("schema", ["schemas:Visits", "schemas:for_pandas"])
def test_rows_that_are_as_the_schema_says_pass(root: Path, schema: str) -> None:
    report = check(root, schema, GOOD)
    assert report.passed and report.results[-1].message == f"the rows are as {schema} says"


def test_each_rule_of_a_model_that_fails_is_a_result_with_its_rows(root: Path) -> None:
    report = check(root, "schemas:Visits", BAD)
    found = {r.name: [(s.file, s.row) for s in r.samples] for r in report.failures}
    assert not report.passed and found == {
        "id field_uniqueness": [("0.csv", 1), ("0.csv", 2)],
        "age greater_than_or_equal_to(18)": [("0.csv", 1)],
        "plan not_nullable": [("1.csv", 1)],
        "plan isin(['a', 'b'])": [("0.csv", 2)],
        "Visits not_old": [("1.csv", 1)],
    }


def test_a_schema_for_pandas_finds_the_same_rows(root: Path) -> None:
    found = {r.name: (r.failed, [s.value for s in r.samples]) for r in check(root, "schemas:for_pandas", BAD).failures}
    assert found == {
        "id field_uniqueness": (2, ["1", "1"]),
        "age greater_than_or_equal_to(18)": (1, ["17"]),
        "plan not_nullable": (1, [None]),
    }


def test_a_column_that_is_not_as_it_should_be_is_told_without_rows(root: Path) -> None:
    (result,) = check(root, "schemas:narrow", GOOD).failures
    assert (result.column, result.samples) == ("age", ()) and "found Int64" in result.message


@pytest.mark.parametrize(
    ("schema", "error", "told"),
    [
        ("schemes:Visits", NotFoundError, "no module 'schemes'"),
        ("schemas:Visit", NotFoundError, "no 'Visit'; did you mean 'Visits'"),
        ("schemas:number", InvalidInputError, "is no schema of pandera"),
        ("wrong:x", InvalidInputError, "needs nothing_of_this_name, which is not installed"),
        ("odd:x", InvalidInputError, r"odd\.py cannot be imported: ZeroDivisionError"),
    ],
)
def test_what_is_no_schema_says_what_to_do(root: Path, schema: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        check(root, schema, GOOD)


@pytest.mark.parametrize("schema", ["schemas:Visits", "schemas:for_pandas"])
def test_rows_that_do_not_fit_into_memory_are_refused_with_their_size(
    root: Path, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pandera_schema, "available_bytes", lambda: 2000 * 2**20)
    many = pl.DataFrame({"id": range(50), "age": [20] * 50, "plan": ["a" * 10_000] * 50})
    many.write_parquet(root / "many.parquet", row_group_size=10)
    source = DataSection(source="many.parquet", pandera=schema)
    assert check_source(structs.replace(source, pandera="schemas:narrow"), root).results
    monkeypatch.setattr(pandera_schema, "available_bytes", lambda: 2**20)
    told = r"looks at all 50 rows at once, which takes some 0\.0 GiB of memory, and 0\.0 GiB are free"
    with pytest.raises(InvalidInputError, match=told) as refused:
        check_source(source, root)
    assert "[[data.NAME.check]]" in (refused.value.hint or "")
