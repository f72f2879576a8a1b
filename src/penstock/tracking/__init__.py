"""Experiments, runs, params, metrics and artifacts."""
