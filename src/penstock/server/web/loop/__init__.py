"""The loop of a project at a glance, and its episodes."""
