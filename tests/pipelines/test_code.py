"""Which change of a project's code is a change of a step."""

from pathlib import Path

import pytest

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.pipelines.code import ProjectCode

FILES = {
    "pipeline.py": '''
"""A pipeline."""
import polars as pl
import penstock as ps
from cleaning import drop_empty
from features import text

LIMIT = 10
UNUSED = 1

def helper(rows):
    """Helps."""
    return rows[:LIMIT]

@ps.step(retries=1)
def clean(rows):
    """Clean."""
    return drop_empty(helper(rows))

@ps.step
def words(rows):
    from lazily import count
    return count(text.split(rows))

@ps.step
def other(rows):
    return rows

if __name__ == "__main__":
    print(clean([1]))
''',
    "cleaning.py": "from shared import EMPTY\ndef drop_empty(rows):\n    return [r for r in rows if r != EMPTY]\n",
    "shared.py": "EMPTY = None\n",
    "lazily.py": "count = len\n",
    "features/__init__.py": "",
    "features/text.py": "from . import stops\nfrom .deep.er import x\ndef split(t):\n    return t\n",
    "features/stops.py": "STOPS = ()\n",
    "features/deep/__init__.py": "",
    "features/deep/er.py": "x = 1\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def changed(root: Path, function: str, file: str, old: str, new: str) -> bool:
    before = ProjectCode(root).digests(function)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    return ProjectCode(root).digests(function) != before


def test_the_function_and_each_imported_module_are_named(root: Path) -> None:
    code = ProjectCode(root)
    assert set(code.digests("pipeline:clean")) == {"pipeline:clean", "cleaning", "shared"}
    features = {"features", "features.text", "features.stops", "features.deep", "features.deep.er"}
    assert set(code.digests("pipeline:words")) == {"pipeline:words", "lazily"} | features
    assert set(code.digests("pipeline:other")) == {"pipeline:other"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pipeline.py", "drop_empty(helper(rows))", "drop_empty(rows)"),
        ("pipeline.py", "LIMIT = 10", "LIMIT = 11"),
        ("pipeline.py", "rows[:LIMIT]", "rows[LIMIT:]"),
        ("cleaning.py", "r != EMPTY", "r"),
        ("shared.py", "None", "0"),
    ],
)
def test_a_change_of_anything_it_uses_is_a_change(root: Path, file: str, old: str, new: str) -> None:
    assert changed(root, "pipeline:clean", file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pipeline.py", "UNUSED = 1", "UNUSED = 2"),
        ("pipeline.py", "    return rows\n", "    return rows[1:]\n"),
        ("pipeline.py", '"""Helps."""', '"""Helps a lot."""'),
        ("pipeline.py", "LIMIT = 10", "LIMIT  =  10  # rows"),
        ("pipeline.py", "retries=1", "retries=5, cpus=2"),
        ("pipeline.py", "print(clean([1]))", "print(clean([2]))"),
        ("lazily.py", "count = len", "count = sum"),
        ("cleaning.py", "def drop_empty", "\n# a comment\ndef drop_empty"),
    ],
)
def test_a_change_of_anything_else_is_none(root: Path, file: str, old: str, new: str) -> None:
    assert not changed(root, "pipeline:clean", file, old, new)


def test_a_call_at_the_top_of_the_module_counts_for_all_its_steps(root: Path) -> None:
    assert changed(root, "pipeline:other", "pipeline.py", "LIMIT = 10", "LIMIT = 10\npl.Config.set_verbose()")


def test_the_fingerprint_changes_with_anything_below_the_module(root: Path) -> None:
    before = ProjectCode(root).fingerprint("pipeline")
    (root / "pipeline.py").write_text((root / "pipeline.py").read_text().replace("retries=1", "retries=2"))
    retried = ProjectCode(root).fingerprint("pipeline")
    (root / "features/deep/er.py").write_text("x = 2")
    assert len({before, retried, ProjectCode(root).fingerprint("pipeline")}) == 3


def test_a_missing_function_and_a_broken_module_are_told(root: Path) -> None:
    with pytest.raises(NotFoundError, match="module 'pipeline' defines no 'fit'"):
        ProjectCode(root).digests("pipeline:fit")
    with pytest.raises(NotFoundError, match="no module 'nowhere'"):
        ProjectCode(root).digests("nowhere:fit")
    (root / "cleaning.py").write_text("def (")
    with pytest.raises(InvalidInputError, match="is no Python"):
        ProjectCode(root).digests("pipeline:clean")


def test_the_libraries_of_a_project_are_what_its_modules_import_at_their_top(root: Path) -> None:
    (root / "cleaning.py").write_text(
        "from __future__ import annotations\nimport json.decoder\nimport pipeline\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import pandas\n"
        "try:\n    from sklearn import base\nexcept ImportError:\n    base = None\n"
        "def drop_empty(rows):\n    import numpy\n    return rows\n"
    )
    found = ProjectCode(root).libraries("pipeline")
    assert found == (
        "polars",
        "penstock",
        "json",
        "json.decoder",
        "typing",
        "typing.TYPE_CHECKING",
        "sklearn",
        "sklearn.base",
    )


def test_what_steps_import_counts_where_they_will_run(root: Path) -> None:
    (root / "pipeline.py").write_text(
        "import penstock as ps\ndef helper():\n    import pandas\n"
        "@ps.step(retries=2)\ndef fit(rows):\n    import lazily\n    from sklearn import base\n"
    )
    assert ProjectCode(root).libraries("pipeline") == ("penstock",)
    assert ProjectCode(root).libraries("pipeline", with_steps=True) == ("penstock", "sklearn", "sklearn.base")


def test_a_module_that_is_not_there_imports_nothing(tmp_path: Path) -> None:
    assert ProjectCode(tmp_path).libraries("pipeline") == ()
