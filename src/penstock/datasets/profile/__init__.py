"""Profiles: what the values of each column look like, gathered in one pass over rows that need not fit into memory."""

from penstock.datasets.profile.gather import ProfileGatherer, profile_frame, profile_table

__all__ = ["ProfileGatherer", "profile_frame", "profile_table"]
