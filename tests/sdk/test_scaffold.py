"""What `penstock init` writes is a project that trains, whatever the table looks like."""

import ast
import importlib.util
import subprocess
import sys
import tomllib
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

import penstock as ps
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.project.parse import load_project
from penstock.core.project.types import ChampionGate
from penstock.datasets.frames import read_table
from penstock.sdk.scaffold import plan_project, write_project

ROWS = 120
NUMBERS = list(range(ROWS))
DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in NUMBERS]
CLASSES = {"binary": ["no", "yes"], "multiclass": ["red", "green", "blue"]}
ODD_NAMES = ["customer's age", 'a "quoted" name', "größe_å", "emoji 😀", "line\nbreak", "back\\slash", "{{ braces }}"]
ODD_FILES = ["2024 sales.csv", "pl.csv", "ps.csv", "train.csv", "class.csv", "été.csv", "_.csv"]


def make_table(task: str = "binary", **columns: list[object]) -> pl.DataFrame:
    """A small table to learn `target` from."""
    if task == "regression":
        target: list[object] = [number * 1.5 + number % 7 for number in NUMBERS]
    else:
        target = [CLASSES[task][number % len(CLASSES[task])] for number in NUMBERS]
    given = {"size": [number % 13 for number in NUMBERS], "kind": ["ab"[number % 2] for number in NUMBERS]}
    return pl.DataFrame({**given, **columns, "target": target})


def scaffold(table: pl.DataFrame, folder: Path, label: str = "target", file: str = "table.csv", **given: str) -> Path:
    """Write a project from a table."""
    folder.mkdir(exist_ok=True)
    data = folder / file
    table.write_csv(data)
    return write_project(plan_project(data, label, **given), data, folder / "project")  # type: ignore[arg-type]


