"""Writes a project that runs, from a table: what `penstock init --data FILE --label COLUMN` does."""

import json
import keyword
import math
import re
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.identity import local_actor
from penstock.core.ids import check_name
from penstock.core.project.parse import load_project
from penstock.core.project.types import Task
from penstock.datasets.frames import check_column, read_table
from penstock.datasets.inspect import InspectedColumn, Inspection, inspect_table

TEMPLATES = Path(__file__).parent / "templates"
GITIGNORE = "# penstock's state and logs; everything else belongs into Git\n.penstock/\n__pycache__/\n"
ESTIMATORS: dict[Task, str] = {
    "binary": "HistGradientBoostingClassifier",
    "multiclass": "HistGradientBoostingClassifier",
    "regression": "HistGradientBoostingRegressor",
}
METRICS: dict[Task, str] = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "mae"}
TAKEN = {"pl", "ps", "split", "fit", "train", "rows", "cut", "learning_rate", "test_share"}  # names in pipeline.py
TEST_SHARE = 0.2
SMALLEST_MARGIN = 0.01  # of a share, such as accuracy


class Plan(Struct, frozen=True, kw_only=True):
    """What will be written; made from an inspection, and open to changes before it is."""

    name: str
    task: Task
    label: str
    time: str | None
    key: str | None
    margin: float  # how much worse than the champion is put up with
    inspection: Inspection


def plan_project(
    data: Path,
    label: str,
    *,
    name: str = "",
    task: Task | None = None,
    time: str | None = None,
    key: str | None = None,
) -> Plan:
    """Look at a table and plan a project for it; what is given overrides what was guessed, `none` being no column.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is no table, has no such column, or holds nothing to learn from; or the name is none.
    """
    frame = read_table(data)
    inspection = inspect_table(frame, label)
    if not inspection.features:
        raise InvalidInputError(f"no column of {data} is left to learn {label} from")
    _check_label(frame.get_column(label).drop_nulls(), task)
    chosen = task or inspection.task
    if chosen not in ESTIMATORS:
        raise InvalidInputError(
            f"a project for the task {chosen!r} cannot be made from a table alone",
            hint=f"use {', '.join(ESTIMATORS)}; 'penstock demo' shows a ranking project",
        )
    return Plan(
        name=check_name(name or _to_name(label) or "model", "project"),
        task=chosen,
        label=label,
        time=_choose_column(time, inspection.time, frame),
        key=_choose_column(key, inspection.key, frame),
        margin=_choose_margin(frame.get_column(label).drop_nulls(), chosen),
        inspection=inspection,
    )


def _check_label(label: pl.Series, task: Task | None) -> None:
    """Refuse what no model of the task can be learnt from."""
    values = label.n_unique() if len(label) and not label.dtype.is_nested() else 0
    if values < 2:
        held = f"the one value {label.item(0)!r}" if values else "no value to predict"
        raise InvalidInputError(
            f"column {label.name!r} has {held} in all rows, so there is nothing to learn", hint="name another --label"
        )
    if task == "regression" and not label.dtype.is_numeric():
        raise InvalidInputError(f"a regression predicts numbers, and column {label.name!r} holds {label.dtype}")
    if task == "binary" and values != 2:
        raise InvalidInputError(f"a binary task has two classes, and column {label.name!r} has {values:,} values")


def _choose_column(given: str | None, guessed: str | None, frame: pl.DataFrame) -> str | None:
    """What was given, where `none` is none; else the guess."""
    if given is None:
        return guessed
    if given == "none" and given not in frame.columns:
        return None
    check_column(given, frame.columns, "the table")
    return given


def write_project(plan: Plan, data: Path, folder: Path) -> Path:
    """Write the project into a folder that is absent or empty; the data is copied into it.

    Raises:
        ConflictError: the folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty", hint="name another folder with --folder")
    values = _template_values(plan, _to_variable(data.stem), f"data/{data.name}")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["text"] = _quote
    environment.filters["comment"] = lambda text: " ".join(str(text).split())
    (folder / "data").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(data, folder / "data" / data.name)
    (folder / ".gitignore").write_text(GITIGNORE)
    for file in ("pipeline.py", "penstock.toml"):
        text = environment.get_template(f"{file}.j2").render(values)
        (folder / file).write_text(re.sub(r"\n{4,}", "\n\n\n", text))
    load_project(folder / "penstock.toml")  # what we write, we can read
    return folder


def _template_values(plan: Plan, dataset: str, source: str) -> dict[str, Any]:
    named = {plan.time, plan.key, plan.label}
    features = [c for c in plan.inspection.columns if c.role == "feature" and c.name not in named]
    left_out = [c for c in plan.inspection.columns if c.role in ("identifier", "constant", "unusable", "key")]
    metric = METRICS[plan.task]
    return {
        "name": plan.name,
        "task": plan.task,
        "task_reason": plan.inspection.task_reason,
        "owner": local_actor().name,
        "label": plan.label,
        "time": plan.time,
        "key": plan.key,
        "dataset": dataset,
        "source": source,
        "metric": metric,
        "margin": f"{plan.margin:.2g}",
        "test_share": TEST_SHARE,
        "bar": 0.5 if metric == "roc_auc" else None,
        "bar_key": "at_least",
        "estimator": ESTIMATORS[plan.task],
        "in_label_order": plan.inspection.in_label_order,
        "numbers": [c.name for c in features if not _is_category(c)],
        "categories": [c.name for c in features if _is_category(c)],
        "left_out": left_out,
        "target_has_gaps": any(f"have no {plan.label}" in warning for warning in plan.inspection.warnings),
    }


def _choose_margin(label: pl.Series, task: Task) -> float:
    """A loss that the test rows can tell from none: a tighter one would refuse every tie, a wider one hide a loss."""
    if task == "regression":
        values = label.cast(pl.Float64).to_numpy()
        return 0.05 * float(np.mean(np.abs(values - np.median(values)))) if len(values) else 0.0
    return max(SMALLEST_MARGIN, 0.8 / math.sqrt(TEST_SHARE * max(len(label), 1)))


def _is_category(column: InspectedColumn) -> bool:
    return column.kind in ("text", "boolean")


def _quote(text: str) -> str:
    """A JSON string, which is a TOML and a Python string as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _to_name(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()  # ü as u
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_").lower()[:100].rstrip("-_")


def _to_variable(text: str) -> str:
    """A name for the data that can be a parameter in pipeline.py."""
    name = _to_name(text).replace("-", "_")
    if not name or name in TAKEN or keyword.iskeyword(name):
        return f"{name or 'own'}_data"
    return name if not name[0].isdigit() else f"data_{name}"
