"""Builds every service from a configuration."""
