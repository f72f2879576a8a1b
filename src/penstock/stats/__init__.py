"""Metrics, intervals, sequential tests and drift distances: pure functions on arrays."""
