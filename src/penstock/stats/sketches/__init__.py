"""Mergeable summaries of values: quantiles, frequencies, distinct counts, moments, calibration; of constant size."""
