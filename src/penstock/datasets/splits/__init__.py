"""Splits: the rows of a version parted for training and testing, recorded with their recipe, and read again."""

from penstock.datasets.splits.make import make_split
from penstock.datasets.splits.read import read_part
from penstock.datasets.splits.types import Split, SplitLeakError, SplitRecipe

__all__ = ["Split", "SplitLeakError", "SplitRecipe", "make_split", "read_part"]
