"""Checks of a table: what must hold of its rows, its columns and its past; what fails is named and may be put aside."""

from penstock.datasets.checks.past import Past, read_past
from penstock.datasets.checks.run import Checked, run_checks

__all__ = ["Checked", "Past", "read_past", "run_checks"]
