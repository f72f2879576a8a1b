"""From what a model gave to what is answered and logged: rows, lists as they are shown, and arrays for the log."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.core.project.types import RulesSection
from penstock.predictions.blocks import Columns, Packed
from penstock.serving.calls import Parameters
from penstock.serving.live import LiveRevision, Outputs
from penstock.serving.ranking import rank

Output = dict[str, Any]


def rows_of(outputs: Outputs) -> list[Output]:
    """A dict for each row."""
    names = tuple(outputs)
    lists = [values if isinstance(values, list) else values.tolist() for values in outputs.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]


def arrange(
    outputs: list[Output], revision: LiveRevision, rules: RulesSection, parameters: Parameters
) -> list[tuple[str, ...]]:
    """Make lists of items what is shown of them, in place; other outputs are left as they are.

    Returns:
        For each output the rules that changed it; nothing where these are no lists.

    Raises:
        InvalidInputError: the caller's filter cannot be asked of these items.
    """
    if not outputs or "items" not in outputs[0]:
        return []
    exclude, changed = parameters.excluded(), []
    for place, output in enumerate(outputs):
        ranked = rank(
            output["items"],
            output["scores"],
            revision.items,
            rules,
            k=parameters.k,
            exclude=exclude,
            condition=parameters.filter,
        )
        outputs[place] = {**output, "items": ranked.items, "scores": ranked.scores}
        changed.append(ranked.rules)
    return changed


def pack_outputs(columns: Columns | None, outputs: Outputs) -> tuple[Columns | None, list[Packed]]:
    """The outputs as arrays for the log; none where they are not what the signature says, or would lose something."""
    if columns is None or len(columns.outputs) != len(outputs):
        return None, []
    packed: list[Packed] = []
    for name, kind in columns.outputs:
        values = outputs.get(name)
        if values is None:
            return None, []
        if kind == "string":
            packed.append([str(value) for value in values])
            continue
        try:
            array = np.asarray(values, dtype="<f8")
        except (TypeError, ValueError):  # lists of unequal length, or a value that is missing
            return None, []
        if kind == "long" and (np.abs(array) >= 2.0**53).any():
            return None, []
        packed.append(array.tobytes())
    return columns, packed


def spread(values: Sequence[float], sizes: Sequence[int], kind: str) -> bytes:
    """A value for each row of each part."""
    array = np.asarray(values, dtype=kind)
    return array.tobytes() if len(sizes) == sum(sizes) else np.repeat(array, sizes).tobytes()
