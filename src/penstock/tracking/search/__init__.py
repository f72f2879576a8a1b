"""Searching runs and experiments: the filter grammar against the tables, at a million runs."""
