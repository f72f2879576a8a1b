"""Datasets: versions by content, their schema, profile and checks."""
