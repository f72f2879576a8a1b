"""Sketches of tables: a summary of every column that merges with others and replaces the rows."""

from penstock.monitoring.sketches.column import ColumnSketch
from penstock.monitoring.sketches.format import decode_sketch, encode_sketch
from penstock.monitoring.sketches.table import TableSketch, sketch_frame, sketch_table

__all__ = ["ColumnSketch", "TableSketch", "decode_sketch", "encode_sketch", "sketch_frame", "sketch_table"]
