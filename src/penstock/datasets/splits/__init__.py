"""Splits: the rows of a version parted for training and testing, recorded with their recipe, and read again."""
