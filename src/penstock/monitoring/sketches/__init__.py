"""Sketches of tables: a summary of every column that merges with others and replaces the rows."""

from penstock.monitoring.sketches.column import ColumnSketch
from penstock.monitoring.sketches.cuts import Cut, explain_uncut, find_cuts
from penstock.monitoring.sketches.format import decode_sketch, encode_sketch
from penstock.monitoring.sketches.rare import NAMED_ROWS, forget_rare
from penstock.monitoring.sketches.table import (
    SEGMENT_ROOM,
    Segments,
    TableSketch,
    sketch_cut_frame,
    sketch_frame,
    sketch_reference,
    sketch_segments,
    sketch_table,
)

__all__ = [
    "NAMED_ROWS",
    "SEGMENT_ROOM",
    "ColumnSketch",
    "Cut",
    "Segments",
    "TableSketch",
    "decode_sketch",
    "encode_sketch",
    "explain_uncut",
    "find_cuts",
    "forget_rare",
    "sketch_cut_frame",
    "sketch_frame",
    "sketch_reference",
    "sketch_segments",
    "sketch_table",
]
