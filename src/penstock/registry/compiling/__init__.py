"""Compiles the versions that nobody has compiled: what MLflow's clients log, and what was imported."""
