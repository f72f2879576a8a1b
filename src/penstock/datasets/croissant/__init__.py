"""Croissant, the metadata of ML Commons: versions described in it, and datasets that it describes taken in."""
