"""What changed between two versions: files, columns, rows, and how the values of each column are spread."""

from penstock.datasets.diff.types import ColumnDiff, DatasetDiff, FileDiff, RowDiff, RowSample
from penstock.datasets.diff.versions import diff_profiles, diff_versions

__all__ = ["ColumnDiff", "DatasetDiff", "FileDiff", "RowDiff", "RowSample", "diff_profiles", "diff_versions"]
