"""Triggers, episodes and the controller that takes a model from an alert to a release, or says why not."""
