"""`penstock predict --sample` asks about a row as the model takes it."""

from pathlib import Path

from penstock.cli.predict import take_sample
from penstock.core.project.parse import load_project


def test_a_sample_holds_the_columns_that_the_model_takes_and_no_others(project: Path) -> None:
    assert take_sample(load_project(project), ["plan", "age"]) == [{"plan": "[basic]", "age": 29}]


def test_a_sample_has_a_value_in_each_column_where_any_row_does(project: Path) -> None:
    with open(project / "data" / "customers.csv", "a") as file:
        file.write("60,,plus,1\n")
    assert take_sample(load_project(project), ["age", "plan"]) == [{"age": 29, "plan": "[basic]"}]
    assert take_sample(load_project(project), ["plan"]) == [{"plan": "plus"}]


def test_columns_that_the_pipeline_derives_are_left_to_the_gateway_to_name(project: Path) -> None:
    assert take_sample(load_project(project), ["age", "age_squared"]) == [{"age": 29}]