def load_pipeline(project: Path) -> ModuleType:
    """The written pipeline.py as a module."""
    spec = importlib.util.spec_from_file_location("written_pipeline", project / "pipeline.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(project: Path) -> ps.Candidate:
    """Run the written pipeline here, with the params of its project file."""
    settings = load_project(project)
    (name, section), *_ = settings.data.items()
    frame = read_table(project / section.source)
    candidate: ps.Candidate = load_pipeline(project).train.run(**{name: frame}, **settings.pipeline.params)
    return candidate


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_written_project_trains_a_model_of_its_task(task: str, tmp_path: Path) -> None:
    project = scaffold(make_table(task), tmp_path)
    assert load_project(project).task == task
    candidate = train(project)
    assert len(candidate.model.predict(candidate.test.drop("target"))) == candidate.test.height


def test_the_newest_rows_are_the_test(tmp_path: Path) -> None:
    shuffled = make_table(day=DAYS).sample(fraction=1.0, shuffle=True, seed=1)
    candidate = train(scaffold(shuffled, tmp_path))
    assert candidate.test["day"].to_list() == DAYS[-24:]


def test_rows_without_a_label_and_gaps_in_the_data_do_no_harm(tmp_path: Path) -> None:
    gaps = [None if number % 3 == 0 else number for number in NUMBERS]
    table = make_table(
        amount=gaps,
        flag=[None if n is None else n % 2 == 0 for n in gaps],
        colour=[None if n is None else "xyz"[n % 3] for n in gaps],
    )
    holes = table.with_columns(pl.when(pl.int_range(ROWS) % 10 > 0).then("target").alias("target"))
    candidate = train(scaffold(holes, tmp_path))
    assert candidate.test.height == round(ROWS * 0.9 * 0.2)
    assert len(candidate.model.predict(candidate.test)) == candidate.test.height


@pytest.mark.parametrize(("label", "file"), list(zip(ODD_NAMES, ODD_FILES, strict=True)))
def test_label_columns_and_data_file_may_have_any_name(label: str, file: str, tmp_path: Path) -> None:
    others = [name for name in ODD_NAMES if name != label]
    table = make_table(**dict.fromkeys(others, NUMBERS)).rename({"target": label})
    project = scaffold(table, tmp_path, label, file)
    (section,) = load_project(project).data.values()
    assert section.label == label
    candidate = train(project)
    assert set(candidate.test.columns) >= set(ODD_NAMES)
    assert candidate.test.height == 24
    assert candidate.test[label].null_count() == 0


def test_columns_that_are_left_out_are_named_in_a_comment_only(tmp_path: Path) -> None:
    table = make_table(**{"evil\nimport os": ["same"] * ROWS})
    text = (scaffold(table, tmp_path) / "pipeline.py").read_text()
    assert "evil import os: every value is" in text
    assert not any(isinstance(node, ast.Import) and node.names[0].name == "os" for node in ast.walk(ast.parse(text)))


def test_a_table_without_time_and_key_makes_a_project_without_them(tmp_path: Path) -> None:
    section = load_project(scaffold(make_table(), tmp_path)).data["table"]
    assert (section.time, section.key) == (None, None)


def test_what_is_given_overrides_what_is_guessed(tmp_path: Path) -> None:
    table = make_table("multiclass", day=DAYS, until=DAYS, customer_id=NUMBERS, row_id=NUMBERS)
    project = scaffold(table, tmp_path, name="mine", time="until", key="row_id")
    settings = load_project(project)
    section = settings.data["table"]
    assert (settings.name, section.time, section.key) == ("mine", "until", "row_id")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_written_code_is_clean(task: str, tmp_path: Path) -> None:
    project = scaffold(make_table(task, day=DAYS, customer_id=NUMBERS), tmp_path)
    argv = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=E,F,W,I,B,UP", "--line-length=120"]
    checked = subprocess.run([*argv, project / "pipeline.py"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    tomllib.loads((project / "penstock.toml").read_text())


@pytest.mark.parametrize(("rows", "margin"), [(120, 0.16), (2_000, 0.04), (200_000, 0.01)])
def test_the_fewer_rows_the_more_is_put_up_with(rows: int, margin: float, tmp_path: Path) -> None:
    table = pl.DataFrame({"size": [n % 13 for n in range(rows)], "target": [n % 2 for n in range(rows)]})
    settings = load_project(scaffold(table, tmp_path))
    assert [gate.margin for gate in settings.gates if isinstance(gate, ChampionGate)] == [margin]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "mine.txt").write_text("mine")
    with pytest.raises(ConflictError, match="is not empty"):
        scaffold(make_table(), tmp_path)
    assert [path.name for path in (tmp_path / "project").iterdir()] == ["mine.txt"]


def test_a_file_that_is_missing_and_a_column_that_is_misspelt_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere\.csv"):
        plan_project(tmp_path / "nowhere.csv", "target")
    with pytest.raises(InvalidInputError, match="did you mean 'target'"):
        scaffold(make_table(), tmp_path, "targte")


@pytest.mark.parametrize("text", ["", "\x00\x01", "a,b\n", "just one line"])
def test_a_file_that_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(InvalidInputError):
        plan_project(tmp_path / "table.csv", "target")


def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot name a project"):
        scaffold(make_table(), tmp_path, name='x" evil')


def test_a_task_that_a_table_cannot_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="ranking"):
        scaffold(make_table(), tmp_path, task="ranking")


@pytest.mark.parametrize(
    ("label", "given", "told"),
    [
        (["yes"] * ROWS, {}, "the one value 'yes'"),
        ([None] * ROWS, {}, "no value to predict"),
        ([["a"]] * ROWS, {}, "no value to predict"),
        (["no", "yes"] * (ROWS // 2), {"task": "regression"}, "a regression predicts numbers"),
        (list("abc") * (ROWS // 3), {"task": "binary"}, "a binary task has two classes"),
        (["no", "yes"] * (ROWS // 2), {"time": "siz"}, "the table has no column 'siz'"),
        (["no", "yes"] * (ROWS // 2), {"key": "siz"}, "the table has no column 'siz'"),
    ],
)
def test_what_no_model_can_be_learnt_from_is_refused(
    label: list[object], given: dict[str, str], told: str, tmp_path: Path
) -> None:
    make_table().with_columns(target=pl.Series(label)).write_parquet(tmp_path / "table.parquet")
    with pytest.raises(InvalidInputError, match=told):
        plan_project(tmp_path / "table.parquet", "target", **given)  # type: ignore[arg-type]


def test_a_guessed_column_can_be_declined(tmp_path: Path) -> None:
    make_table(day=DAYS).write_csv(tmp_path / "table.csv")
    assert plan_project(tmp_path / "table.csv", "target").time == "day"
    assert plan_project(tmp_path / "table.csv", "target", time="none").time is None


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_rows_in_the_order_of_their_label_are_shuffled(task: str, tmp_path: Path) -> None:
    project = scaffold(make_table(task).sort("target"), tmp_path)
    assert "shuffle=True" in (project / "pipeline.py").read_text()
    target = train(project).test["target"]
    assert target.n_unique() == (len(CLASSES[task]) if task in CLASSES else len(target))
    assert not target.is_sorted()


def test_a_name_keeps_its_letters_without_their_marks(tmp_path: Path) -> None:
    make_table().rename({"target": "gekündigt?"}).write_csv(tmp_path / "table.csv")
    assert plan_project(tmp_path / "table.csv", "gekündigt?").name == "gekundigt"
