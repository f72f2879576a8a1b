"""The shop: a worked example of a project, a simulator, a replay of a real log, and the demo that drives them."""
