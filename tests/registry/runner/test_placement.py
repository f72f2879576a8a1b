"""Which models run where."""

from pathlib import Path

import pytest

from penstock.core.errors import InvalidInputError
from penstock.registry.format.types import ModelInfo, Signature
from penstock.registry.runner.placement import choose_place, is_met

HERE = {"numpy": "2.1.3", "scikit-learn": "1.6.1", "skops": "0.12.0", "scipy": "1.15.0", "polars": "1.30.0"}


def info(flavor: str = "sklearn", **packages: str) -> ModelInfo:
    named = {name.replace("_", "-"): version for name, version in packages.items()}
    return ModelInfo(flavor=flavor, task="regression", signature=Signature((), ()), packages=named)


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ("numpy", True),
        ("numpy==2.1.3", True),
        ("numpy==2.1.0", True),  # another patch
        ("numpy==2.2.0", False),
        ("numpy==2", True),
        ("numpy==2.*", True),
        ("numpy>=2.1,<3", True),
        ("numpy>2.1.3", False),
        ("numpy<2", False),
        ("numpy~=2.0", True),
        ("numpy~=2.1.4", False),
        ("numpy!=2.1.3", False),
        ("NumPy==2.1.3", True),
        ("churnlib", False),
        ("numpy==2.1.3; python_version < '3'", False),
        ("penstock==0.0.1", True),
    ],
)
def test_versions_match(requirement: str, met: bool) -> None:
    assert is_met(requirement, HERE) is met


def test_a_model_of_a_safe_format_runs_here(tmp_path: Path) -> None:
    place = choose_place(tmp_path, info(scikit_learn="1.6.0", numpy="2.1.3", mlflow="3.1.0"), HERE)
    assert place.is_here
    assert place.reason == ""


def test_a_safe_format_of_other_versions_needs_an_environment(tmp_path: Path) -> None:
    place = choose_place(tmp_path, info(scikit_learn="1.2.0", numpy="2.1.3", mlflow="3.1.0"), HERE)
    assert not place.is_here
    assert not place.executes
    assert place.requirements == ("numpy==2.1.3", "scikit-learn==1.2.0")  # and not what only its maker used
    assert place.reason == "it needs scikit-learn==1.2.0"


def test_a_model_that_executes_never_runs_here(tmp_path: Path) -> None:
    place = choose_place(tmp_path, info("pickle", numpy="2.1.3"), HERE)
    assert not place.is_here
    assert place.executes
    assert place.requirements is None
    assert place.reason == "its format (pickle) executes code"
    with_more = choose_place(tmp_path, info("pickle", numpy="2.1.3", churnlib="1.0"), HERE)
    assert with_more.requirements == ("churnlib==1.0", "numpy==2.1.3")


def test_the_list_in_the_directory_counts_where_the_model_names_none(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("mlflow==3.1.0\nnumpy==2.1.3\n")
    assert choose_place(tmp_path, info("pickle"), HERE).requirements == ("mlflow==3.1.0", "numpy==2.1.3")
    (tmp_path / "requirements.txt").write_text("-i https://evil.example\n")
    with pytest.raises(InvalidInputError, match="is not a package"):
        choose_place(tmp_path, info("pickle"), HERE)


def test_packages_cannot_smuggle_options(tmp_path: Path) -> None:
    hostile = ModelInfo(
        flavor="pickle",
        task="regression",
        signature=Signature((), ()),
        packages={"numpy==1\n-i https://evil.example #": "1"},
    )
    with pytest.raises(InvalidInputError, match="is not a package"):
        choose_place(tmp_path, hostile, HERE)
