"""Tables: how files are read as rows, whole or batch by batch."""

from penstock.datasets.frames.formats import check_column, is_readable, read_table
from penstock.datasets.frames.stored import open_version, read_version
from penstock.datasets.frames.table import Batch, Table, open_files, sweep
from penstock.datasets.frames.values import time_range, times_of, to_value

__all__ = [
    "Batch",
    "Table",
    "check_column",
    "is_readable",
    "open_files",
    "open_version",
    "read_table",
    "read_version",
    "sweep",
    "time_range",
    "times_of",
    "to_value",
]
