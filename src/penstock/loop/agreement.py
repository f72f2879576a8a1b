"""How often a revision in the shadow says the same as the one that answered."""

from typing import Any

import msgspec
import polars as pl

from penstock.core.project.types import Task

NEWEST = 5_000  # pairs that are looked at
TOP = 10  # items of a list that are compared
_EQUAL = 1e-6  # numbers that differ by less, as a share, are the same
_read = msgspec.json.Decoder().decode


def measure_agreement(task: Task, rows: pl.DataFrame) -> dict[str, Any]:
    """The newest copies beside what was answered.

    Args:
        task: of the models.
        rows: predictions and their copies, columns `id`, `answered`, `status` and `output`.

    Returns:
        `rows`, how many were compared; `share`, how many say the same (of lists: the share of the first ten items that
        stand in both); for numbers also `mean_difference`, of the copy less the answer. Without rows only `rows`.
    """
    copies = rows.filter(pl.col("status") == "shadow").select("answered", copy="output").tail(NEWEST)
    answers = rows.filter(pl.col("status") == "ok").select("id", "output")
    pairs = copies.join(answers, left_on="answered", right_on="id")
    if pairs.is_empty():
        return {"rows": 0}
    held = [(_read(copy), _read(output)) for copy, output in zip(pairs["copy"], pairs["output"], strict=True)]
    if task == "ranking":
        return _report([_overlap(copy.get("items"), output.get("items")) for copy, output in held])
    said = [(copy.get("prediction"), output.get("prediction")) for copy, output in held]
    if task in ("binary", "multiclass"):
        return _report([float(copy == output) for copy, output in said])
    numbers = [
        (copy, output) for copy, output in said if isinstance(copy, int | float) and isinstance(output, int | float)
    ]
    same = [float(abs(copy - output) <= _EQUAL * max(1.0, abs(output))) for copy, output in numbers]
    found = _report(same)
    if numbers:
        found["mean_difference"] = sum(copy - output for copy, output in numbers) / len(numbers)
    return found


def _overlap(copy: Any, output: Any) -> float:
    first, second = set((copy or [])[:TOP]), set((output or [])[:TOP])
    return len(first & second) / max(len(first), len(second), 1)


def _report(same: list[float]) -> dict[str, Any]:
    return {"rows": len(same), "share": sum(same) / len(same)} if same else {"rows": 0}
