"""Runs commands with their environment and resources; knows nothing of steps or models."""
