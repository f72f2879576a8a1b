"""Traces: the spans of single requests, as MLflow's clients and OpenTelemetry send them."""
